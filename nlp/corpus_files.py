"""The files of the corpora: JSON Lines, gzip or not; what is wrong in one is said with its place."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from domain.errors import InputError


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSON Lines file, gzip or not. Raises ``InputError`` naming file and row."""
    for _, row in placed(path):
        yield row


def placed(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with the words that say where it stands."""
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                where = f"{path} 第 {number} 行"
                yield where, _row(line, where)
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path} 第 {number + 1} 行读不出来：压缩文件不完整") from error
    except OSError as error:
        raise InputError(f"读不了 {path}:{error.strerror or error}") from error


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}不是 UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}不是 JSON:{error}") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}不是一组键值")
    return row


@contextmanager
def blaming(where: str) -> Iterator[None]:
    """What a row lacks, or holds of a wrong kind, is said as an ``InputError`` with its place."""
    try:
        yield
    except KeyError as error:
        raise InputError(f"{where}没有 {error.args[0]}") from error
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{where}内容不对：{' '.join(str(error).split())}") from error


def shipped() -> Path:
    """The folder of what was written or labelled for this project and comes with the package."""
    return Path(str(resources.files("nlp") / "corpora"))


def find(data: Path, name: str) -> Path:
    """The file of a set, in a folder or among what ships. Raises ``InputError`` when it is missing."""
    for folder in (data, shipped()):
        for ending in (".jsonl.gz", ".jsonl"):
            if (path := folder / f"{name}{ending}").is_file():
                return path
    raise InputError(f"{data} 里没有 {name}.jsonl.gz")


def text_hash(text: str) -> str:
    """By what a text of a corpus that may not be copied is known in the repository: SHA-256, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
