"""Rows of CSV files as people hand them in."""

from __future__ import annotations

from pathlib import Path

from monitor.text_files import csv_rows, opened


def rows(folder: Path, text: str) -> list[tuple[int, list[str]]]:
    path = folder / "counts.csv"
    path.write_text(text, "utf-8", newline="")
    with opened(path) as file:
        return list(csv_rows(path, file, ("timestamp", "value")))


def test_a_quoted_cell_may_have_line_breaks(tmp_path: Path) -> None:
    text = 'note,timestamp,value\r\n"a,\r\n\r\n""9"", b",t1,1\r\nplain,t2,2\r\n"c\nd",t3,3\r\n'
    assert rows(tmp_path, text) == [(2, ["t1", "1"]), (5, ["t2", "2"]), (6, ["t3", "3"])]


def test_a_quote_that_is_never_closed_spoils_its_own_line(tmp_path: Path) -> None:
    for stray in ('t1,1,"27 inch', '"t1,1,x', 't1,1,27"'):
        for last in ('t3,3,"closed"', 't3,3,"a\nb"'):
            found = rows(tmp_path, f"timestamp,value,note\n{stray}\nt2,2,\n{last}\n")
            assert [number for number, _ in found] == [2, 3, 4], (stray, last)
            assert [cells for _, cells in found][1:] == [["t2", "2"], ["t3", "3"]], (stray, last)


def test_two_quotes_far_apart_are_no_cell(tmp_path: Path) -> None:
    between = "".join(f"t{n},1,\n" for n in range(30))
    assert len(rows(tmp_path, f'timestamp,value,note\ns,1,"27\n{between}e,1,27"\n')) == 32
