"""A copy of the shipped configuration that a test may spoil."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from config.environment import shipped

Edit = Callable[[str, str, str], int]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole, right configuration."""
    target = tmp_path / "config"
    target.mkdir()
    for file in shipped().glob("*.yaml"):
        shutil.copyfile(file, target / file.name)
    shutil.copytree(shipped() / "plans", target / "plans")
    return target


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Replace the first occurrence of a text in a file; returns the 1-based line of the replacement."""

    def change(file: str, old: str, new: str) -> int:
        path = folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return text[: text.index(old)].count("\n") + 1 + new[: len(new) - len(new.lstrip("\n"))].count("\n")

    return change
