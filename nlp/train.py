"""``yujing train``: corpora in, a model directory out. Every stage is kept in a work folder and not done twice.

0 when asked, what comes before the labels, one after another:
  masked words on unlabelled posts (nlp.pretrain)         → work/pretrained/model
  imitation of a larger encoder on the same (nlp.imitate) → work/imitated/model
  distillation from other models (nlp.distil)             → work/distilled/model
1 split        what is trained on, tuned on and measured on (nlp.split)
2 n-grams      the wide part (nlp.wide_fit)           → work/wide.safetensors, work/kinds.safetensors
3 encoder      fine-tuning within a budget (nlp.learn) → work/encoder.safetensors, resumable at any point
4 finish       calibration and thresholds (nlp.tune), scores (nlp.evaluate), card, manifest → out
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from domain.errors import ConfigError, InputError, ModelError
from nlp import bundle as bundles
from nlp import card, corpus, evaluate, tune
from nlp.corpus_files import digest, find
from nlp.lexicon import Lexicon
from nlp.runtime import Runtime
from nlp.segment import Segmenter
from nlp.split import Split, split
from nlp.train_settings import before_torch
from nlp.wide import Wide

Say = Callable[[str], None]
Kind = TypeVar("Kind")


def digests(data: Path, more: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256 of every corpus file that is read, of further sets too. Raises ``InputError`` when one is missing."""
    names = dict.fromkeys((*corpus.LABELLED, *corpus.OTHERS, corpus.UNLABELLED, *more))
    return {(path := find(data, name)).name: digest(path) for name in names}


def shipped_base() -> Path:
    """The pre-trained encoder that comes with the package."""
    return Path(str(resources.files("nlp") / "base"))


def destination(out: Path, work: Path | None = None) -> Path:
    """``out`` as a full path, when a model may be put there: it is nothing yet, an empty folder or a model.

    ``work``, the folder of the stages, must lie elsewhere. Raises ``InputError``.
    """
    out = out.resolve()
    if Path.cwd().is_relative_to(out):
        raise InputError(f"--out 不能是 {out}：当前目录在里面")
    if work and work.resolve().is_relative_to(out):
        raise InputError(f"--work 不能在 {out} 里面：那里要换成新模型")
    if out.exists():
        if not out.is_dir():
            raise InputError(f"{out} 不是目录")
        inside = {path.name for path in out.iterdir()}
        others = inside - {*bundles.FILES, bundles.MANIFEST} if bundles.MANIFEST in inside else inside
        if others:
            raise InputError(f"{out} 里有别的东西（{min(others)}），不覆盖")
    above = next(path for path in out.parents if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{above} 里写不了东西")
    return out


@dataclass(frozen=True, kw_only=True)
class Before:
    """What the base goes through before the labels; nothing, unless asked for."""

    pretrain_min: float = 0.0
    """Minutes of guessing masked words."""
    guide: str | Path | None = None
    """A larger encoder (folder or hub id) to imitate."""
    guide_min: float = 0.0
    teachers: Sequence[Path] = ()
    """Model directories to learn from."""
    distil_min: float = 0.0


def train(
    *,
    data: Path,
    base: str | Path,
    out: Path,
    work: Path,
    chosen: Mapping[str, Any],
    budget_min: float,
    before: Before = Before(),
    say: Say,
) -> str:
    """All stages; killed at any point, the same call goes on. Returns ``name@version`` of what is in ``out``.

    ``base``: a Hugging Face folder or hub id, or a model directory. Raises ``InputError`` for missing or broken
    corpora and for an ``out`` where no model can be put, ``ModelError`` for a base, a guide or a teacher that is none,
    and ``ConfigError`` when the work folder belongs to other settings.
    """
    out = destination(out, work)
    before_torch()
    from nlp.bases import from_pretrained, tokeniser_of
    from nlp.learn import Recipe, fit

    run = _examined(data, base, chosen, budget_min, before)
    _claim(work, run)
    start = _unlabelled(data, base, work, chosen, before, say)
    say("读语料")
    parts = split(data, held_out=chosen["held_out"])
    if not any(example.set in corpus.LABELLED for example in parts.train):
        raise InputError(f"{data} 里没有可训练的标注帖：标注文件是空的，或全部落在留出部分")
    if not parts.tune or not parts.test:
        raise InputError(f"{data} 里没有留出来校准和评测的帖子：语料太少，或设置里的 held_out 太小")
    _wide(parts, work, chosen, say)
    if before.teachers:
        from nlp.distil import Lessons, distil

        start = distil(
            data=data,
            parts=parts,
            teachers=before.teachers,
            base=start,
            work=work / "distilled",
            lessons=_settings_of(Lessons, chosen, "distil"),
            budget_min=before.distil_min,
            say=say,
        )
    recipe = _settings_of(Recipe, chosen, "encoder")
    fit(
        parts.train,
        begin=lambda: from_pretrained(start, dropout=recipe.dropout),
        tokeniser=tokeniser_of(start),
        work=work,
        recipe=recipe,
        budget_min=budget_min,
        say=say,
    )
    return finish(base=start, out=out, work=work, run=run, parts=parts, say=say)


def _unlabelled(
    data: Path, base: str | Path, work: Path, chosen: Mapping[str, Any], before: Before, say: Say
) -> str | Path:
    """The base after what needs no labels."""
    start = base
    if before.pretrain_min:
        from nlp.pretrain import Course, pretrain

        start = pretrain(
            data=data,
            base=start,
            work=work / "pretrained",
            course=_settings_of(Course, chosen, "pretrain"),
            budget_min=before.pretrain_min,
            say=say,
        )
    if before.guide:
        from nlp.imitate import Practice, imitate

        start = imitate(
            data=data,
            guide=before.guide,
            base=start,
            work=work / "imitated",
            practice=_settings_of(Practice, chosen, "imitate"),
            budget_min=before.guide_min,
            say=say,
        )
    return start


def _examined(
    data: Path, base: str | Path, chosen: Mapping[str, Any], budget_min: float, before: Before
) -> dict[str, Any]:
    """What a run is made of, as its work folder is claimed for it. Raises what ``train`` raises for what is no good:
    it shall not be found out after the n-grams."""
    from nlp.bases import from_pretrained, identity, tokeniser_of

    if before.pretrain_min and (Path(base) / bundles.MANIFEST).is_file():
        raise ModelError(
            f"{base} 是模型目录，不能再预训练：去掉 --pretrain-min，或用 Hugging Face 格式的 BERT"
        )
    for teacher in before.teachers:
        bundles.open_bundle(teacher)
    sets = [
        *(chosen["pretrain"]["sets"] if before.pretrain_min else ()),
        *(chosen["imitate"]["sets"] if before.guide else ()),
    ]
    run = {
        "data": digests(data, (name.partition("/")[0] for name in sets)),
        "base": identity(base),
        "pretrain_min": before.pretrain_min,
        "guide": identity(before.guide) if before.guide else "",
        "guide_min": before.guide_min if before.guide else 0.0,
        "teachers": [bundles.named(teacher) for teacher in before.teachers],
        "distil_min": before.distil_min if before.teachers else 0.0,
        "budget_min": budget_min,
        "settings": dict(chosen),
    }
    tokeniser_of(base)
    from_pretrained(base)
    if before.guide:
        if run["guide"] == run["base"]:
            raise ModelError(f"{before.guide} 就是要训练的编码器：--guide 要另一个（更大的）")
        from nlp.imitate import Guide

        Guide(before.guide)
    return run


def _settings_of(kind: Callable[..., Kind], chosen: Mapping[str, Any], part: str) -> Kind:
    """A part of the settings as its type. Raises ``ConfigError``."""
    try:
        return kind(**chosen[part])
    except TypeError as error:
        raise ConfigError(f"训练设置的 {part} 部分不对：{error}") from error


def _claim(work: Path, run: dict[str, Any]) -> None:
    """Make the work folder ours, or go on in it when it was made for the same run."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / "run.json"
    part = path.with_suffix(".part")
    text = json.dumps(run, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    if path.exists():
        before = _claimed(path)
        if {**before, "budget_min": None} != {**json.loads(text), "budget_min": None}:
            raise ConfigError(f"{work} 里是另一次训练(设置或语料不同);请删掉它,或用 --work 换一个目录")
        # The learning rate has followed the budget: what was trained by one cannot go on by another.
        if before.get("budget_min", run["budget_min"]) != run["budget_min"]:
            raise ConfigError(
                f"{work} 里的训练是按 --budget-min {before['budget_min']:g} 开始的，不能换着接下去；"
                "请用同样的分钟数，或删掉它重来"
            )
    elif others := {each.name for each in work.iterdir()} - {part.name}:
        raise ConfigError(f"{work} 里有别的东西（{min(others)}）；请用 --work 换一个目录")
    else:
        part.write_text(text, "utf-8")
        part.rename(path)


def _claimed(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"读不了 {path}：{' '.join(str(error).split())}；请用 --work 换一个目录") from error
    return read if isinstance(read, dict) else {}


def _wide(parts: Split, work: Path, chosen: Mapping[str, Any], say: Say) -> None:
    """Both tables of n-grams into the work folder, once."""
    platform = [e for e in parts.train if e.set in corpus.LABELLED]
    kinds = [e for e in parts.train if e.set in corpus.LABELLED or e.domain > 0]
    for name, examples, tasks in (("wide", platform, "platform_tasks"), ("kinds", kinds, "kind_tasks")):
        path = work / f"{name}.safetensors"
        if path.exists():
            continue
        from safetensors.numpy import save_file

        from nlp import wide_fit

        made = wide_fit.fit(examples, getattr(wide_fit, tasks)(examples), say=say, **chosen[name])
        part = path.with_suffix(".part")
        save_file(vars(made), part)
        part.rename(path)


def finish(
    *,
    base: str | Path,
    out: Path,
    work: Path,
    run: Mapping[str, Any],
    parts: Split,
    say: Say,
) -> str:
    """Calibrate, measure, describe and seal what the work folder holds, finished or not yet.

    ``base``: what the fine-tuning began with; ``run``: what the folder was claimed for.
    """
    from safetensors.numpy import load_file

    from nlp.bases import from_pretrained, tokeniser_of
    from nlp.export import export_trained

    making = work / "model"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    say("导出")
    platform = [e for e in parts.train if e.set in corpus.LABELLED]
    tokeniser = tokeniser_of(base)
    export_trained(
        from_pretrained(base),
        work / "encoder.safetensors",
        examples=platform,
        tokeniser=tokeniser,
        out=making / "encoder.onnx",
    )
    (making / "tokenizer.json").write_text(tokeniser.json, "utf-8")
    for name in bundles.TENSORS:
        shutil.copy(work / name, making / name)
    loaded = bundles.Bundle(
        name=bundles.NAME,
        encoder=(making / "encoder.onnx").read_bytes(),
        tokeniser=tokeniser,
        wide=Wide(**load_file(making / "wide.safetensors")),
        kinds=Wide(**load_file(making / "kinds.safetensors")),
        fusion=tune.START,
        card={},
    )
    say("校准")
    fusion = tune.fit(parts.tune, tune.read(Runtime(loaded), parts.tune))
    (making / "fusion.json").write_text(json.dumps(fusion.values(), indent=1) + "\n", "utf-8")
    say("评测")
    runtime = Runtime(replace(loaded, fusion=fusion))
    scores = evaluate.compare(runtime, Lexicon.shipped(Segmenter()), parts.test)
    described = card.describe(run=run, parts=parts, fitting=_fitting(work), scores=scores)
    (making / "card.json").write_text(json.dumps(described, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (making / "CARD.md").write_text(card.markdown(described, scores), "utf-8")
    name = bundles.seal(making)
    for path in making.iterdir():
        path.chmod(0o644)
    _swap(making, out)
    say(f"已写出 {name} → {out}")
    return name


def _fitting(work: Path) -> dict[str, Any]:
    """How the fine-tuning went: steps, passes, minutes and the curve of the losses."""
    path = work / "encoder.done"
    read: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {"unfinished": True}
    return read


def _swap(made: Path, out: Path) -> None:
    """Put a copy of the new directory in the old one's place; the old one stays whole until the new one is."""
    destination(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        shutil.copytree(made, beside / "new")
        if out.exists():
            out.rename(beside / "old")
        (beside / "new").rename(out)
    finally:
        if not out.exists() and (beside / "old").exists():  # interrupted between the two
            (beside / "old").rename(out)
        shutil.rmtree(beside, ignore_errors=True)
