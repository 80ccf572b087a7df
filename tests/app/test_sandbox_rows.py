"""Rows of a scenario: what can be used is used, what cannot is counted by its number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.rows import MAX_LINE, built_in, parse_rows, read_rows
from domain.errors import InputError


def line(**fields: object) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def test_all_fields() -> None:
    found = parse_rows(
        [line(text="提现没到账", title="题", brand=" 青石 支付 ", offset_s=90, platform="WEIBO")]
    )
    (row,) = found.rows
    assert (row.text, row.title, row.brand, row.offset_s, row.platform) == (
        "提现没到账",
        "题",
        "青石 支付",
        90.0,
        "weibo",
    )
    assert found.skipped == ()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"{", "不是 JSON"),
        (b"[1]", "不是 JSON 对象"),
        (b"\xff{}", "不是 UTF-8"),
        (b"[" * 100_000, "不是 JSON"),
        (line(title="没有正文"), "缺少 text"),
        (line(text="  \n "), "缺少 text"),
        (line(text=3), "text 不是文字"),
        (line(text="好", brand=["甲"]), "brand 不是文字"),
        (line(text="好", brand="甲" * 41), "brand 超过 40 字"),
        (line(text="好", offset_s="90"), "offset_s 不是数字"),
        (line(text="好", offset_s=True), "offset_s 不是数字"),
        (b'{"text":"\xe5\xa5\xbd","offset_s":NaN}', "offset_s 不是数字"),
        (b'{"text":"\xe5\xa5\xbd","offset_s":1' + b"0" * 400 + b"}", "offset_s 不是数字"),
    ],
)
def test_bad_row_is_left_out_by_its_number(bad: bytes, why: str) -> None:
    found = parse_rows([line(text="一"), b"", bad, line(text="二")])
    assert [row.text for row in found.rows] == ["一", "二"]
    assert found.skipped == (f"第 3 行：{why}",)


def test_byte_order_mark_and_surrogates() -> None:
    found = parse_rows([b"\xef\xbb\xbf" + line(text="一"), b'{"text":"\\ud83d half \\u0000"}'])
    assert [row.text for row in found.rows] == ["一", "? half "]


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "crisis.jsonl"
    path.write_bytes(
        line(text="一") + b"\nnonsense\n" + line(text="x" * (MAX_LINE * 2)) + b"\n" + line(text="二")
    )
    found = read_rows(path)
    assert [row.text for row in found.rows] == ["一", "二"]
    assert found.skipped == ("第 2 行：不是 JSON", "第 3 行：过长")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{}\n", b"\x00\x00"])
def test_nothing_usable_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "crisis.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"crisis\.jsonl"):
        read_rows(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read_rows(path)


@given(st.lists(st.binary(max_size=60)))
def test_any_bytes_are_rows_or_counted(lines: list[bytes]) -> None:
    found = parse_rows(lines)
    assert len(found.rows) + len(found.skipped) == sum(1 for text in lines if text.strip())


@pytest.mark.parametrize(("name", "least"), [("crisis", 100), ("calm", 500), ("campaign", 100)])
def test_built_in_posts(name: str, least: int) -> None:
    found = built_in(name)
    assert len(found.rows) >= least
    assert found.skipped == ()
    assert all(row.brand and row.platform in ("weibo", "guba", "heimao", "news") for row in found.rows)
