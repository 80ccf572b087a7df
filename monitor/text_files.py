"""Opens text files that people hand in: what is wrong with one is one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from domain.errors import InputError

_REASONS = {
    FileNotFoundError: "文件不存在",
    IsADirectoryError: "是目录，不是文件",
    PermissionError: "没有读取权限",
}


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A UTF-8 file, with or without BOM. Raises ``InputError`` when it cannot be opened or read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: {_REASONS.get(type(error), error.strerror or str(error))}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: 不是 UTF-8 文本") from error
