"""Whatever people or accidents do to the files: problems or settings, never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.document import read
from config.environment import shipped
from config.load import check, load
from domain.errors import ConfigError

FILES = sorted(path.relative_to(shipped()) for path in shipped().rglob("*.yaml"))
SNIPPETS = [
    "[",
    "]",
    "{",
    "}",
    ":",
    "- ",
    "\n",
    "\t",
    "'",
    '"',
    "#",
    "&a ",
    "*a",
    "!!int ",
    "|",
    "\x00",
    "é",
    "\ud83d",
]
SNIPPETS += [
    "999999999999999999999",
    "1e999",
    "-1",
    "null",
    "true",
    "   ",
    "? ",
    "%",
    "---\n",
    "<<: ",
    "\u202e",
    "\\e",
]


def mutate(text: str, chance: random.Random) -> str:
    """A few accidents: something inserted, a line lost, doubled, moved or shifted, a value replaced."""
    for _ in range(chance.randint(1, 4)):
        lines = text.split("\n")
        at = chance.randrange(len(lines))
        kind = chance.randrange(6)
        if kind == 0:
            place = chance.randrange(len(text) + 1)
            text = text[:place] + chance.choice(SNIPPETS) + text[place:]
            continue
        if kind == 1:
            del lines[at]
        elif kind == 2:
            lines.insert(at, lines[at])
        elif kind == 3:
            lines.insert(chance.randrange(len(lines)), lines.pop(at))
        elif kind == 4:
            lines[at] = " " * chance.randint(1, 3) + lines[at]
        else:
            lines[at] = lines[at].partition(":")[0] + ": " + chance.choice(SNIPPETS)
        text = "\n".join(lines)
    return text


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), file=st.sampled_from(FILES))
def test_mutated_file_never_breaks_the_reader(folder: Path, seed: int, file: Path) -> None:
    original = (shipped() / file).read_bytes()
    mutated = mutate(original.decode(), random.Random(seed)).encode("utf-8", "surrogatepass")
    (folder / file).write_bytes(mutated)
    try:
        problems = check(folder)
        for problem in problems:
            assert "\n" not in str(problem)
            assert 0 <= problem.line <= mutated.count(b"\n") + 2 or not problem.file.endswith(file.name)
        if problems:
            with pytest.raises(ConfigError):
                load(folder)
        else:
            assert load(folder).topics
    finally:
        (folder / file).write_bytes(original)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    document = read(path)
    assert document.problems or document.value is not None or content.strip()


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = [
    "brands",
    "sources",
    "topics",
    "routes",
    "tasks",
    "baselines",
    "levels",
    "detection",
    "id",
    "name",
    "level",
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=st.sampled_from(FILES), value=st.dictionaries(st.sampled_from(KEYS), YAML, max_size=4))
def test_any_shape_of_values_is_problems(folder: Path, file: Path, value: dict[str, object]) -> None:
    import yaml

    original = (folder / file).read_bytes()
    (folder / file).write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8", errors="replace")
    try:
        assert all("\n" not in str(problem) for problem in check(folder))
    finally:
        (folder / file).write_bytes(original)
