# ruff: noqa: E501
"""Dates of Chinese pages: the table of forms, and what holds for any text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.dates import SHANGHAI, SKEW, from_epoch, parse_date

NOW = datetime(2026, 3, 10, 15, 30, tzinfo=SHANGHAI)

# Tuesday 10 March 2026, 15:30 in Shanghai.
EXACT = {
    "刚刚": "03-10 15:30",
    "刚才": "03-10 15:30",
    "3分钟前": "03-10 15:27",
    "三分钟前": "03-10 15:27",
    "二十分钟前": "03-10 15:10",
    "一百二十分钟前": "03-10 13:30",
    "10分钟内": "03-10 15:20",
    "10分钟內": "03-10 15:20",
    "12分钟前发布": "03-10 15:18",
    "45秒前": "03-10 15:29",
    "半小时前": "03-10 15:00",
    "半个小时前": "03-10 15:00",
    "两小时前": "03-10 13:30",
    "两个半小时前": "03-10 13:00",
    "3个小时前": "03-10 12:30",
    "5小时以前": "03-10 10:30",
    "1小时前 来自微博": "03-10 14:30",
    "2 hours ago": "03-10 13:30",
    "昨天 12:30": "03-09 12:30",
    "昨天12:30": "03-09 12:30",
    "昨天 23:10 上海": "03-09 23:10",
    "昨日 8时5分": "03-09 08:05",
    "昨晚11点": "03-09 23:00",
    "前天08:15": "03-08 08:15",
    "今天 08:00": "03-10 08:00",
    "今早8:20": "03-10 08:20",
    "下午3:05": "03-10 15:05",
    "凌晨 0:05": "03-10 00:05",
    "周一 09:30": "03-09 09:30",
    "星期二 09:30": "03-10 09:30",
    "周二 18:00": "03-03 18:00",
    "礼拜天 晚上8点": "03-08 20:00",
    "14:59": "03-10 14:59",
    "23:59": "03-09 23:59",
    "03-08 19:20": "03-08 19:20",
    "编辑于 03-08 19:20": "03-08 19:20",
    "03-08 19:20 来自 iPhone": "03-08 19:20",
    "3月8日 19:20": "03-08 19:20",
    "三月八日 下午七点二十": "03-08 19:20",
    "发布于2026-03-09 10:00": "03-09 10:00",
    "来源：示例报 2026-03-09 10:00:01 编辑": "03-09 10:00",
    "2026年3月9日 星期一 10:30": "03-09 10:30",
    "2026-03-09（周一）10:30": "03-09 10:30",
    "2026年03月09日10:22": "03-09 10:22",
    "2026/3/9 8:05": "03-09 08:05",
    "2026.03.09 08:05": "03-09 08:05",
    "26-3-9 08:00": "03-09 08:00",
    "二〇二六年三月九日 下午三点半": "03-09 15:30",
    "２０２６－０３－０９ １０：２２": "03-09 10:22",
    "20260309123000": "03-09 12:30",
    "20260309 12:30": "03-09 12:30",
    "Tue Mar 10 12:30:45 +0800 2026": "03-10 12:30",
    "Mon Mar  9 08:00:00 CST 2026": "03-09 08:00",
    "Mon, 09 Mar 2026 04:00:00 GMT": "03-09 12:00",
    "Sat, 07 Mar 2026 08:01:00 +0800": "03-07 08:01",
    "2026-03-09T04:00:00Z": "03-09 12:00",
    "2026-03-09T12:00:00.123+08:00": "03-09 12:00",
    "2026-03-09 12:00:00 +0900": "03-09 11:00",
    "2026-03-09 04:00:00+00": "03-09 12:00",
    "2026-03-09 04:00:00.123456+00": "03-09 12:00",
    "2026-03-09 12:00 UTC+8": "03-09 12:00",
    "2026-03-09 12:00:00 UTC+08:00": "03-09 12:00",
    "20260309T040000Z": "03-09 12:00",
    "20260309T040000.123+0000": "03-09 12:00",
    "20260309T0400Z": "03-09 12:00",
    "20260309 040000 UTC": "03-09 12:00",
    "2026-03-09t04:00:00z": "03-09 12:00",
    "2026-03-09T04:00:00.1234567890Z": "03-09 12:00",
    "2026-03-09T04:00:00[UTC]": "03-09 12:00",
    "2026-03-08T23:00:00−05:00": "03-09 12:00",
    "2026-03-08 23:00:00 EST": "03-09 12:00",
    "2026-03-09 12:00IT之家": "03-09 12:00",
    "2026-03-09 12:00 by admin": "03-09 12:00",
    "Mon, 09 Mar 2026 04:00:00 +00:00": "03-09 12:00",
    "Mon, 09 Mar 2026 12:00:00 GMT+8": "03-09 12:00",
    "Mon Mar 09 2026 12:00:00 GMT+0800 (中国标准时间)": "03-09 12:00",
    "March 9, 2026 10:30 AM": "03-09 10:30",
    "March 9, 2026 at 10:30 PM": "03-09 22:30",
    "09-Mar-2026 10:00:00": "03-09 10:00",
    "Yesterday at 10:30": "03-09 10:30",
    "10:30 来自 iPhone 13": "03-10 10:30",
    "2026-03-09 3:05 PM": "03-09 15:05",
    "2026-03-09 24:00": "03-10 00:00",
    "1773115200": "03-10 12:00",
    "1773115200000": "03-10 12:00",
    "2026-03-10 15:35": "03-10 15:30",  # their clock is five minutes ahead of ours
}
DAYS = {
    "3天前": "2026-03-07",
    "十二天前": "2026-02-26",
    "一周前": "2026-03-03",
    "两个星期前": "2026-02-24",
    "一个月前": "2026-02-10",
    "半年前": "2025-09-10",
    "1年前": "2025-03-10",
    "昨天": "2026-03-09",
    "今天": "2026-03-10",
    "大前天": "2026-03-07",
    "03-05": "2026-03-05",
    "12月25日": "2025-12-25",
    "12-25": "2025-12-25",
    "02-29": "2024-02-29",
    "20260309": "2026-03-09",
    "二〇二六年三月九日": "2026-03-09",
    "二○二五年十二月三十一日": "2025-12-31",
    "2026-03-10": "2026-03-10",
    "2026年3月9日讯": "2026-03-09",
    "March 9, 2026": "2026-03-09",
    "9 Mar 2026": "2026-03-09",
    "yesterday": "2026-03-09",
}
NOTHING = (
    "", " ", "abc", "转发微博", "9999-12-31", "9999-12-31 23:59:59", "Fri, 31 Dec 9999 23:59:59 +0800", "0000-00-00",
    "0001-01-01T00:00:00Z", "1970-01-01", "2026-02-30", "2026-13-01", "99月99日", "2027-01-01", "2026-03-11",
    "2026-03-10 15:45", "2026年3月", "2026", "3.5万", "1.2.3", "1-2-3-4", "阅读 1203", "25:61", "明天 08:00", "今晚 20:00",
    "2026-03-09T10:00:00X", "2026-03-09 10:00 AEST", "2026-03-09T10:00:00[Europe/Paris]", "20260309T100000Q",
    "3/9/2026 10:00", "09/03/2026 10:00:00", "Monday 10:30", "上周五 10:00", "上个星期五 10:00", "Mar 9 10:30", "99999999999999999999", "9" * 5000, "-1", "\x00\ud800", "1e400",
)  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), EXACT.items())
def test_times(text: str, expected: str) -> None:
    stamp = parse_date(text, now=NOW)
    assert stamp is not None
    assert stamp.at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") == f"2026-{expected}"
    assert not stamp.date_only
    assert stamp.at.tzinfo is UTC


@pytest.mark.parametrize(("text", "expected"), DAYS.items())
def test_days(text: str, expected: str) -> None:
    stamp = parse_date(text, now=NOW)
    assert stamp is not None
    assert stamp.iso() == expected
    assert stamp.date_only
    assert stamp.at.astimezone(SHANGHAI).hour == 12


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text, now=NOW) is None


@pytest.mark.parametrize(
    "value", [0, -1, 1e300, float("nan"), float("inf"), True, None, [], {}, "x", 4102444800]
)
def test_nonsense_epochs_are_none(value: object) -> None:
    assert from_epoch(value, now=NOW) is None


def test_a_yearless_day_turns_over_at_new_year() -> None:
    january = datetime(2026, 1, 1, 0, 30, tzinfo=SHANGHAI)
    assert parse_date("12-31 23:50", now=january).iso() == "2025-12-31T23:50:00+08:00"
    assert parse_date("01-01", now=january).iso() == "2026-01-01"
    assert parse_date("01-02", now=january).iso() == "2025-01-02"


def test_relative_days_are_shanghai_days() -> None:
    """At 17:00 UTC it is already tomorrow in Shanghai."""
    now = datetime(2026, 3, 10, 17, 0, tzinfo=UTC)
    assert parse_date("昨天", now=now).iso() == "2026-03-10"
    assert parse_date("今天 00:30", now=now).at == datetime(2026, 3, 10, 16, 30, tzinfo=UTC)


moments = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
dateish = st.text("0123456789-/.:年月日时分秒前天昨今刚周个小两三十半 TZ+AMPMagoMar〇零", max_size=30)


@given(text=st.one_of(st.text(max_size=60), dateish), now=moments)
@settings(max_examples=300, deadline=None)
def test_never_raises_never_in_the_future(text: str, now: datetime) -> None:
    stamp = parse_date(text, now=now)
    if stamp is None:
        return
    assert stamp.at.tzinfo is UTC
    if stamp.date_only:
        assert stamp.at.astimezone(SHANGHAI).date() <= now.astimezone(SHANGHAI).date()
    else:
        assert stamp.at <= now


@given(at=moments, since=st.timedeltas(timedelta(0), timedelta(days=3000)))
@settings(max_examples=300, deadline=None)
def test_what_is_written_out_is_read_back(at: datetime, since: timedelta) -> None:
    at = at.replace(microsecond=0)
    local = at.astimezone(SHANGHAI)
    for text in (
        at.isoformat(),
        local.strftime("%Y-%m-%d %H:%M:%S"),
        local.strftime("%Y年%m月%d日 %H:%M:%S 发布"),
    ):
        assert parse_date(text, now=at + since).at == at
    assert from_epoch(at.timestamp(), now=at + since).at == at
    assert from_epoch(int(at.timestamp() * 1000), now=at + since).at == at


@given(at=moments, age=st.timedeltas(timedelta(0), timedelta(days=364)))
@settings(max_examples=300, deadline=None)
def test_a_yearless_date_of_the_last_year_is_that_date(at: datetime, age: timedelta) -> None:
    at = at.replace(second=0, microsecond=0)
    local = at.astimezone(SHANGHAI)
    assert parse_date(local.strftime("%m-%d %H:%M"), now=at + age).at == at


def test_a_clock_slightly_ahead_is_now_and_far_ahead_is_nothing() -> None:
    assert parse_date((NOW + SKEW).isoformat(), now=NOW).at == NOW
    assert parse_date((NOW + SKEW + timedelta(seconds=1)).isoformat(), now=NOW) is None
