"""``yujing train``: corpora in, a model directory out. Every stage is kept in a work folder and not done twice.

1 split        what is trained on, tuned on and measured on (nlp.corpus)
2 n-grams      the wide part (nlp.wide_fit)           → work/wide.safetensors
3 encoder      fine-tuning within a budget (nlp.learn) → work/encoder.safetensors, resumable at any point
4 finish       calibration and thresholds (nlp.tune), scores (nlp.evaluate), card, manifest → out
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from domain.errors import ConfigError, InputError, ModelError
from nlp import bundle as bundles
from nlp import card, corpus, evaluate, tune
from nlp.lexicon import Lexicon
from nlp.runtime import Runtime
from nlp.segment import Segmenter
from nlp.tokens import Tokeniser
from nlp.wide import Wide

Say = Callable[[str], None]
CALIBRATION = 200
"""Training texts from which the exported encoder takes the scales of its inputs."""


def settings(path: Path | None = None) -> dict[str, Any]:
    """The settings of a YAML file, ``nlp/train.yaml`` when none is named. Raises ``ConfigError``."""
    name = str(path or "nlp/train.yaml")
    try:
        text = (path or resources.files("nlp") / "train.yaml").read_text("utf-8")
        read = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"读不了训练设置 {name}:{' '.join(str(error).split())}") from error
    shape = {"held_out": float, "encoder": dict, "wide": dict}
    if not isinstance(read, dict) or set(read) != set(shape):
        raise ConfigError(f"训练设置 {name} 应有且只有 {'、'.join(shape)}")
    for key, kind in shape.items():
        if not isinstance(read[key], kind):
            raise ConfigError(f"训练设置 {name} 的 {key} 应是 {kind.__name__}")
    return read


def digests(data: Path) -> dict[str, str]:
    """SHA-256 of every corpus file that is read. Raises ``InputError`` when one is missing."""
    names = (*corpus.LABELLED, *corpus.OTHERS)
    return {(path := corpus.find(data, name)).name: corpus.digest(path) for name in names}


def train(
    *, data: Path, base: Path, out: Path, work: Path, chosen: Mapping[str, Any], budget_min: float, say: Say
) -> str:
    """All stages; killed at any point, the same call goes on. Returns ``name@version`` of what is in ``out``.

    Raises ``InputError`` for missing or broken corpora, ``ModelError`` for a base that is no encoder, and
    ``ConfigError`` when the work folder belongs to other settings.
    """
    for needed in ("config.json", "model.safetensors", "vocab.txt"):
        if not (base / needed).is_file():
            raise ModelError(f"预训练模型目录 {base} 里没有 {needed}")
    _claim(
        work,
        {"data": digests(data), "base": corpus.digest(base / "model.safetensors"), "settings": dict(chosen)},
    )
    say("读语料")
    parts = corpus.split(data, held_out=chosen["held_out"])
    if not any(example.set in corpus.LABELLED for example in parts.train):
        raise InputError(f"{data} 里没有可训练的标注帖：标注文件是空的，或全部落在留出部分")
    _wide(parts, work, chosen, say)
    if not (work / "encoder.done").exists():
        # Threads of OpenMP that spin while they wait make a shared machine five times slower. Read at torch's import.
        os.environ.setdefault("GOMP_SPINCOUNT", "0")
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from nlp.learn import Recipe, fit

        try:
            recipe = Recipe(**chosen["encoder"])
        except TypeError as error:
            raise ConfigError(f"训练设置的 encoder 部分不对:{error}") from error
        fit(parts.train, base=base, work=work, recipe=recipe, budget_min=budget_min, say=say)
    return finish(data=data, base=base, out=out, work=work, chosen=chosen, parts=parts, say=say)


def _claim(work: Path, run: dict[str, Any]) -> None:
    """Make the work folder ours, or go on in it when it was made for the same run."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / "run.json"
    text = json.dumps(run, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    if path.exists() and path.read_text("utf-8") != text:
        raise ConfigError(f"{work} 里是另一次训练(设置或语料不同);请删掉它,或用 --work 换一个目录")
    path.write_text(text, "utf-8")


def _wide(parts: corpus.Split, work: Path, chosen: Mapping[str, Any], say: Say) -> Wide:
    from safetensors.numpy import load_file, save_file

    path = work / "wide.safetensors"
    if not path.exists():
        from nlp import wide_fit

        made = wide_fit.fit([e for e in parts.train if e.set in corpus.LABELLED], say=say, **chosen["wide"])
        part = path.with_suffix(".part")
        save_file(vars(made), part)
        part.rename(path)
    return Wide(**load_file(path))


def _export(base: Path, work: Path, tokeniser: Tokeniser, parts: corpus.Split, out: Path) -> bytes:
    """Write the fine-tuned encoder as inference runs it; returns the file's content."""
    from safetensors.torch import load_file

    from nlp import batches
    from nlp.export import export
    from nlp.model import from_pretrained

    judge = from_pretrained(base)
    judge.load_state_dict(load_file(work / "encoder.safetensors"))
    rng = np.random.default_rng(0)
    some = [parts.train[i] for i in rng.permutation(len(parts.train))[:CALIBRATION]]
    export(judge, windows=batches.windows(some, tokeniser, rng), out=out)
    return out.read_bytes()


def finish(
    *, data: Path, base: Path, out: Path, work: Path, chosen: Mapping[str, Any], parts: corpus.Split, say: Say
) -> str:
    """Calibrate, measure, describe and seal what the work folder holds, finished or not yet."""
    from safetensors.numpy import load_file

    making = out.with_name(f"{out.name}.part")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    tokeniser = Tokeniser(base / "vocab.txt")
    (making / "tokenizer.json").write_text(tokeniser.json, "utf-8")
    shutil.copy(work / "wide.safetensors", making / "wide.safetensors")
    loaded = bundles.Bundle(
        name=bundles.NAME,
        encoder=_export(base, work, tokeniser, parts, making / "encoder.onnx"),
        tokeniser=tokeniser,
        wide=Wide(**load_file(making / "wide.safetensors")),
        fusion=tune.START,
        card={},
    )
    say("校准")
    fusion = tune.fit(parts.tune, tune.read(Runtime(loaded), parts.tune))
    (making / "fusion.json").write_text(json.dumps(fusion.values(), indent=1) + "\n", "utf-8")
    say("评测")
    runtime = Runtime(replace(loaded, fusion=fusion))
    scores = evaluate.compare(runtime, Lexicon.shipped(Segmenter()), parts.test)
    described = card.describe(
        data=digests(data),
        base=hashlib.sha256((base / "model.safetensors").read_bytes()).hexdigest(),
        chosen=chosen,
        parts=parts,
        run=_run(work),
        scores=scores,
    )
    (making / "card.json").write_text(json.dumps(described, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (making / "CARD.md").write_text(card.markdown(described, scores), "utf-8")
    name = bundles.seal(making)
    for path in making.iterdir():
        path.chmod(0o644)
    _swap(making, out)
    say(f"已写出 {name} → {out}")
    return name


def _run(work: Path) -> str:
    """How far the fine-tuning came."""
    path = work / "encoder.done"
    return path.read_text("utf-8").strip() if path.exists() else "unfinished"


def _swap(making: Path, out: Path) -> None:
    """Put the new directory in the old one's place; the old one stays whole until the new one is."""
    old = out.with_name(f"{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        if any(out.iterdir()) and not (out / bundles.MANIFEST).is_file():
            raise InputError(f"{out} 里有别的东西,不覆盖;新模型留在 {making}")
        out.rename(old)
    making.rename(out)
    shutil.rmtree(old, ignore_errors=True)
