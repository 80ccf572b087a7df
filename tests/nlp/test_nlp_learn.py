"""Checkpoints: a full disk is said in one line, and a torn file costs no more than what it held."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("torch")

from torch import nn

from domain.errors import ModelError
from nlp.learn import Fitting, Recipe


def fitting(size: int = 4) -> Fitting:
    return Fitting(lambda: nn.Linear(size, size), Recipe(), lambda out, batch: {}, ())


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may grow beyond ``room`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    large = fitting(300)
    large.step = 7
    large.save(tmp_path)
    large.step = 8
    for room in (0, 1_000, 200_000):
        with full_disk(room), pytest.raises(ModelError, match=r"写不了 .*checkpoint\.pt") as caught:
            large.save(tmp_path)
        assert "\n" not in str(caught.value)
    again = fitting(300)
    again.resume(tmp_path, print)
    assert again.step == 7


@pytest.mark.parametrize("kept", [0, 1, 100, 3_000])
def test_a_torn_checkpoint_is_said_and_training_begins_anew(tmp_path: Path, kept: int) -> None:
    before = fitting()
    before.step = 7
    before.save(tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:kept])
    said: list[str] = []
    anew = fitting()
    anew.resume(tmp_path, said.append)
    assert anew.step == 0 and len(said) == 1 and "从头训练" in said[0]
    anew.save(tmp_path)
    fitting().resume(tmp_path, said.append)
    assert said[1].startswith("接着第 0 步")
