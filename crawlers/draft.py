"""What a page or a row says about one post, before it is masked and becomes a ``Post``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from crawlers.dates import SHANGHAI, Stamp
from crawlers.privacy import author_key, mask, mask_name, mask_url
from crawlers.urls import canonical
from domain.post import Author, Engagement, Post, Tier, post_id

MAX_TEXT = 200_000
"""Characters of a post that are kept; a page that has more is not a post."""
MAX_TITLE = 500

# Everything that is not text: C0 and C1 controls but for tab and newline, halves of surrogate pairs, and the
# overrides that make a line read backwards.
_JUNK = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]|[\ud800-\udfff]|[\u202a-\u202e\u2066-\u2069]"
)
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """One post as its source shows it; unmasked, so it never leaves this package."""

    native_id: str
    text: str
    stamp: Stamp | None = None
    """When it was published; None when the source does not say."""
    ahead: bool = False
    """The source does say, but dates it in the future."""
    title: str = ""
    url: str = ""
    author_id: str = ""
    author_name: str = ""
    verified: bool = False
    """The platform vouches for the account as an institution (media, government, company)."""
    tier: Tier | None = None
    """None: the tier that the source's settings give to its authors."""
    followers: int | None = None
    engagement: Engagement = field(default_factory=Engagement)
    repost_of: str = ""
    """Native id of the post that this one passes on."""
    passed_on: str = ""
    """The end of ``text`` that is another's post, which this one passes on."""
    more: str = ""
    """Where the rest of the text is: a key that the source's spider understands; empty when it is whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """Something on a page, or a row, that could not become a post."""

    reason: str
    """One Chinese clause."""
    raw: str
    """What it was, unmasked; whoever writes it down masks it."""
    row: int | None = None
    """Number in its file, from 1."""
    author: tuple[str, ...] = ()
    """Names and ids of the account, as they stand in ``raw``; whoever writes it down leaves them out."""


class Unusable(ValueError):
    """A draft cannot become a post; the message says why."""


def to_post(
    draft: Draft,
    *,
    platform: str,
    source: str,
    tier: Tier,
    secret: bytes,
    now: datetime,
    first: Stamp | None,
) -> Post:
    """The masked post of a draft.

    ``first`` is the time of publication noted when the post was first seen, which stays, unless it was a day and
    the draft has a time; an undated post gets the day of ``now`` as its date, without a time, so that it is stored
    but not counted.
    Raises ``Unusable`` when there is no id or no text.
    """
    text, title = tidy(draft.text)[:MAX_TEXT], tidy(draft.title).replace("\n", " ")[:MAX_TITLE]
    if not draft.native_id:
        raise Unusable("没有编号")
    if not text:
        text, title = title, ""
    if not text:
        raise Unusable("没有正文")
    stamp = draft.stamp or day_of(now)
    if first and (stamp.date_only or not first.date_only):
        stamp = first
    native_id = _impersonal(draft.native_id, platform, secret)
    return Post(
        id=post_id(platform, native_id),
        platform=platform,
        source=source,
        native_id=native_id,
        text=mask(text),
        title=mask(title),
        url=mask_url(canonical(draft.url)),
        author=_author(draft, platform=platform, tier=tier, secret=secret),
        published_at=stamp.at,
        fetched_at=now,
        date_only=stamp.date_only,
        engagement=draft.engagement,
        repost_of=post_id(platform, draft.repost_of) if draft.repost_of else "",
    )


def tidy(text: str) -> str:
    """Plain text without control characters, lone surrogates, runs of blanks and blank lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    text = _JUNK.sub(_replacement, text)
    return _LINES.sub("\n", _SPACES.sub(" ", text)).strip()


def day_of(now: datetime) -> Stamp:
    """The local day of a moment, as a date without a time."""
    noon = now.astimezone(SHANGHAI).replace(hour=12, minute=0, second=0, microsecond=0)
    return Stamp(at=noon.astimezone(UTC), date_only=True)


def _replacement(match: re.Match[str]) -> str:
    return "\ufffd" if "\ud800" <= match[0] <= "\udfff" else " "


def _impersonal(native_id: str, platform: str, secret: bytes) -> str:
    """An id that holds personal data (an address with somebody's phone number in it) becomes a keyed hash.

    Bare numbers stay: platforms count their posts in as many digits as a phone number has.
    """
    return (
        native_id
        if native_id.isdecimal() or mask(native_id) == native_id
        else author_key(secret, platform, native_id)
    )


def _author(draft: Draft, *, platform: str, tier: Tier, secret: bytes) -> Author:
    name = tidy(draft.author_name)[:80]
    handle = draft.author_id or name
    return Author(
        key=author_key(secret, platform, handle) if handle else "",
        name=mask(name) if draft.verified else mask_name(name),
        tier=draft.tier or tier,
        verified=draft.verified,
        followers=draft.followers,
    )
