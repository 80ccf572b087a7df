"""From rows to a timetable: who publishes what, where and when. Pure, and the same for the same seed."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.sandbox.rows import Row
from domain.local_time import SHANGHAI
from domain.post import Engagement

SITES = ("weibo", "guba", "heimao", "news")
"""Kinds of invented sites, and the platforms of their posts."""

BACKGROUND = timedelta(days=14)
LEAD = timedelta(minutes=20)
"""Calm talk that is played before the onset."""
TAIL = timedelta(minutes=15)
"""Played after the last post of the event."""
LONGEST = timedelta(hours=24)
"""Later posts of an event are not played."""
SHORTEST = timedelta(minutes=120)
"""Least length of what is played."""

_HOURS = (3, 2, 1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 9, 9, 9, 9, 9, 9, 9, 10, 11, 11, 9, 6)
"""Relative liveliness of the hours of a day in Shanghai."""
_GROWTH = 1.15
"""Posts of an event until time t grow like t to this power: each hour brings more than the one before."""
_MARGIN = timedelta(minutes=3)
"""Nothing is published so shortly before the end: a machine that is quick meets the present a little earlier."""
_PER_POST = timedelta(minutes=1.5)
_LONGEST_SPREAD = timedelta(hours=3)
_SHORTEST_SPREAD = timedelta(minutes=45)

_HEADS = "爱吃 今天也 路过的 江边 半夜 认真 不想上班的 小城 南方 会飞的 隔壁 早起 慢慢 攒钱的 一只 老"
_TAILS = "橘子 阿伟 小鱼 大表哥 包子 打工人 豆浆 猫 会计 王姐 胖虎 木木 师傅 芝麻 陈皮 阿芳 土豆 麦子"
_REPORTERS = "陈予安 林知夏 周望舒 许闻达 顾平川 沈若谷"
_PLATFORMS = {"微博": "weibo", "股吧": "guba", "黑猫": "heimao", "黑猫投诉": "heimao", "新闻": "news"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """Who published; invented."""

    id: str
    name: str
    followers: int
    big_v: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SandboxPost:
    """A post on one of the invented sites."""

    id: str
    """Digits, as sites number their posts."""
    site: str
    brand: str
    """Name of the brand it is about."""
    named: bool
    """The text itself names the brand; else only the page it stands on does."""
    title: str
    text: str
    at: datetime
    writer: Writer
    reach: Engagement
    """What its counters come to in the end."""
    pace: timedelta
    """Time in which the counters reach 63 % of that."""

    def engagement(self, now: datetime) -> Engagement:
        """Counters at a time: they grow fast at first, then ever slower, and never shrink."""
        age = max(0.0, (now - self.at) / self.pace)
        part = 1 - math.exp(-age)
        return Engagement(
            reposts=int(self.reach.reposts * part),
            comments=int(self.reach.comments * part),
            likes=int(self.reach.likes * part),
            views=int(self.reach.views * part),
        )


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Everything that is published, and when the interesting part begins and ends."""

    brand: str
    """Name of the brand of the event."""
    starts: datetime
    """First day of the background."""
    live: datetime
    """From here on time is played; what came before is background."""
    onset: datetime
    ends: datetime
    posts: tuple[SandboxPost, ...]
    """In order of publication."""
    left_out: int = 0
    """Rows whose offset lies outside of what is played."""
    _times: list[datetime] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._times.extend(post.at for post in self.posts)

    def published(self, now: datetime) -> tuple[SandboxPost, ...]:
        """What can be read at a time, oldest first."""
        return self.posts[: bisect_right(self._times, now)]

    @property
    def brands(self) -> tuple[str, ...]:
        """Names of all brands talked about, the event's first."""
        return tuple(dict.fromkeys((self.brand, *(post.brand for post in self.posts))))


def brand_of(rows: Sequence[Row], names: Mapping[str, Sequence[str]], default: str) -> str:
    """The brand that most rows give; where none does, the one of ``names`` that most texts name; else ``default``.

    ``names`` maps the name of a brand to all its spellings.
    """
    given = Counter(row.brand for row in rows if row.brand)
    if not given:
        given = Counter(brand for row in rows for brand, spellings in names.items() if _names(row, spellings))
    return given.most_common(1)[0][0] if given else default


def played(event: Sequence[Row]) -> tuple[timedelta, timedelta]:
    """(lead before the onset, time after it) that must be played for an event."""
    longest = LONGEST.total_seconds()
    offsets = (row.offset_s for row in event if row.offset_s is not None and row.offset_s <= longest)
    # What is left out must not stretch what is played: the crawls would be rarer, and the alert late.
    last = timedelta(seconds=max((0.0, *offsets)))
    if any(row.offset_s is None for row in event):
        last = max(last, _spread(len(event)))
    return LEAD, max(last + TAIL, SHORTEST - LEAD)


def build(
    *,
    brand: str,
    event: Sequence[Row],
    calm: Sequence[Row],
    ends: datetime,
    names: Mapping[str, Sequence[str]],
    seed: int = 1,
) -> Scenario:
    """The scenario that plays ``event`` over a background of ``calm`` talk and ends at ``ends``.

    Event rows without an offset follow each other in growing numbers, in their order; calm rows without one
    are shuffled over the background, by the hours of the day (a file sorted by mood must not become a crisis
    of its own). A calm row's offset counts from the onset when negative, else from the start of the background.
    """
    lead, after = played(event)
    onset = (ends - after).replace(microsecond=0)
    starts = onset - lead - BACKGROUND
    rng = random.Random(seed)
    timed = [
        *((row, onset + offset, True) for row, offset in _event_times(event, rng)),
        *((row, at, False) for row, at in _calm_times(calm, starts, onset, ends - _MARGIN, rng)),
    ]
    latest = {True: min(ends, onset + LONGEST), False: ends}
    kept = [(row, at, hot) for row, at, hot in timed if starts <= at <= latest[hot]]
    kept.sort(key=lambda item: item[1])
    posts = tuple(
        _post(number, row, at, hot, brand, names, rng) for number, (row, at, hot) in enumerate(kept, 1)
    )
    return Scenario(
        brand=brand,
        starts=starts,
        live=onset - lead,
        onset=onset,
        ends=ends,
        posts=posts,
        left_out=len(timed) - len(kept),
    )


def _spread(count: int) -> timedelta:
    return min(_LONGEST_SPREAD, max(_SHORTEST_SPREAD, count * _PER_POST))


def _event_times(rows: Sequence[Row], rng: random.Random) -> list[tuple[Row, timedelta]]:
    length = _spread(len(rows))
    times = []
    for index, row in enumerate(rows):
        if row.offset_s is not None:
            # Bounded before it becomes a time: what lies a century off is left out, not an overflow.
            offset = timedelta(seconds=max(-1e9, min(1e9, row.offset_s)))
        else:
            share = (index + (rng.random() if index else 0.0)) / len(rows)
            offset = length * share ** (1 / _GROWTH)
        times.append((row, timedelta(seconds=int(offset.total_seconds()))))
    return times


def _calm_times(
    rows: Sequence[Row], starts: datetime, onset: datetime, ends: datetime, rng: random.Random
) -> list[tuple[Row, datetime]]:
    fixed, free = [], []
    for row in rows:
        if row.offset_s is None:
            free.append(row)
        else:
            offset = timedelta(seconds=max(-1e9, min(1e9, row.offset_s)))
            fixed.append((row, (onset if offset < timedelta() else starts) + offset))
    rng.shuffle(free)
    edges = _quantiles(starts, ends, len(free), rng)
    return fixed + list(zip(free, edges, strict=True))


def _quantiles(starts: datetime, ends: datetime, count: int, rng: random.Random) -> list[datetime]:
    """``count`` times, one in each equal share of the liveliness between two times."""
    step = timedelta(minutes=10)
    marks, total = [], 0.0
    at = starts
    while at < ends:
        marks.append((total, at))
        total += _HOURS[at.astimezone(SHANGHAI).hour]
        at += step
    heights = [height for height, _ in marks]
    times = []
    for index in range(count):
        height = total * (index + rng.random()) / count
        place = bisect_right(heights, height) - 1
        below, at = marks[place]
        slope = (heights[place + 1] if place + 1 < len(heights) else total) - below
        times.append(min(at + step * ((height - below) / slope), ends).replace(microsecond=0))
    return times


def _post(
    number: int,
    row: Row,
    at: datetime,
    hot: bool,
    brand: str,
    names: Mapping[str, Sequence[str]],
    rng: random.Random,
) -> SandboxPost:
    about = row.brand or brand
    site = _site(row, hot, rng)
    return SandboxPost(
        id=f"{5_100_000_000_000 + number * 1_009 + rng.randrange(1_000)}",
        site=site,
        brand=about,
        named=_names(row, names.get(about, (about,))),
        title=_title(row, site),
        text=f"【{row.title}】{row.text}" if site == "weibo" and row.title else row.text,
        at=at,
        writer=_writer(site, hot, rng),
        reach=_reach(hot, rng),
        pace=timedelta(minutes=rng.uniform(30, 150)),
    )


def _site(row: Row, hot: bool, rng: random.Random) -> str:
    platform = _PLATFORMS.get(row.platform, row.platform)
    if platform:
        return platform if platform in SITES else "weibo"
    if row.title:
        return "news"
    return rng.choices(("weibo", "guba", "heimao"), weights=(6, 3, 1) if hot else (6, 4, 0))[0]


def _names(row: Row, spellings: Sequence[str]) -> bool:
    whole = f"{row.title}\n{row.text}"
    return any(spelling and spelling in whole for spelling in spellings)


def _title(row: Row, site: str) -> str:
    """What stands above the text: a microblog has no titles, a news and a complaint site ask for one."""
    if site == "weibo":
        return ""
    return row.title or (_headline(row.text) if site in ("news", "heimao") else "")


def _headline(text: str) -> str:
    """The first sentence, as the form of a site that asks for a title would be filled in."""
    line = text.strip().splitlines()[0]
    for mark in "。！？，；":
        head = line.partition(mark)[0]
        if 4 <= len(head) <= 30:
            return head
    return line[:30]


def _writer(site: str, hot: bool, rng: random.Random) -> Writer:
    if site == "news":
        return Writer(id=str(rng.randrange(1_000, 9_999)), name=rng.choice(_REPORTERS.split()), followers=0)
    big_v = rng.random() < (0.05 if hot else 0.02)
    name = rng.choice(_HEADS.split()) + rng.choice(_TAILS.split())
    return Writer(
        id=str(rng.randrange(10**9, 10**10)),
        name=name + (str(rng.randrange(10, 9_999)) if rng.random() < 0.6 else ""),
        followers=rng.randrange(150_000, 900_000) if big_v else int(rng.lognormvariate(4.5, 1.2)),
        big_v=big_v,
    )


def _reach(hot: bool, rng: random.Random) -> Engagement:
    likes = int(rng.lognormvariate(3.2 if hot else 1.4, 1.2))
    return Engagement(
        reposts=int(likes * rng.uniform(0.1, 0.8)),
        comments=int(likes * rng.uniform(0.2, 0.9)),
        likes=likes,
        views=int(likes * rng.uniform(30, 120)),
    )
