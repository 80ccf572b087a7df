"""Who gets which alert: pure functions over the routes of ``config/routes.yaml``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta

from alerts.words import local
from config.settings import QuietHours, Route
from domain.alert import Alert, Level
from store.ledger import Notification


def miss(route: Route, alert: Alert, *, plan_of: Callable[[str], str]) -> str:
    """Why a route does not want an alert, in a word; empty when it does.

    The highest level reached counts, not the present one: who heard that it rose must hear that it fell.
    ``plan_of`` gives the plan id of a topic id, empty when there is none.
    """
    if route.operator != (not alert.brand):
        return "operator"
    if route.operator:
        return ""  # Operator alerts have no level: that a source is blind is all there is to say.
    if max(alert.level, alert.peak) < Level.of(route.level):
        return "level"
    if route.brands and alert.brand not in route.brands:
        return "brand"
    if route.topics and not set(route.topics) & set(alert.topics):
        return "topic"
    if route.plans and not set(route.plans) & {plan_of(topic) for topic in alert.topics}:
        return "plan"
    return ""


def quiet_until(quiet: QuietHours | None, at: datetime) -> datetime | None:
    """The end of the quiet hours that ``at`` lies in (Asia/Shanghai, start included, end not), else None.

    Hours whose start is their end are none.
    """
    if quiet is None or quiet.start == quiet.end:
        return None
    here = local(at)
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    now = here.timetz().replace(tzinfo=None)
    inside = start <= now < end if start < end else now >= start or now < end
    if not inside:
        return None
    until = here.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
    return (until if until > here else until + timedelta(days=1)).astimezone(at.tzinfo)


def night_watch(routes: Sequence[Route]) -> Callable[[Notification, datetime], datetime | None]:
    """Until when a waiting message must be held at a time, by the quiet hours of its route; None: send it.

    For the deliverer: a message that was due before the night, and met a server that was down, must not
    arrive in it. A route that is configured no more holds nothing.
    """
    known = {route.name: route for route in routes}

    def held(message: Notification, at: datetime) -> datetime | None:
        route = known.get(message.route)
        if route is None or route.quiet_hours is None:
            return None
        if message.level >= Level.of(route.quiet_hours.from_level):
            return None
        return quiet_until(route.quiet_hours, at)

    return held
