from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.clean import clip, joined, normalise, own_words


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("平台暴雷了", "平台爆雷了"),
        ("老板跑鹿了", "老板跑路了"),
        ("老板跑lu了", "老板跑路了"),
        ("涉嫌非9吸", "涉嫌非吸"),
        ("提×难", "提现难"),
        ("提.现三天不到账", "提现三天不到账"),
        ("險(xiǎn)企被罰款", "险企被罚款"),
        ("跑\u200b路", "跑路"),
        ("ＡＰＰ，打不开", "APP,打不开"),
        ("见https://t.cn/Ab12转发", "见网址转发"),
        ("a  b\n\tc", "a b c"),
        ("年化3.5%,提前还款", "年化3.5%,提前还款"),
        ("跑lu8跑lucky", "跑路8跑lucky"),
        ("哈" * 30, "哈" * 8),
        ("坏\ud800字\x00符", "坏字符"),
    ],
)
def test_hostile_spelling_is_undone_and_honest_spelling_kept(written: str, meant: str) -> None:
    assert normalise(written) == meant


@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_any_text_becomes_clean_and_stays_so(text: str) -> None:
    once = normalise(text)
    once.encode("utf-8")
    assert "\x00" not in once
    assert once == once.strip()
    assert "\n" not in once


@pytest.mark.parametrize(
    "text",
    ["\u0301\u0323" * 500_000, "提." * 500_000, "险(" * 300_000, "https://" * 100_000, "a" * 1_000_000],
)
def test_a_megabyte_of_anything_takes_seconds(text: str) -> None:
    began = time.process_time()
    normalise(text)
    assert time.process_time() - began < 8


def test_a_title_that_the_body_repeats_is_said_once() -> None:
    assert joined("提现困难", "提现困难,已经三天") == "提现困难,已经三天"
    assert joined("云桥公告", "今日系统维护") == "云桥公告 今日系统维护"
    assert joined("", "只有正文") == "只有正文"


def test_repost_marks_are_not_the_authors_words() -> None:
    assert own_words("//@张三:原文在此") == "原文在此"
    assert own_words("回复@李四:说得对") == "说得对"


def test_a_huge_text_is_clipped_at_both_ends() -> None:
    short = clip("头" + "中" * 50_000 + "尾")
    assert short[0] == "头" and short[-1] == "尾" and len(short) < 16_000
