"""What somebody published: the input of everything."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

COUNTERS = ("reposts", "comments", "likes", "views")


class Tier(StrEnum):
    """How far an author's word carries; weights of docs/detection (1, 2, 3, 5)."""

    USER = "user"
    BIG_V = "big_v"
    REGIONAL_MEDIA = "regional_media"
    CENTRAL_MEDIA = "central_media"
    """Central or finance media, regulators, courts, police."""

    @property
    def weight(self) -> int:
        """Factor by which engagement of this author counts."""
        return {"user": 1, "big_v": 2, "regional_media": 3, "central_media": 5}[self.value]


@dataclass(frozen=True, kw_only=True, slots=True)
class Engagement:
    """Public counters under a post at the moment it was fetched; never negative."""

    reposts: int = 0
    comments: int = 0
    likes: int = 0
    views: int = 0

    def __post_init__(self) -> None:
        for name in COUNTERS:
            if getattr(self, name) < 0:
                raise ValueError(f"engagement.{name} is negative")

    @property
    def total(self) -> int:
        """Acts of people (reposts + comments + likes); views are not acts."""
        return self.reposts + self.comments + self.likes


@dataclass(frozen=True, kw_only=True, slots=True)
class Author:
    """Who wrote it, as far as it may be kept."""

    key: str = ""
    """Keyed hash of platform and native author id (PIPL art. 51: de-identified); empty when unknown."""
    name: str = ""
    """Shown to people: the full name of verified media, else masked (first character and ***)."""
    tier: Tier = Tier.USER
    verified: bool = False
    """The platform vouches for this account's identity (media, government, company)."""
    followers: int | None = None
    """Number of followers, where the source shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """One post, article, complaint or comment, masked before it exists."""

    id: str
    """``post_id(platform, native_id)``: the same post is the same id on every crawl and host."""
    platform: str
    """Where it was published: weibo, guba, heimao, news, … (free, lower case)."""
    source: str
    """Id of the configured source that brought these words of it; ``import`` for files."""
    native_id: str
    """The platform's own id of it."""
    text: str
    """Body, plain text, personal data masked; may be long."""
    published_at: datetime
    """Aware UTC. The first value stored for an id stays: relative dates drift."""
    fetched_at: datetime
    """Aware UTC; the version of the engagement counters."""
    title: str = ""
    url: str = ""
    """Absolute http(s) address a person can open; empty when there is none."""
    author: Author = field(default_factory=Author)
    engagement: Engagement = field(default_factory=Engagement)
    date_only: bool = False
    """Only the day of publication is known; ``published_at`` is its noon in Asia/Shanghai."""
    repost_of: str = ""
    """Id of the post this one passes on, where the platform says so."""

    def __post_init__(self) -> None:
        for name in ("published_at", "fetched_at"):
            if getattr(self, name).tzinfo is None:
                raise ValueError(f"{name} has no time zone")

    @property
    def whole(self) -> str:
        """Title and body as one text, the way a reader meets them."""
        return f"{self.title}\n{self.text}" if self.title else self.text


def post_id(platform: str, native_id: str) -> str:
    """Stable id of a post: 32 hex digits of SHA-256 over platform and native id."""
    return hashlib.sha256(f"{platform}\0{native_id}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def under_first_date(post: Post, *, at: datetime, date_only: bool) -> Post:
    """The post under the date it had first (``at``), unless that was a day and it has a time now."""
    if date_only and not post.date_only:
        return post
    return replace(post, published_at=at, date_only=date_only)


def joined(old: Post, new: Post, *, own: Collection[str] = ()) -> Post:
    """One post of two accounts of it, ``new`` having come later: nothing is replaced by something poorer.

    A source's newer words replace its own, shorter or not, for authors edit. Of two sources (a feed's teaser and the
    article, another tool's export and our crawl) the longer words stay, as their source's; the higher tier, and the
    larger of each counter. A title, a link or an author that one of them lacks is the other's.

    ``own``: sources that belong to one brand and so know whom a post is about. Of words as long, theirs stay.
    """
    same = new.source == old.source
    if same and new.fetched_at < old.fetched_at:
        return old
    fuller = (len(new.whole), new.source in own) > (len(old.whole), old.source in own)
    kept, other = (new, old) if same or fuller else (old, new)
    author = kept.author if kept.author.key else other.author
    whole = replace(
        kept,
        title=kept.title or other.title,
        url=kept.url or other.url,
        author=replace(author, tier=kept.author.tier),
        repost_of=kept.repost_of or other.repost_of,
    )
    if same:
        return whole
    tier = max(old.author.tier, new.author.tier, key=lambda tier: tier.weight)
    dated = new if old.date_only else old
    return replace(
        whole,
        author=replace(author, tier=tier),
        published_at=dated.published_at,
        date_only=dated.date_only,
        fetched_at=max(old.fetched_at, new.fetched_at),
        engagement=Engagement(
            **{name: max(getattr(old.engagement, name), getattr(new.engagement, name)) for name in COUNTERS}
        ),
    )
