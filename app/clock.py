"""The one clock of the application; the demo runs it faster.

Nothing deep reads it: ``app`` asks it for ``now`` and hands the time down as an argument.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.errors import ConfigError

VARIABLE = "YUJING_CLOCK"
"""Environment variable by which child processes share a clock; absent: the real time."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def wall() -> datetime:
    """The machine's time, aware UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Maps the machine's time to the scenario's: ``scenario_start + (wall − wall_start) · rate``.

    A clock that runs faster than real time stops running faster when it meets the present: it never shows
    a time that is still to come.
    """

    scenario_start: datetime = EPOCH
    """Aware; what the clock shows when the wall shows ``wall_start``."""
    wall_start: datetime = EPOCH
    rate: float = 1.0
    """Scenario seconds a real second."""

    def __post_init__(self) -> None:
        if self.scenario_start.tzinfo is None or self.wall_start.tzinfo is None:
            raise ValueError("a clock needs aware times")
        if not (math.isfinite(self.rate) and self.rate >= 0):
            raise ValueError("a clock's rate is a finite number, at least 0")

    def at(self, real: datetime) -> datetime:
        """What the clock shows when the machine shows ``real``; aware UTC."""
        shown = self.scenario_start + timedelta(seconds=(real - self.wall_start).total_seconds() * self.rate)
        return min(shown, real).astimezone(UTC)

    def now(self) -> datetime:
        """What the clock shows now; aware UTC."""
        return self.at(wall())

    def wall_seconds(self, seconds: float) -> float:
        """Real seconds that so many scenario seconds take; infinite on a clock that stands still."""
        return seconds / self.rate if self.rate else math.inf

    @classmethod
    def reaching_present(cls, start: datetime, *, wall_start: datetime, seconds: float) -> Clock:
        """The clock that shows ``start`` now and meets the present ``seconds`` real seconds later.

        Raises ``ValueError`` when there is no time to do it in.
        """
        if seconds <= 0:
            raise ValueError("a clock needs time to reach the present")
        behind = (wall_start - start).total_seconds()
        return cls(start, wall_start, rate=(behind + seconds) / seconds)

    def __str__(self) -> str:
        """One line that ``parse`` reads back to an equal clock."""
        return f"{self.scenario_start.isoformat()}/{self.wall_start.isoformat()}/{self.rate!r}"

    @classmethod
    def parse(cls, text: str) -> Clock:
        """The clock of a line written by ``str``. Raises ``ConfigError``."""
        try:
            scenario, real, rate = text.strip().split("/")
            return cls(datetime.fromisoformat(scenario), datetime.fromisoformat(real), float(rate))
        except ValueError as error:
            raise ConfigError(
                f"{VARIABLE} 应为“情景时刻/真实时刻/倍率”（带时区的 ISO 8601），现为 {text[:80]!r}"
            ) from error

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Clock:
        """The clock that the environment names, else the real one. Raises ``ConfigError``."""
        text = variables.get(VARIABLE, "")
        return cls.parse(text) if text else cls()
