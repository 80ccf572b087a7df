"""What a configuration may say and its owner should know of (``yujing check``, ``yujing doctor``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from config.settings import Brand, Route, Settings
from domain.alert import Level

_EXAMPLES = ("example.com", "example.org", "example.net", "example")
"""Domains that are nobody's (RFC 2606)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One thing that is sound, but asks for something."""

    subject: str
    """What it is about; the text goes on from it."""
    text: str
    """One Chinese clause without a line break."""
    remedy: str
    """What to do."""


def notes(settings: Settings) -> Iterator[Note]:
    """Whom no alert reaches, and duties that nobody confirmed."""
    for brand in settings.brands:
        if brand.alerts and not any(_takes_all(route, brand) for route in settings.routes):
            yield Note(
                subject=f"品牌 {brand.name}",
                text="没有一条路由不分主题地接收它的橙色和红色预警，可能出了事没有人收到邮件",
                remedy="在 routes.yaml 里加一条（level 不高于 orange），或检查各条的 brands、topics、plans",
            )
    if not any(route.operator for route in settings.routes):
        yield Note(
            subject="运维",
            text="没有路由接收运维预警，数据源失明时没有人收到邮件",
            remedy="在 routes.yaml 里加一条 operator: true 的路由",
        )
    recipients = {address for route in settings.routes for address in route.to}
    if examples := sorted(filter(_is_example, recipients)):
        yield Note(
            subject="收件人",
            text=f"{'、'.join(examples)} 是例子里的地址，没有人会收到",
            remedy="在 routes.yaml 里改成自己的",
        )
    yield from _clocks(settings)


def _takes_all(route: Route, brand: Brand) -> bool:
    if route.operator or route.topics or route.plans:
        return False
    return Level.of(route.level) <= Level.ORANGE and (not route.brands or brand.id in route.brands)


def _is_example(address: str) -> bool:
    domain = address.rpartition("@")[2].lower()
    return any(domain == example or domain.endswith(f".{example}") for example in _EXAMPLES)


def _clocks(settings: Settings) -> Iterator[Note]:
    clocks = [clock for plan in settings.plans.values() for clock in plan.clocks]
    doubtful = sum(not (clock.verified_at and clock.confirmed_by) for clock in clocks)
    if doubtful:
        yield Note(
            subject="法定时限",
            text=f"{len(clocks)} 条中有 {doubtful} 条未核实或待法务确认",
            remedy="请法务核对 plans/*.yaml 的 clocks，填写 verified_at 和 confirmed_by",
        )
