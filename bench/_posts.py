"""The labelled posts that the benchmarks of the model run over."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nlp.corpus import Example, read
from nlp.split import split

AUTHORED = Path(__file__).parents[1] / "tests" / "nlp" / "authored_eval.jsonl"


def held_out() -> tuple[str, list[Example]]:
    """Where they come from, and the posts: about finance platforms, neither trained nor tuned on.

    From the folder that ``YUJING_DATA`` names; without it the written ones of the tests, which are shorter.
    """
    if data := os.environ.get("YUJING_DATA"):
        test = [e for e in split(Path(data)).test if e.set.startswith("finance_posts")]
        return "posts about finance platforms, held out of YUJING_DATA", test
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "authored_posts.jsonl").write_bytes(AUTHORED.read_bytes())
        return "authored posts of the tests (YUJING_DATA names no corpora)", read(
            Path(folder), "authored_posts"
        )
