"""Dates as Chinese pages write them, to aware UTC.

Own rules read every form with Chinese numerals, affixes, missing years and relative words; ``dateparser`` is
asked only about what is left (``March 9, 2026``, ``2 hours ago``). It is not asked first because it silently
misreads year-less dates (03-05 → 2003) and fails on affixes. Nothing that reads as a date is ever in the future.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
MAX_CHARS = 120
EARLIEST_YEAR = 1990
SKEW = timedelta(minutes=10)
"""A clock of theirs may be so much ahead of ours; such a date becomes ``now``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """A time of publication."""

    at: datetime
    """Aware UTC; noon in Asia/Shanghai when only the day is known."""
    date_only: bool = False

    def iso(self) -> str:
        """ISO 8601 at +08:00, or the date alone when only that is known."""
        local = self.at.astimezone(SHANGHAI)
        return local.date().isoformat() if self.date_only else local.isoformat(timespec="seconds")


def parse_date(text: str, *, now: datetime) -> Stamp | None:
    """When a text says that something was published; None when it says nothing, nonsense or the future.

    ``now`` is aware; relative and year-less forms are read against it in Asia/Shanghai.
    """
    clean = _normal(text)
    if not clean or _TO_COME.search(clean):
        return None
    local = now.astimezone(SHANGHAI)
    try:
        return _plausible(_read(clean, local), now)
    except (ValueError, OverflowError):
        return None


def _read(text: str, local: datetime) -> Stamp | None:
    for pattern, read in _FORMS:
        if match := pattern.search(text):
            return read(match, local)
    if _ENGLISH.search(text):
        return _by_dateparser(text, local)
    clock = _CLOCK_ONLY.search(text)
    # A day in a form that is not known is not today: 3/9/2026 10:00 is March or September.
    if clock is None or _A_DAY.search(f"{text[: clock.start()]} {text[clock.end() :]}"):
        return None
    return _clock_only(clock, local)


def from_epoch(value: object, *, now: datetime) -> Stamp | None:
    """A Unix time in seconds, milliseconds or microseconds; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
        if seconds > 1e11:
            seconds /= 1e3 if seconds < 1e14 else 1e6
        return _plausible(Stamp(at=datetime.fromtimestamp(seconds, UTC)), now)
    except (ValueError, OverflowError, OSError):
        return None


def day(year: int, month: int, number: int) -> Stamp:
    """A date without a time. Raises ``ValueError`` for 31 February."""
    return Stamp(at=datetime(year, month, number, 12, tzinfo=SHANGHAI).astimezone(UTC), date_only=True)


def same_day(one: Stamp, other: Stamp) -> bool:
    """Whether two times are of one day in Asia/Shanghai."""
    return one.at.astimezone(SHANGHAI).date() == other.at.astimezone(SHANGHAI).date()


# --- Normal form -------------------------------------------------------------------------------------------

_NUMERAL = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "○": 0, "两": 2, "廿": 20}
_CHINESE = re.compile(
    r"[零〇○一二三四五六七八九十百两廿]+(?=年|月|日|号|时|点|分|秒|小时|个小时|个半|钟头|个钟头|刻|天|周|星期|礼拜|个月|个星期|季度)"
)


_SAME: dict[int, str | None] = {
    0x200B: None,
    0xFEFF: None,
    ord("內"): "内",
    ord("鐘"): "钟",
    ord("時"): "时",
    ord("後"): "后",
    0x2212: "-",  # the minus of 10:00:00−05:00
}


def _normal(text: str) -> str:
    """Narrow characters, single spaces, Arabic numerals, half hours in minutes."""
    text = unicodedata.normalize("NFKC", text[: 4 * MAX_CHARS]).translate(_SAME)
    text = " ".join(text.split())[:MAX_CHARS]
    text = re.sub(r"(?<=点)[一二三四五六七八九十]+", lambda match: str(_number(match[0])), text)
    text = _CHINESE.sub(lambda match: str(_number(match[0])), text)
    text = text.replace("点半", "点30分").replace("点1刻", "点15分").replace("点3刻", "点45分")
    text = re.sub(r"(\d+)个?半小时", lambda m: f"{int(m[1]) * 60 + 30}分钟", text)
    text = re.sub(r"半个?(?:小时|钟头)", "30分钟", text)
    text = text.replace("半个月", "15天").replace("半年", "6个月")
    return re.sub(r"半天(?=前|之前|以前)", "12小时", text)


def _number(numeral: str) -> int:
    """十二 → 12, 二十 → 20, 二〇二六 → 2026, 一百 → 100."""
    if "百" not in numeral and "十" not in numeral:
        return int("".join(str(_NUMERAL[c]) for c in numeral))
    hundreds, _, rest = numeral.rpartition("百")
    total = 100 * (_NUMERAL.get(hundreds, 1) if "百" in numeral else 0)
    tens, ten, ones = rest.rpartition("十")
    if ten:
        total += 10 * _NUMERAL.get(tens.lstrip("零〇"), 1)
    return total + sum(_NUMERAL.get(c, 0) for c in ones)


# --- Forms, most specific first ----------------------------------------------------------------------------

_HALF = r"(?:(?P<half>凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|深夜|晚|早|[AaPp]\.?[Mm]\.?)\s*)?"
_ZONES = {
    "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "CST": 8, "HKT": 8, "JST": 9, "KST": 9,
}  # fmt: skip
_ZONE = (
    rf"(?:[Zz]|{'|'.join(_ZONES)})\b|(?:GMT|UTC)\s?[+-]\d{{1,2}}(?::?\d{{2}})?(?!\d)|(?:GMT|UTC)(?!\s?[+-]\d)"
    r"|\[UTC\]|[+-]\d{2}:?\d{2}(?!\d)"
)
_CLOCK = (
    _HALF
    + r"(?P<h>\d{1,2})\s*(?::|时|点)\s*(?P<mi>\d{1,2})?\s*分?(?:\s*:?\s*(?P<s>\d{1,2})(?:[.,]\d+)?\s*秒?)?"
    r"(?:\s*(?P<half2>[AaPp]\.?[Mm]\b\.?))?"
    # 02:00:00+00 is how PostgreSQL writes it; behind minutes it may be a span of time, 10:00-12.
    rf"(?:\s*(?P<z>{_ZONE}|(?(s)(?<!\s)[+-]\d\d(?![\d:])|(?!))))?"
)
_GAP = r"(?:[\sTt,|·()]|(?:星期|周|礼拜)[\d一二三四五六日天])*"
_WITH_TIME = rf"(?:{_GAP}{_CLOCK})?"
_OTHER_ZONE = re.compile(r"(?<=\d)[A-Za-z]{1,5}\b|\s*(?:GMT|UTC|[A-Z]{1,2}[SD]T)\b|\s*\[[A-Za-z]+/")
"""What stands behind a time and is a zone that ``_ZONE`` does not know."""
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH_WORD = rf"(?P<mon>{'|'.join(_MONTHS)})[a-z]*"

_CTIME = re.compile(
    rf"{_MONTH_WORD}\s+(?P<d>\d{{1,2}})\s+(?P<clock>\d{{1,2}}:\d{{2}}:\d{{2}})\s+(?:(?P<z>{_ZONE})\s+)?(?P<y>\d{{4}})",
    re.IGNORECASE,
)
_RFC = re.compile(
    rf"(?<!\d)(?P<d>\d{{1,2}})\s+{_MONTH_WORD}\s+(?P<y>\d{{4}})\s+(?P<clock>\d{{1,2}}:\d{{2}}(?::\d{{2}})?)"
    rf"(?:\s*(?P<z>{_ZONE}))?",
    re.IGNORECASE,
)
_FULL = re.compile(
    rf"(?<!\d)(?P<y>\d{{4}})\s*(?P<sep>[-/.年])\s*(?P<m>\d{{1,2}})\s*[-/.月]\s*(?P<d>\d{{1,2}})(?!\d)\s*[日号]?{_WITH_TIME}"
)
_COMPACT = re.compile(
    r"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])"
    rf"(?:\s?T?(?P<H>[01]\d|2[0-3])(?P<M>[0-5]\d)(?P<S>[0-5]\d)?)?(?!\d){_WITH_TIME}"
)
_EPOCH = re.compile(r"^(\d{10}|\d{13}|\d{16})(?:\.\d+)?$")
_SHORT_YEAR = re.compile(rf"(?<!\d)(?P<y>\d\d)[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}})(?!\d){_WITH_TIME}")
_DAY_WORD = re.compile(
    rf"(?P<word>大前天|前天|前日|昨天|昨日|今天|今日|昨(?=晚|夜)|今(?=早|晚|晨)){_WITH_TIME}"
)
_AGO = re.compile(
    r"(?P<n>\d{1,4})\s*(?P<unit>秒钟?|分钟?|个?小时|个?钟头|天|日|个?星期|周|个?礼拜|个月|月|年)\s*(?:之|以)?(?:前|内)"
)
_NOW = re.compile(r"刚刚|刚才|刚(?:发布|更新|发表)|^刚$|\bjust now\b|片刻前|几秒前|数秒前", re.IGNORECASE)
_FEW = re.compile(r"(?:几|数)(?P<unit>分钟|小时|天)前")
_YEARLESS = re.compile(
    rf"(?<![\d.])(?<!\d[-/])(?P<m>\d{{1,2}})\s*(?:月|[-/](?=\d))\s*(?P<d>\d{{1,2}})(?![\d.])\s*[日号]?(?!\s*[-/]\s*\d){_WITH_TIME}"
)
_WEEKDAYS = "一二三四五六日"
_WEEKDAY = re.compile(rf"(?<![上个])(?:周|星期|礼拜)(?P<weekday>[{_WEEKDAYS}天])\s*,?\s*{_CLOCK}")
_CLOCK_ONLY = re.compile(rf"(?<![\d:]){_CLOCK}")

_A_DAY = re.compile(
    rf"\d\s*[-/.]\s*\d|(?<!\d)(?:19|20)\d\d(?!\d)|\b(?:{'|'.join(_MONTHS)})[a-z]*\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|"
    rf"(?:周|星期|礼拜)[{_WEEKDAYS}天]",
    re.IGNORECASE,
)

_TO_COME = re.compile(r"明[天日早晚]|后[天日]|下[周月]")

_UNITS: dict[str, timedelta] = {
    "秒": timedelta(seconds=1), "分": timedelta(minutes=1), "小": timedelta(hours=1), "钟": timedelta(hours=1),
    "天": timedelta(days=1), "日": timedelta(days=1), "星": timedelta(weeks=1), "周": timedelta(weeks=1),
    "礼": timedelta(weeks=1),
}  # fmt: skip
_DAYS_BACK = {"今": 0, "昨": 1, "前": 2, "大": 3}


def _zone(text: str | None) -> timezone | ZoneInfo:
    if not text:
        return SHANGHAI
    name = text.upper().strip("[]").replace(":", "").replace(" ", "")
    if name in ("Z", "UTC", "GMT"):
        return UTC
    if name in _ZONES:
        return timezone(timedelta(hours=_ZONES[name]))
    name = name.removeprefix("GMT").removeprefix("UTC")
    sign, digits = (-1 if name[0] == "-" else 1), name[1:]
    hours, minutes = (digits, 0) if len(digits) <= 2 else (digits[:-2], digits[-2:])
    return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes)))


def _clock(match: re.Match[str]) -> time:
    """Time of day of a match of ``_CLOCK``; 24:00 and 下午 15 点 are taken as they are meant."""
    hour, minute, second = (int(match[g] or 0) for g in ("h", "mi", "s"))
    half = (match["half"] or match["half2"] or "").lower().replace(".", "")
    if (half in ("下午", "傍晚", "晚上", "晚", "夜里", "深夜", "pm") and hour < 12) or (
        half == "中午" and hour < 3
    ):
        hour += 12
    elif half in ("凌晨", "夜里", "深夜", "am") and hour == 12:
        hour = 0
    if second == 60:
        second = 59
    return time(hour % 24 if hour == 24 and not minute else hour, minute, second)


def _stamp(date_: date, match: re.Match[str]) -> Stamp:
    if match["h"] is None:
        return day(date_.year, date_.month, date_.day)
    if match["z"] is None and _OTHER_ZONE.match(match.string, match.end()):
        raise ValueError("a zone that is not known is not Shanghai's")
    if int(match["h"]) == 24:
        date_ += timedelta(days=1)
    at = datetime.combine(date_, _clock(match), tzinfo=_zone(match["z"]))
    return Stamp(at=at.astimezone(UTC))


def _full(match: re.Match[str], _local: datetime) -> Stamp:
    return _stamp(date(int(match["y"]), int(match["m"]), int(match["d"])), match)


def _compact(match: re.Match[str], local: datetime) -> Stamp | None:
    if match["H"] is None:
        return _full(match, local)
    # Read again with its separators, for what follows: decimals, a zone.
    last = "S" if match["S"] else "M"
    clock = ":".join(match[part] for part in "HMS"[: "HMS".index(last) + 1])
    spaced = f"{match['y']}-{match['m']}-{match['d']} {clock}{match.string[match.end(last) :]}"
    found = _FULL.match(spaced)
    return _full(found, local) if found else None


def _english(match: re.Match[str], _local: datetime) -> Stamp:
    month = _MONTHS.index(match["mon"].lower()) + 1
    hour, minute, second = (int(part) for part in f"{match['clock']}:0".split(":")[:3])
    at = datetime(int(match["y"]), month, int(match["d"]), hour, minute, second, tzinfo=_zone(match["z"]))
    return Stamp(at=at.astimezone(UTC))


def _epoch(match: re.Match[str], local: datetime) -> Stamp | None:
    return from_epoch(match[1], now=local)


def _short_year(match: re.Match[str], _local: datetime) -> Stamp:
    return _stamp(date(2000 + int(match["y"]), int(match["m"]), int(match["d"])), match)


def _yearless(match: re.Match[str], local: datetime) -> Stamp:
    """The newest such day that is not in the future (29 February: of the last leap year)."""
    month, number = int(match["m"]), int(match["d"])
    for year in range(local.year, local.year - 9, -1):
        try:
            date_ = date(year, month, number)
        except ValueError:
            continue
        found = _stamp(date_, match)
        if date_ < local.date() or (date_ == local.date() and (found.date_only or found.at <= local + SKEW)):
            return found
    raise ValueError("no such day")


def _day_word(match: re.Match[str], local: datetime) -> Stamp:
    return _stamp(local.date() - timedelta(days=_DAYS_BACK[match["word"][0]]), match)


def _weekday(match: re.Match[str], local: datetime) -> Stamp:
    """The newest such day that is not in the future."""
    number = _WEEKDAYS.index(match["weekday"].replace("天", "日"))
    found = _stamp(local.date() - timedelta(days=(local.weekday() - number) % 7), match)
    return found if found.at <= local + SKEW else Stamp(at=found.at - timedelta(weeks=1))


def _ago(match: re.Match[str], local: datetime) -> Stamp:
    count, unit = int(match["n"]), match["unit"].removeprefix("个")
    if unit[0] in "月年":
        months = local.year * 12 + local.month - 1 - count * (12 if unit == "年" else 1)
        year, month = divmod(months, 12)
        last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        return day(year, month + 1, min(local.day, last))
    at = local - count * _UNITS[unit[0]]
    if _UNITS[unit[0]] >= timedelta(days=1):
        return day(at.year, at.month, at.day)
    return Stamp(at=at.astimezone(UTC))


def _now(_match: re.Match[str], local: datetime) -> Stamp:
    return Stamp(at=local.astimezone(UTC))


def _few(match: re.Match[str], local: datetime) -> Stamp:
    """几分钟前: three of them."""
    at = local - 3 * _UNITS[match["unit"][0]]
    return day(at.year, at.month, at.day) if match["unit"] == "天" else Stamp(at=at.astimezone(UTC))


def _clock_only(match: re.Match[str], local: datetime) -> Stamp:
    """Today at that time, or yesterday when that is still to come."""
    found = _stamp(local.date(), match)
    return found if found.at <= local + SKEW else Stamp(at=found.at - timedelta(days=1))


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], datetime], Stamp | None]], ...] = (
    (_EPOCH, _epoch),
    (_CTIME, _english),
    (_RFC, _english),
    (_FULL, _full),
    (_COMPACT, _compact),
    (_SHORT_YEAR, _short_year),
    (_AGO, _ago),
    (_FEW, _few),
    (_DAY_WORD, _day_word),
    (_YEARLESS, _yearless),
    (_WEEKDAY, _weekday),
    (_NOW, _now),
)


def _plausible(stamp: Stamp | None, now: datetime) -> Stamp | None:
    if stamp is None or stamp.at.year < EARLIEST_YEAR:
        return None
    if stamp.date_only:
        return stamp if stamp.at.astimezone(SHANGHAI).date() <= now.astimezone(SHANGHAI).date() else None
    if stamp.at > now + SKEW:
        return None
    return Stamp(at=min(stamp.at, now.astimezone(UTC)))


# A word or a year must be there: dateparser guesses a day from a bare number.
_ENGLISH = re.compile(
    rf"\b(?:{'|'.join(_MONTHS)})[a-z]*\b.*\b\d{{4}}\b|\b\d{{4}}\b.*\b(?:{'|'.join(_MONTHS)})|\bago\b|\byesterday\b|\btoday\b",
    re.IGNORECASE,
)

_NOTE = re.compile(r"\s*\([^()]*\)$")
"""What JavaScript adds: Mon Mar 09 2026 10:00:00 GMT+0800 (中国标准时间)."""


def _by_dateparser(text: str, local: datetime) -> Stamp | None:
    from dateparser.date import DateDataParser

    parser = DateDataParser(
        languages=["en"],
        settings={
            "TIMEZONE": "Asia/Shanghai",
            "RETURN_AS_TIMEZONE_AWARE": True,
            "RETURN_TIME_AS_PERIOD": True,
            "RELATIVE_BASE": local.replace(tzinfo=None),
            "PREFER_DATES_FROM": "past",
            "DATE_ORDER": "MDY",
        },
    )
    try:
        found = parser.get_date_data(_NOTE.sub("", text))
    except RecursionError:
        return None
    if found is None or found.date_obj is None or found.period not in ("time", "day"):
        return None
    at = found.date_obj.astimezone(SHANGHAI)
    if found.period == "day" and not re.search(r"hour|minute|second", text, re.IGNORECASE):
        return day(at.year, at.month, at.day)
    return Stamp(at=at.astimezone(UTC))
