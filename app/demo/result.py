"""What a run came to, and whether all of it happened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from domain.alert import Alert
from domain.incident import Incident
from domain.local_time import iso

if TYPE_CHECKING:
    from app.wire import App
    from config.settings import Brand


@dataclass(frozen=True, kw_only=True)
class Result:
    """The end of a run, as it lies in the stores and the mailbox."""

    posts: int
    sources: dict[str, int]
    """Stored posts by source id."""
    brand: Brand
    """The brand of the event."""
    onset: datetime
    alerts: tuple[Alert, ...]
    """Newest revision of each alert about a brand, oldest alert first."""
    emails: tuple[Path, ...]
    incidents: tuple[Incident, ...]
    seconds: float
    names: dict[str, str]
    """Brand id → name."""
    tasks: dict[str, int]
    """Incident id → tasks that its plan holds for its level."""

    def delay_s(self, alert: Alert) -> float:
        """Scenario seconds from the onset to the birth of an alert."""
        return (alert.first_at - self.onset).total_seconds()

    @property
    def own_alerts(self) -> tuple[Alert, ...]:
        """Alerts about the brand of the event, born after its onset."""
        return tuple(a for a in self.alerts if a.brand == self.brand.id and a.first_at >= self.onset)

    def missing(self, *, crisis: bool) -> list[str]:
        """What should have happened and did not, in words; empty when all is well."""
        if not crisis:
            return [f"平静的日子里出现了 {len(self.alerts)} 条预警（误报）"] if self.alerts else []
        own = [incident for incident in self.incidents if incident.brand == self.brand.id]
        wanted = {
            "没有发出预警": self.own_alerts,
            "没有收到预警邮件": self.emails,
            "没有建立事件": own,
            "没有提出预案": [incident for incident in own if incident.plan],
        }
        return [words for words, found in wanted.items() if not found]

    def line(self) -> str:
        """The result as one line of JSON; times at +08:00."""
        value = {
            "posts": self.posts,
            "sources": self.sources,
            "brand": self.brand.name,
            "onset": iso(self.onset),
            "alerts": [
                {
                    "id": alert.id,
                    "level": alert.level.id,
                    "brand": self.names.get(alert.brand, alert.brand),
                    "topics": list(alert.topics),
                    "at": iso(alert.first_at),
                    "delay_s": round(self.delay_s(alert)),
                }
                for alert in self.alerts
            ],
            "emails": [str(path) for path in self.emails],
            "incidents": [
                {
                    "id": incident.id,
                    "level": incident.level.id,
                    "topic": incident.topic,
                    "plan": incident.plan,
                    "tasks": self.tasks.get(incident.id, 0),
                }
                for incident in self.incidents
            ],
            "seconds": round(self.seconds, 1),
        }
        return json.dumps(value, ensure_ascii=False)


def collect(app: App, *, brand: Brand, onset: datetime, emails: tuple[Path, ...], seconds: float) -> Result:
    """Read the end of a run. Raises ``StoreError``."""
    alerts = [alert for alert in app.ledger.alerts.find(limit=1000) if alert.brand]
    incidents = app.ledger.incidents.find(limit=1000)
    plans = app.settings.plans
    return Result(
        posts=app.posts.size(),
        sources=dict(sorted(app.posts.sources().items())),
        brand=brand,
        onset=onset,
        alerts=tuple(sorted(alerts, key=lambda alert: (alert.first_at, alert.id))),
        emails=emails,
        incidents=tuple(sorted(incidents, key=lambda incident: (incident.opened_at, incident.id))),
        seconds=seconds,
        names={known.id: known.name for known in app.settings.brands},
        tasks={
            incident.id: sum(task.from_level <= incident.level for task in plans[incident.plan].tasks)
            for incident in incidents
            if incident.plan in plans
        },
    )
