"""What a page told us: results, proved empty, blocked, or changed; and what a whole crawl comes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crawlers.draft import Draft, Reject
from domain.source_run import Outcome

_ORDERS = (
    "输入验证码", "安全验证", "访问验证", "滑动验证", "人机验证", "请完成验证", "完成验证后", "访问过于频繁",
    "访问频繁", "请求过于频繁", "请先登录", "登录后查看", "登录后继续", "access denied",
    "are you a human", "unusual traffic",
)  # fmt: skip
"""What a wall says to its reader."""
_WALL = (*_ORDERS, "验证码", "passport.weibo", "visitor system", "captcha")
SHORT = 300
"""Characters that no wall's own text reaches."""

BLOCKED_STATUS = frozenset({401, 403, 405, 407, 412, 418, 429, 432, 451})
"""Statuses by which sites turn crawlers away (418 and 432 are house inventions of Chinese sites)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What one page of a list says."""

    outcome: Outcome
    drafts: tuple[Draft, ...] = ()
    rejects: tuple[Reject, ...] = ()
    detail: str = ""
    """Why, for anything but results; one Chinese line."""
    more: bool = False
    """There may be a next page."""
    total: int | None = None
    """Posts on all pages, where the site says so."""
    bare: bool = False
    """An empty list, or none: on a later page the end, unless more was stated; on the first, no proof."""

    @classmethod
    def of(
        cls,
        drafts: Iterable[Draft],
        rejects: Iterable[Reject] = (),
        *,
        more: bool = False,
        total: int | None = None,
        timed: bool = True,
    ) -> Listing:
        """A list that holds something; when nothing on it could be read, its format has changed.

        So it has when no post of a list whose posts are ``timed`` has a time: posts without are counted nowhere.
        """
        drafts, rejects = tuple(drafts), tuple(rejects)
        if not drafts and rejects:
            return cls.changed(f"{len(rejects)} 条全部无法读取：{rejects[0].reason}", rejects)
        blind = timed and bool(drafts) and not any(draft.stamp for draft in drafts)
        return cls(
            outcome=Outcome.SCHEMA_CHANGED if blind else Outcome.RESULTS,
            detail="所有帖子都没有可读的发布时间" if blind else "",
            drafts=drafts,
            rejects=rejects,
            more=more,
            total=total,
        )

    @classmethod
    def empty(cls, detail: str) -> Listing:
        """The site itself says that there is nothing."""
        return cls(outcome=Outcome.EMPTY, detail=detail)

    @classmethod
    def blocked(cls, detail: str) -> Listing:
        """A login wall, a captcha, a refusal."""
        return cls(outcome=Outcome.BLOCKED, detail=detail)

    @classmethod
    def changed(cls, detail: str, rejects: tuple[Reject, ...] = ()) -> Listing:
        """Expected keys are missing."""
        return cls(outcome=Outcome.SCHEMA_CHANGED, detail=detail, rejects=rejects)

    @classmethod
    def unproved(cls, detail: str) -> Listing:
        """An empty list without a word of the site that it is empty: not calm, but blind."""
        return cls(outcome=Outcome.SCHEMA_CHANGED, detail=detail, bare=True)


def of_status(status: int) -> Listing | None:
    """What a response's status alone says; None when the body must be read."""
    if 200 <= status < 300:
        return None
    if status in BLOCKED_STATUS:
        return Listing.blocked(f"网站拒绝访问（HTTP {status}）")
    if status >= 500 or status == 408:
        return Listing(outcome=Outcome.UNREACHABLE, detail=f"网站出错（HTTP {status}）")
    if 300 <= status < 400:
        return Listing.changed(f"未跟随的跳转（HTTP {status}）")
    if status in (404, 410):
        return Listing.unproved(f"地址不存在（HTTP {status}）")
    return Listing.changed(f"网站不接受请求（HTTP {status}）")


def walled(text: str) -> bool:
    """Whether a page that should have been something else is a login wall or a captcha."""
    head = text[:20_000].lower()
    return any(word in head for word in _WALL)


def wall_text(text: str) -> bool:
    """Whether the shown text of a page is a wall's: short, and an order. People only mention a 验证码."""
    return len(text) < SHORT and any(word in text.lower() for word in _ORDERS)


_GRAVITY = (Outcome.EMPTY, Outcome.RESULTS, Outcome.UNREACHABLE, Outcome.SCHEMA_CHANGED, Outcome.BLOCKED)


def worst(outcomes: Iterable[tuple[Outcome, str]]) -> tuple[Outcome, str]:
    """What several lists of one source come to: the gravest, since half a view is not a view.

    Of several, one that has something to say. No list at all means that nothing was reached.
    """
    return max(
        outcomes,
        key=lambda pair: (_GRAVITY.index(pair[0]), bool(pair[1])),
        default=(Outcome.UNREACHABLE, "没有得到任何页面"),
    )
