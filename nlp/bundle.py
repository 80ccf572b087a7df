"""A model directory: what it holds, how it is written, and how it is checked before a byte of it is used.

    manifest.json        format, name, version, size and SHA-256 of every other file
    encoder.onnx         the network and its weights, as ``nlp.export`` writes them
    tokenizer.json       its word pieces
    wide.safetensors     the n-gram part for posts about platforms
    kinds.safetensors    the n-gram part for other kinds of text
    fusion.json          calibration and thresholds
    card.json, CARD.md   where it came from: data digests, settings, scores, weaknesses

Nothing in it is code: ONNX with the operators of ONNX Runtime, safetensors and JSON. Never pickle.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from domain.errors import ModelError
from nlp.fusion import Fusion
from nlp.labels import DOMAINS, SENTIMENTS, STANCES, TOPICS
from nlp.tokens import Tokeniser
from nlp.wide import KIND_OUTPUTS, OUTPUTS, Wide

FORMAT = 2
NAME = "yujing-bert"
MANIFEST = "manifest.json"
TENSORS = ("wide.safetensors", "kinds.safetensors")
FILES = ("encoder.onnx", "tokenizer.json", *TENSORS, "fusion.json", "card.json", "CARD.md")
_MOST_BYTES = 2_000_000_000
_LARGEST = 1e6
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names become names of files."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A checked model directory in memory."""

    name: str
    """``name@version``; the version is the beginning of the digest over all files that decide."""
    encoder: bytes
    """The content of ``encoder.onnx``."""
    tokeniser: Tokeniser
    wide: Wide
    kinds: Wide
    fusion: Fusion
    card: dict[str, Any]
    described: str = ""
    """The content of ``CARD.md``."""


def shipped() -> Path:
    """The directory of the weights that come with the package."""
    return Path(str(resources.files("nlp") / "weights"))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _version(content: Mapping[str, bytes]) -> str:
    """The beginning of the digest over all files that decide; the card describes, and does not."""
    deciding = hashlib.sha256()
    for name in FILES:
        if not name.lower().startswith("card"):
            deciding.update(content[name])
    return deciding.hexdigest()[:12]


def seal(directory: Path) -> str:
    """Write the manifest of a directory whose files are complete; returns ``name@version``."""
    content = {name: (directory / name).read_bytes() for name in FILES}
    files = {name: {"bytes": len(each), "sha256": _digest(each)} for name, each in content.items()}
    manifest = {"format": FORMAT, "name": NAME, "version": _version(content), "files": files}
    part = directory / f"{MANIFEST}.part"
    part.write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    part.rename(directory / MANIFEST)
    return f"{NAME}@{manifest['version']}"


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{directory} 不是模型目录:没有 {MANIFEST}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"读不了 {path}:{error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise ModelError(f"{directory} 的格式是 {found},这里只认 {FORMAT}")
    files = manifest.get("files")
    if not isinstance(files, dict) or set(files) != set(FILES):
        raise ModelError(f"{path} 所列文件不对")
    if not all(_NAME.fullmatch(str(manifest.get(key, ""))) for key in ("name", "version")):
        raise ModelError(f"{path} 的 name 或 version 不是名字：只能有字母、数字和 . _ -")
    return manifest


def _checked(directory: Path, name: str, entry: Any) -> bytes:
    path = directory / name
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise ModelError(f"模型文件 {path} 不是文件")
        if path.stat().st_size > _MOST_BYTES:
            raise ModelError(f"{path} 太大")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"模型文件 {path} 读不了:{error.strerror or error}") from error
    if not isinstance(entry, dict) or entry.get("bytes") != len(content):
        raise ModelError(f"模型文件 {path} 长度不对,可能没有下载完整")
    if entry.get("sha256") != _digest(content):
        raise ModelError(f"模型文件 {path} 与清单的摘要不符,可能被改动过")
    return content


def named(directory: Path) -> str:
    """``name@version`` by the manifest alone; nothing else is read. Raises ``ModelError``."""
    manifest = _manifest(directory)
    return f"{manifest.get('name')}@{manifest.get('version')}"


def open_bundle(directory: Path) -> Bundle:
    """Read and check a model directory.

    Raises ``ModelError``, one line, when it is missing, truncated, of another format or differs from its manifest.
    """
    from safetensors.numpy import load

    manifest = _manifest(directory)
    content = {name: _checked(directory, name, manifest["files"][name]) for name in FILES}
    if manifest.get("version") != _version(content):
        raise ModelError(f"{directory} 清单里的版本与文件不符")
    try:
        bundle = Bundle(
            name=f"{manifest['name']}@{manifest['version']}",
            encoder=content["encoder.onnx"],
            tokeniser=Tokeniser(content["tokenizer.json"].decode()),
            wide=Wide(**load(content["wide.safetensors"])),
            kinds=Wide(**load(content["kinds.safetensors"])),
            fusion=Fusion.of(json.loads(content["fusion.json"])),
            card=json.loads(content["card.json"]),
            described=content["CARD.md"].decode(),
        )
        finite = all(_is_finite(number) for number in _leaves(bundle.fusion.values()))
    except ModelError:
        raise
    except Exception as error:  # safetensors raises its own kind, and a foreign file can fail in any way
        raise ModelError(f"{directory} 的内容不能用:{type(error).__name__}: {error}") from error
    if not isinstance(bundle.card, dict):
        raise ModelError(f"{directory} 的 card.json 不是一组键值")
    if not finite:
        raise ModelError(f"{directory} 的 fusion.json 里有不是数字的值")
    if len(bundle.fusion.thresholds) != len(TOPICS):
        raise ModelError(f"{directory} 的话题数是 {len(bundle.fusion.thresholds)},应为 {len(TOPICS)}")
    if wrong := [*_wrong_tables(bundle), *_wrong_biases(bundle.fusion)]:
        raise ModelError(f"{directory} 与本程序的任务不合：{'、'.join(wrong)} 的形状不对")
    return bundle


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _is_finite(number: Any) -> bool:
    """JSON as Python reads it knows NaN and Infinity: with them every text would be judged alike without a word."""
    return isinstance(number, int | float) and abs(number) < _LARGEST


def _wrong_tables(bundle: Bundle) -> list[str]:
    """Tables of n-grams that are not of our outputs: they would count for something else without a word."""
    wrong = []
    for name, table, outputs in (("wide", bundle.wide, OUTPUTS), ("kinds", bundle.kinds, KIND_OUTPUTS)):
        grams = len(table.hashes)
        shapes = [each.shape for each in (table.hashes, table.idf, table.weights, table.scale, table.bias)]
        width = len(outputs)
        if not grams or shapes != [(grams,), (grams,), (grams, width), (width,), (width,)]:
            wrong.append(f"{name}.safetensors")
    return wrong


def _wrong_biases(fusion: Fusion) -> list[str]:
    wanted = {"topics": len(TOPICS), "stance": len(STANCES), "ad": 1, "kind": len(DOMAINS)}
    wanted |= dict.fromkeys(("sentiment", "alone", "among"), len(SENTIMENTS))
    wrong = [f"fusion.{name}" for name, size in wanted.items() if len(getattr(fusion, name).bias) != size]
    if [len(mix.bias) for mix in fusion.others] != [len(SENTIMENTS)] * (len(DOMAINS) - 1):
        wrong.append("fusion.others")
    return wrong
