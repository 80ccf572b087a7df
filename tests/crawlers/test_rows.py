"""Rows of a file are the rows that it has: none is swallowed by another."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crawlers.rows import read_rows
from domain.errors import InputError


def cells(path: Path, text: str) -> list[list[str]]:
    path.write_bytes(text.encode())
    return [list((row.values or {}).values()) for row in read_rows(path, needs=())]


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_quote_within_a_cell_opens_nothing(tmp_path: Path, delimiter: str) -> None:
    rows = [["1", '他说"好'], ["2", "提现不了"], ["3", '屏幕5"的手机'], ["4", '"引'], ["5", "末条"]]
    text = "\n".join(delimiter.join(row) for row in [["id", "text"], *rows[:3]])
    text += f'\n4{delimiter}"""引"\n5{delimiter}末条'
    assert cells(tmp_path / "x.csv", text) == rows


@given(st.text(st.sampled_from('",\na'), max_size=60))
@settings(max_examples=500, deadline=None)
def test_what_csv_reads_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, soup: str) -> None:
    try:
        expected = [row for row in csv.reader(io.StringIO(soup, newline=""), strict=True) if row]
    except csv.Error:  # strict tells a quote that is never closed, and what follows one that is
        assume(False)
    assume(all(len(row) <= 3 for row in expected))
    path = tmp_path_factory.mktemp("rows") / "x.csv"
    found = [row[:3] for row in cells(path, "a,b,c\n" + soup)]
    assert found == [row + [""] * (3 - len(row)) for row in expected]


@pytest.mark.parametrize(
    ("rows", "read"),
    [
        (['1,"abc,bob', '2,"def",amy', '3,"ghi",joe', "4,x,y"], ["2", "3", "4"]),
        (['1,"没有关,bob', *(f"{n},好,x" for n in range(2, 60)), '60,"引号好,的",amy'], [str(n) for n in range(2, 61)]),
        (['1,"没有关', '2,"两', '行",x', "3,好,x"], ["2", "3"]),
    ],
)  # fmt: skip
def test_a_quote_that_is_never_closed_costs_its_own_line(
    tmp_path: Path, rows: list[str], read: list[str]
) -> None:
    assert [row[0] for row in cells(tmp_path / "x.csv", "\n".join(["id,text,author", *rows])) if row] == read


def test_columns_without_a_heading_are_left_out(tmp_path: Path) -> None:
    assert cells(tmp_path / "x.csv", "id,,text,,\n1,算错,提现不了,,随手记\n") == [["1", "提现不了"]]


def test_lines_that_end_with_cr_alone_are_said_to(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="换行"):
        cells(tmp_path / "x.csv", "id,text\r1,a\r2,b\r")
