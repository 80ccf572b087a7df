"""The posts that matter, each with the reason it was chosen; and how far the whole thing spread."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from alerts.view import Claim, Piece, PostLine, Spread, Suspicion
from alerts.words import count, fit, followers, harmless, host_of, plain, web_address
from domain.post import Author, Engagement, Tier
from store.posts import Judged

MOST = 5
EXCERPT = 110
"""Characters of a post shown."""
SUSPECT = 0.5
"""``Assessment.coordination`` from which a post counts as suspected."""
FEWEST_COPIES = 3
"""Copies of one story by suspected posts that are evidence worth telling."""
_TIERS = {Tier.CENTRAL_MEDIA: "媒体/机关", Tier.REGIONAL_MEDIA: "地方媒体", Tier.BIG_V: "大 V"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """A chosen post and why."""

    judged: Judged
    why: tuple[str, ...]


def choose(found: Sequence[Judged], claims: Sequence[Claim]) -> list[Pick]:
    """At most five posts of ``found`` (most influential first).

    最早, 传播最广 (reposts + comments + likes, then views), 官方媒体 (verified or media, most influential): each
    stands at the very post that earned it. Then 代表性 (the posts the claims are quoted from) and by influence,
    one a story that is not shown yet.
    """
    picks: dict[str, Pick] = {}
    shown: set[str] = set()

    def take(judged: Judged | None, why: str, *, known: bool = False) -> None:
        """Add a post, or a reason to one that is there; one of a story that is shown already where ``known``."""
        if judged is None:
            return
        old = picks.get(judged.post.id)
        if old is not None and why != "影响力":
            why_all = tuple(dict.fromkeys((*old.why, why)))
            picks[judged.post.id] = Pick(judged=judged, why=why_all)
        elif old is None and len(picks) < MOST and (known or judged.story not in shown):
            picks[judged.post.id] = Pick(judged=judged, why=(why,))
            shown.add(judged.story)

    by_id = {judged.post.id: judged for judged in found}
    media = [judged for judged in found if _official(judged.post.author)]
    take(min(found, key=lambda j: (j.post.published_at, j.post.id), default=None), "最早")
    take(_widest(found), "传播最广", known=True)
    take(media[0] if media else None, "官方媒体", known=True)
    for claim in claims:
        take(by_id.get(claim.post), "代表性")
    for judged in found:
        take(judged, "影响力")
    return list(picks.values())


def _official(author: Author) -> bool:
    return author.tier in (Tier.CENTRAL_MEDIA, Tier.REGIONAL_MEDIA)


def _widest(found: Sequence[Judged]) -> Judged | None:
    moved = [judged for judged in found if judged.post.engagement.total or judged.post.engagement.views]
    return max(
        moved, key=lambda j: (j.post.engagement.total, j.post.engagement.views, j.post.id), default=None
    )


def post_line(
    pick: Pick, found: Sequence[Judged], platforms: Mapping[str, str], outlets: Mapping[str, str]
) -> PostLine:
    """A chosen post as people see it: masked author, weight, reach, decisive words marked.

    ``outlets``: names by source id; of a medium it is the outlet that counts, not the platform alone.
    """
    post = pick.judged.post
    platform = platforms.get(post.platform, post.platform)
    outlet = outlets.get(post.source, "") if _official(post.author) else ""
    url = web_address(post.url)
    return PostLine(
        id=post.id,
        why=pick.why,
        platform=plain(f"{platform} · {outlet}" if outlet else platform),
        author=fit(plain(post.author.name), 24) or "作者未知",
        weight=_weight(post.author),
        published_at=post.published_at,
        reach=_reach(post.engagement),
        pieces=pieces(post.whole, pick.judged.assessment.decisive),
        url=url,
        host=host_of(url) if url else "",
        copies=sum(judged.story == pick.judged.story for judged in found),
    )


def _weight(author: Author) -> str:
    kind = ("认证" if author.verified else "") + _TIERS.get(author.tier, "账号" if author.verified else "")
    known = followers(author.followers) if author.followers is not None else ""
    return " · ".join(part for part in (kind, known) if part)


def _reach(engagement: Engagement) -> str:
    names = (("转", "reposts"), ("评", "comments"), ("赞", "likes"), ("阅", "views"))
    shown = [(word, getattr(engagement, name)) for word, name in names]
    return " · ".join(f"{word} {count(number)}" for word, number in shown if number) or "暂无互动"


def pieces(text: str, decisive: Iterable[str], *, limit: int = EXCERPT) -> tuple[Piece, ...]:
    """An excerpt of ``text`` cut into marked and unmarked stretches; escaping is left to the template.

    ``decisive`` are literal substrings of ``text``; the excerpt starts a little before the first of them.
    """
    hot = [False] * len(text)
    for word in decisive:
        at = text.find(word) if word else -1
        while at >= 0:
            hot[at : at + len(word)] = [True] * len(word)
            at = text.find(word, at + len(word))
    first = hot.index(True) if True in hot else 0
    start = 0 if first < limit * 2 // 3 else first - limit // 4
    end = min(len(text), start + limit)
    result: list[Piece] = [Piece(text="…")] if start else []
    at = start
    while at < end:
        stop = at
        while stop < end and hot[stop] == hot[at]:
            stop += 1
        shown = harmless(text[at:stop])
        if shown.strip():
            result.append(Piece(text=shown, marked=hot[at]))
        at = stop
    return (*result, Piece(text="…")) if end < len(text) else tuple(result)


def spread_of(found: Sequence[Judged], platforms: Mapping[str, str], outlets: Mapping[str, str]) -> Spread:
    """Counts over at least one negative post."""
    authors = [judged.post.author.key for judged in found]
    where = Counter(plain(platforms.get(j.post.platform, j.post.platform)) for j in found)
    first = min(found, key=lambda j: (j.post.published_at, j.post.id))
    return Spread(
        posts=len(found),
        stories=len({judged.story for judged in found}),
        authors=len({key for key in authors if key}),
        anonymous=sum(not key for key in authors),
        platforms=tuple(sorted(where.items(), key=lambda item: (-item[1], item[0]))),
        first=post_line(Pick(judged=first, why=("最早",)), found, platforms, outlets),
        suspicion=_suspicion(found),
    )


def _suspicion(found: Sequence[Judged]) -> Suspicion | None:
    """The story that most suspected posts copy; None when fewer than three accounts do."""
    stories: dict[str, list[Judged]] = defaultdict(list)
    for judged in found:
        if judged.assessment.coordination >= SUSPECT:
            stories[judged.story].append(judged)
    copies = max(stories.values(), key=len, default=[])
    accounts = {judged.post.author.key for judged in copies if judged.post.author.key}
    if len(copies) < FEWEST_COPIES or len(accounts) < FEWEST_COPIES:
        return None
    times = [judged.post.published_at for judged in copies]
    return Suspicion(
        posts=len(copies),
        accounts=len(accounts),
        minutes=(max(times) - min(times)) / timedelta(minutes=1),
        of=len(found),
    )
