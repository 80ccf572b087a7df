"""A command that is killed again and again, and begun anew until it ends."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def killed_until_done(
    arguments: Sequence[str | Path],
    *,
    kills: int,
    within_s: float,
    patience: int = 0,
    environment: Mapping[str, str] | None = None,
) -> str:
    """The last line of a child that was killed ``kills`` times, within ``within_s`` after a line of progress.

    With ``patience`` a life goes on for one more line after every so many kills: it gets further before it ends.
    """
    done, chance, lines = 0, random.Random(5), [""]
    while not lines[-1].startswith("done"):
        child = subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        )
        assert child.stdout
        lines = []
        for line in child.stdout:
            lines.append(line)
            if done < kills and len(lines) > (done // patience if patience else 0):
                # Somewhere within the next step.
                with pytest.raises(subprocess.TimeoutExpired):
                    child.wait(timeout=chance.uniform(0, within_s))
                child.kill()
                done += 1
                break
        child.stdout.close()
        child.wait()
        assert lines, "it ended without a word"
    assert done == kills
    return lines[-1]
