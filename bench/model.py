"""Posts a second and score of the classifier beside what one would take otherwise. ``python -m bench.model [POSTS]``.

All of them judge the same posts in one process, taking turns; the quicker of two turns counts. The same again
with two cores. ``yujing analyze`` is its whole way from JSON to JSON: companies found, topics, keywords and all.
It reads a long post to its end, and its passages; the pipeline reads the beginning. How much each costs where both
read the same is measured apart.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench._posts import held_out
from nlp.bundle import open_bundle, shipped
from nlp.corpus import Example
from nlp.labels import SENTIMENTS
from nlp.lexicon import Lexicon
from nlp.rows import analyze_rows, dump
from nlp.runtime import Runtime
from nlp.scores import Told, score
from nlp.segment import Segmenter
from nlp.terms import Terms
from nlp.tokens import WINDOW

POSTS = 300
ROUNDS = 2
OURS = "yujing analyze"
SNOW = "SnowNLP"
PIPELINE = "transformers.pipeline, same network, as called"
LENGTHS = (25, 50, 100, 200, 400, 800, 1600, 3200, 12800)

Judge = Callable[[Sequence[str]], list[list[float]]]
"""Texts to one score for each sentiment; the largest decides."""


def ours() -> Judge:
    """A new model for each turn: it remembers recent texts, and would answer the second turn from memory."""
    runtime, terms = Runtime(open_bundle(shipped())), Terms(_SEGMENTER)

    def judge(texts: Sequence[str]) -> list[list[float]]:
        rows = [
            json.dumps({"id": i, "text": text}, ensure_ascii=False).encode() for i, text in enumerate(texts)
        ]
        made = []
        for row in analyze_rows(rows, runtime=runtime, terms=terms):
            dump(row)
            made.append([row["probabilities"][name] for name in SENTIMENTS])
        return made

    return judge


def snow() -> Judge:
    """SnowNLP's sentiment: the probability of a good review; the middle fifth is neutral."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from snownlp import SnowNLP

    def judge(texts: Sequence[str]) -> list[list[float]]:
        good = [SnowNLP(text).sentiments if text.strip() else 0.5 for text in texts]
        return [[float(p < 0.4), 0.5, float(p > 0.6)] for p in good]

    return judge


def grams() -> Judge:
    """The linear model over character n-grams alone."""
    wide = _RUNTIME.wide
    return lambda texts: wide.logits(texts)[:, : len(SENTIMENTS)].tolist()


def lexicon() -> Judge:
    """Good and bad words cut by jieba, counted."""
    counted = Lexicon.shipped(_SEGMENTER)
    return lambda texts: [counted.sentiment(text) for text in texts]


def pipeline(batch_size: int | None) -> Judge:
    """The same weights in PyTorch behind ``transformers.pipeline``; ``None``: as a user calls it, one by one."""
    from bench._pipeline import classifier

    call = classifier()
    options: dict[str, Any] = {} if batch_size is None else {"batch_size": batch_size}

    def judge(texts: Sequence[str]) -> list[list[float]]:
        found = call(list(texts), truncation=True, max_length=256, top_k=None, **options)
        return [[next(c["score"] for c in one if c["label"] == name) for name in SENTIMENTS] for one in found]

    return judge


_SEGMENTER = Segmenter()
_RUNTIME = Runtime.load(shipped())


def quickest_batch(texts: Sequence[str]) -> int:
    """The batch size that suits the pipeline best, tried on some of the posts."""
    return min((4, 16, 64), key=lambda size: _seconds(lambda: pipeline(size)(texts[:64])))


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one of them did."""

    seconds: float
    cpu: float
    """Seconds of processor time; what another process takes from us does not count."""
    posts: int
    accuracy: float
    macro_f1: float


def beginnings(examples: Sequence[Example]) -> list[Example]:
    """The posts, each cut where the pipeline stops reading."""
    pieces = open_bundle(shipped()).tokeniser.pieces([e.text for e in examples])
    return [
        replace(e, text=e.text[: p.offsets[WINDOW - 1][1]]) if len(p.ids) > WINDOW else e
        for e, p in zip(examples, pieces, strict=True)
    ]


def compared(examples: Sequence[Example], *, network: bool = False) -> dict[str, Result]:
    """All of them over the same posts; ``network``: only those that run the network."""
    texts = [example.text for example in examples]
    best = quickest_batch(texts)
    contenders: dict[str, Callable[[], Judge]] = {
        OURS: ours,
        PIPELINE: lambda: pipeline(None),
        f"the same in batches of {best}": lambda: pipeline(best),
    }
    if not network:
        contenders |= {SNOW: snow, "n-grams alone (linear)": grams, "lexicon on jieba's words": lexicon}
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    said: dict[str, list[list[float]]] = {}
    for _ in range(ROUNDS):
        for name, make in contenders.items():
            judge = make()
            judge(texts[:2])
            cpu, began = time.process_time(), time.perf_counter()
            said[name] = judge(texts)
            spent[name].append((time.perf_counter() - began, time.process_time() - cpu))
    made = {}
    for name, answers in said.items():
        told = [
            Told(sentiment=p, entities=[p] * len(e.entities)) for e, p in zip(examples, answers, strict=True)
        ]
        got = score(examples, told)
        made[name] = Result(
            seconds=min(wall for wall, _ in spent[name]),
            cpu=min(cpu for _, cpu in spent[name]),
            posts=len(texts),
            accuracy=got.accuracy or 0.0,
            macro_f1=got.macro_f1 or 0.0,
        )
    return made


def by_length(texts: Sequence[str]) -> list[tuple[int, float, float]]:
    """Milliseconds a post of ours and of SnowNLP's, for posts of one length."""
    whole = "。".join(texts)
    made = []
    for length in LENGTHS:
        count = max(4, min(64, 40_000 // length))
        some = [whole[i * length : (i + 1) * length] for i in range(count)]
        mine, theirs = (_seconds(partial(judge, some)) for judge in (ours(), snow()))
        made.append((length, 1e3 * mine / count, 1e3 * theirs / count))
    return made


def one_by_one(texts: Sequence[str]) -> list[float]:
    """Milliseconds of each of 200 posts of 300 characters, one at a time, warm."""
    whole = "。".join(texts)
    judge = ours()
    judge([whole[:300]])
    spent = []
    for i in range(200):
        start = (i * 131) % (len(whole) - 300)
        spent.append(1e3 * _seconds(lambda start=start: judge([whole[start : start + 300]])))
    return sorted(spent)


def from_the_start(text: str) -> tuple[float, float]:
    """Seconds from the start of a process to the answer about one post, and its largest memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.jsonl"
        path.write_text(json.dumps({"id": 1, "text": text}, ensure_ascii=False) + "\n", "utf-8")
        command = [sys.executable, "-m", "app", "analyze", str(path)]
        spent = min(
            _seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)) for _ in range(3)
        )
    return spent, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _table(made: dict[str, Result], title: str) -> None:
    print(f"\n| {title} | posts/s | yujing is | CPU ms a post | by CPU time | accuracy | macro-F1 |")
    print("|---|---|---|---|---|---|---|")
    mine = made[OURS]
    for name, each in made.items():
        print(
            f"| {name} | {each.posts / each.seconds:.0f} | {each.seconds / mine.seconds:.1f} × "
            f"| {1e3 * each.cpu / each.posts:.2f} | {each.cpu / mine.cpu:.1f} × "
            f"| {each.accuracy:.3f} | {each.macro_f1:.3f} |"
        )


def _measure(cores: int, wanted: int) -> None:
    """Everything with so many cores, which this process is bound to."""
    where, examples = held_out()
    examples = examples[:: max(1, len(examples) // wanted)]
    texts = [example.text for example in examples]
    if cores == 1:
        mean = statistics.mean(map(len, texts))
        print(f"{len(texts)} {where}, {mean:.0f} characters on average")
        spent, memory = from_the_start(texts[0])
        print(f"\none post from the start of the process: {spent:.2f} s, {memory:.0f} MB at most")
        times = one_by_one(texts)
        print(f"one post of 300 characters, warm: median {times[100]:.1f} ms, p95 {times[190]:.1f} ms")
        print("\n| characters | yujing analyze, ms a post | SnowNLP, ms a post |\n|---|---|---|")
        for length, mine, theirs in by_length(texts):
            print(f"| {length} | {mine:.2f} | {theirs:.2f} |")
    title = f"{cores} core{'s' * (cores > 1)}"
    _table(compared(examples), title)
    _table(compared(beginnings(examples), network=True), f"{title}, the first {WINDOW} pieces")


def main() -> None:
    """Print the tables: a process for each number of cores, bound to them before anything counts cores."""
    if sys.argv[1:2] == ["--cores"]:
        _measure(int(sys.argv[2]), int(sys.argv[3]))
        return
    wanted = sys.argv[1] if sys.argv[1:] else str(POSTS)
    mine = sorted(os.sched_getaffinity(0))
    for cores in (1, 2):
        if cores > len(mine):
            print(f"\n{cores} cores: skipped, this machine gives {len(mine)}")
            continue
        command = [sys.executable, "-m", "bench.model", "--cores", str(cores), wanted]
        chosen = set(mine[:cores])
        subprocess.run(command, check=True, preexec_fn=lambda c=chosen: os.sched_setaffinity(0, c))


if __name__ == "__main__":
    main()
