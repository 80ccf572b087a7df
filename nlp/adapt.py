"""A team's own labels on top of the model in use, mixed with posts that it knows, so that nothing is forgotten.

1 split      a fifth of the labels is kept out; copies of posts that the gate measures on are left out
2 encoder    from the weights in use, a few minutes (nlp.learn); resumable at any point  → work/encoder.safetensors
3 calibrate  refitted on the replayed posts kept for it, drawn to the old calibration
4 compare    with the model in use and with the one that ships (nlp.gate)               → work/candidate

The n-gram part stays: it was fitted on corpora that are not here. The calibration weighs it anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from domain.errors import InputError
from nlp import bundle as bundles
from nlp import corpus, evaluate, gate, tune
from nlp.bundle import Bundle, open_bundle
from nlp.corpus import Example
from nlp.fusion import Fusion
from nlp.runtime import Runtime
from nlp.split import HELD_OUT, Split, clusters, marks, parted, place
from nlp.team_labels import SET
from nlp.train_settings import before_torch

Say = Callable[[str], None]
SETS = ("authored_posts", "written_posts")
"""Sets of the package that are replayed, as far as they are there."""
OWN_PART = "自有标注"
"""What the team's held-out posts are called in a comparison."""
LEAST = 20
"""Labels below which a training is not worth its minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a training."""

    candidate: Path
    """The new model directory, sealed."""
    name: str
    compared: list[gate.Compared]
    trained_on: int
    """The team's posts that were trained on."""
    held_out: int
    """Those that were only measured on."""

    @classmethod
    def of(cls, candidate: Path) -> Outcome:
        """What a candidate's card says of it. Raises ``ModelError``."""
        card = open_bundle(candidate).card
        return cls(
            candidate=candidate,
            name=bundles.named(candidate),
            compared=[gate.Compared(**each) for each in card["compared"]],
            trained_on=card["own_posts"],
            held_out=card["own_held_out"],
        )

    @property
    def own_checked(self) -> bool:
        """The team's held-out posts were enough to be compared on."""
        return any(each.part.startswith(OWN_PART) for each in self.compared)

    @property
    def falls(self) -> list[gate.Compared]:
        """The scores for which it must not be installed."""
        return [each for each in self.compared if each.fell]


def settings() -> dict[str, Any]:
    """``nlp/adapt.yaml``."""
    read: dict[str, Any] = yaml.safe_load((resources.files("nlp") / "adapt.yaml").read_text("utf-8"))
    return read


def replayed(folder: Path | None = None) -> Split:
    """The posts of the package that are replayed, calibrated on and measured on; ``folder``: others instead."""
    folder = folder or Path(str(resources.files("nlp") / "corpora"))
    found = [
        name
        for name in SETS
        if any((folder / f"{name}{ending}").is_file() for ending in (".jsonl", ".jsonl.gz"))
    ]
    if not found:
        raise InputError(f"{folder} 里没有 {SETS[0]}.jsonl.gz")
    return parted([e for name in found for e in corpus.read(folder, name)], held_out=HELD_OUT)


def own_parts(own: Sequence[Example], replay: Split, share: float) -> tuple[list[Example], list[Example]]:
    """The team's posts to train on and those only to measure on; copies stay on one side.

    What copies a post that the gate measures on, or that is calibrated on, is left out altogether.
    """
    kept_out = [*replay.tune, *replay.test]
    roots = clusters([*own, *kept_out])
    taken = set(roots[len(own) :])
    roots = roots[: len(own)]
    train: list[Example] = []
    test: list[Example] = []
    for example, root, mark in zip(own, roots, marks(own, roots), strict=True):
        if root not in taken:
            (test if place(mark) < share else train).append(example)
    return train, test


def adapt(
    *,
    start: Path,
    floor: Path,
    own: Sequence[Example],
    replay: Split,
    work: Path,
    chosen: Mapping[str, Any],
    budget_min: float,
    say: Say,
) -> Outcome:
    """Train, calibrate and compare; killed at any point, the same call goes on. Nothing is installed.

    ``start`` is the model in use, ``floor`` another that must not be fallen below either (the one that ships): many
    small falls would add up. Raises ``InputError`` for too few labels, ``ModelError`` for a model that is none.
    """
    bundle = open_bundle(start)
    train, test = own_parts(own, replay, chosen["held_out"])
    copies = len(own) - len(train) - len(test)
    if len({e.text for e in train}) < LEAST:
        raise InputError(
            f"可用的标注只有 {len(train)} 条（另留出 {len(test)} 条，与检验用的帖子雷同 {copies} 条），"
            f"至少要 {LEAST} 条才值得训练"
        )
    say(f"标注 {len(train)} 条用来训练，{len(test)} 条留出；重放 {len(replay.train)} 条")
    if copies:
        say(f"另有 {copies} 条标注没有用：与检验或校准用的帖子雷同")
    shipped = open_bundle(floor)
    run = {"start": bundle.name, "floor": shipped.name, "own": digest(own), "settings": dict(chosen)}
    run |= {"replay": [digest(part) for part in (replay.train, replay.tune, replay.test)]}
    _claim(work, run | {"budget_min": budget_min})
    candidate = work / "candidate"
    if not candidate.is_dir():
        read = [*train, *replay.train]
        _train(bundle, start, read, shares(train, replay.train, chosen), work, chosen, budget_min, say)
        say("导出")
        made = _making(bundle, start, work, read)
        made = replace(made, fusion=_calibrated(made, replay.tune, chosen["trust"], say))
        say("比较新旧模型")
        compared = _compare(bundle, made, replay.test, test, "在用模型")
        if shipped.name != bundle.name:
            compared += _compare(shipped, made, replay.test, [], "出厂模型")
        _seal(made, work, compared, {"own_posts": len(train), "own_held_out": len(test)})
    return Outcome.of(candidate)


def shares(own: Sequence[Example], known: Sequence[Example], chosen: Mapping[str, Any]) -> dict[str, float]:
    """How often each set is read in a pass: all that is replayed once, the team's posts up to their share.

    Few labels are repeated; of many each pass draws some.
    """
    share = chosen["own_share"]
    times = share / (1 - share) * len(known) / len(own)
    return dict.fromkeys({e.set for e in known}, 1.0) | {SET: min(float(chosen["own_repeat"]), times)}


def _claim(work: Path, run: Mapping[str, Any]) -> None:
    """Go on in the work folder when it is of the same run; else begin anew: it holds nothing but drafts.

    The run is all that a verdict rests on: after an upgrade a candidate is compared again. The learning rate follows
    the budget: what was trained by one cannot go on by another.
    """
    text = json.dumps(run, ensure_ascii=False, sort_keys=True)
    path = work / "run.json"
    if path.exists() and path.read_text("utf-8") == text:
        return
    discard(work)
    work.mkdir(parents=True)
    path.write_text(text, "utf-8")


def discard(work: Path) -> None:
    """Remove a work folder; what a kill leaves of it is of no run, and nobody goes on from it."""
    (work / "run.json").unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)


def digest(examples: Sequence[Example]) -> str:
    """What tells one set of labels from another; their order does not count."""
    lines = sorted(json.dumps({**asdict(e), "row": None}, ensure_ascii=False) for e in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _train(
    bundle: Bundle,
    start: Path,
    examples: Sequence[Example],
    shares_: dict[str, float],
    work: Path,
    chosen: Mapping[str, Any],
    budget_min: float,
    say: Say,
) -> None:
    before_torch()
    from nlp.export import restore
    from nlp.learn import Recipe, fit

    recipe = Recipe(**chosen["encoder"], shares=shares_)
    fit(
        examples,
        begin=lambda: restore(start / "encoder.onnx", dropout=recipe.dropout),
        tokeniser=bundle.tokeniser,
        work=work,
        recipe=recipe,
        budget_min=budget_min,
        say=say,
    )


def _making(bundle: Bundle, start: Path, work: Path, examples: Sequence[Example]) -> Bundle:
    """The draft of the candidate: the model it comes from, with the network that was trained."""
    from nlp.export import export_trained, restore

    draft = work / "candidate.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for name in bundles.FILES:
        shutil.copyfile(start / name, draft / name)  # not its mode: a package may be installed read-only
    export_trained(
        restore(start / "encoder.onnx"),
        work / "encoder.safetensors",
        examples=examples,
        tokeniser=bundle.tokeniser,
        out=draft / "encoder.onnx",
    )
    return replace(bundle, encoder=(draft / "encoder.onnx").read_bytes())


def _calibrated(made: Bundle, examples: Sequence[Example], trust: float, say: Say) -> Fusion:
    say("校准")
    fitted = tune.fit(examples, tune.read(Runtime(made), examples))
    return drawn(made.fusion, fitted, len(examples) / (len(examples) + trust))


def _seal(made: Bundle, work: Path, compared: Sequence[gate.Compared], counts: Mapping[str, int]) -> None:
    """Write what the draft still lacks, and make it the candidate."""
    draft = work / "candidate.part"
    (draft / "fusion.json").write_text(json.dumps(made.fusion.values(), indent=1) + "\n", "utf-8")
    card = made.card | {
        "adapted_from": made.name,
        **counts,
        "encoder_run": json.loads((work / "encoder.done").read_text("utf-8")),
        "compared": [asdict(each) for each in compared],
    }
    (draft / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", "utf-8")
    with (draft / "CARD.md").open("a", encoding="utf-8") as file:
        file.write(
            f"\n## Adapted\n\nFrom `{made.name}` (the scores above are of the model of the program), with"
            f" {counts['own_posts']} posts of a team. Before and after:\n\n"
            + "".join(f"- {each}\n" for each in compared)
        )
    bundles.seal(draft)
    for path in draft.iterdir():
        path.chmod(0o644)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    draft.rename(work / "candidate")


_KEPT = ("others", "kind", "found", "alone", "among")
"""What cannot be fitted here: replayed posts are all of one kind of text, and few of them name several companies."""


def drawn(old: Fusion, new: Fusion, trust: float) -> Fusion:
    """``trust`` parts of the new calibration and the rest of the old one."""

    def between(one: Any, two: Any) -> Any:
        if isinstance(one, dict):
            return {key: between(one[key], two[key]) for key in one}
        if isinstance(one, list | tuple):
            return [between(a, b) for a, b in zip(one, two, strict=True)]
        return (1 - trust) * one + trust * two

    was, now = old.values(), new.values()
    return Fusion.of({key: was[key] if key in _KEPT else between(was[key], now[key]) for key in was})


def _compare(
    before: Bundle, after: Bundle, known: Sequence[Example], own: Sequence[Example], whose: str
) -> list[gate.Compared]:
    one, two = Runtime(before), Runtime(after)
    found: list[gate.Compared] = []
    for examples, name, apart in ((known, "通用帖", True), (own, OWN_PART, False)):
        if examples:
            found += gate.compare(
                examples,
                evaluate.by_model(one, examples),
                evaluate.by_model(two, examples),
                name=f"{name}（对比{whose}）",
                apart=apart,
            )
    return found
