"""Keeps the baselines: loads them from the ledger, brings them up to date, saves them, rebuilds them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from config.settings import Baselines as Settings
from monitor.baseline import Baseline
from monitor.series import PER_DAY, PER_HOUR, POSTS, STEP_S, Counts, Layout
from monitor.volume import VolumeDetector
from store.ledger import States

KIND, STAMP = "baseline", "baseline_stamp"
_CHUNK = 7 * PER_DAY
"""Buckets read at once."""
_SAVE_EVERY = 6 * PER_HOUR
"""Buckets absorbed between two saves; what a kill loses is absorbed again from the counts."""


class Keeper:
    """Baselines and volume detectors of a layout, absorbed up to ``reread_hours`` before the newest tick.

    The state is a function of the stored counts alone, so that two watchers, or one killed between the
    writes, come to the same.
    """

    def __init__(self, *, counts: Counts, states: States, layout: Layout, settings: Settings) -> None:
        self._counts = counts
        self._states = states
        self._layout = layout
        self._settings = settings
        self._stamp: Mapping[str, object] = {}
        self._saved_until = 0
        self.baseline = Baseline(layout, settings)
        self.volumes = [VolumeDetector(step_s=STEP_S) for _ in layout.brands]

    def load(self) -> bool:
        """Take the stored state unless it is the one in hand; False when there is none for this layout."""
        stamp = self._states.load(STAMP).get("stamp")
        if stamp is not None and stamp == self._stamp:
            return True
        documents = self._states.load(KIND)
        baseline = Baseline.of(self._layout, self._settings, documents)
        volumes = _volumes(self._layout, documents)
        if baseline is None or volumes is None:
            return False
        self.baseline, self.volumes, self._stamp = baseline, volumes, stamp or {}
        self._saved_until = baseline.absorbed_until
        return True

    def advance(self, end: int) -> None:
        """Absorb every whole hour that is older than ``reread_hours`` at bucket ``end``; save now and then.

        Without a stored state, after a longer pause than ``rebuild_days``, or with a state of the future, which a
        clock that was ahead has taught silence: rebuild.
        """
        target = self._target(end)
        oldest = target - self._settings.rebuild_days * PER_DAY
        if not self.load() or not oldest <= self.baseline.absorbed_until <= end:
            self.rebuild(end)
        elif self.baseline.absorbed_until < target:
            self._absorb(target)
            if self.baseline.absorbed_until - self._saved_until >= _SAVE_EVERY:
                self._save(str(self._stamp.get("rebuilt", "")))

    def rebuild(self, end: int, *, why: str = "") -> None:
        """Learn the last ``rebuild_days`` anew from the stored counts; since when who was watched stays known.

        ``why`` goes into the stamp: other watchers must see a new state even when its times are those of the old.
        """
        self.baseline = Baseline(self._layout, self._settings)
        self.volumes = [VolumeDetector(step_s=STEP_S) for _ in self._layout.brands]
        target = self._target(end)
        first = self.baseline.absorbed_until = target - self._settings.rebuild_days * PER_DAY
        self._absorb(target, self._watched_since(first))
        # From here on somebody watches: silence is silence, also of a brand never heard of.
        self.baseline.start(np.ones(len(self._layout.brands), dtype=np.bool_))
        self._save(f"{end} {why}".rstrip())

    def _target(self, end: int) -> int:
        reread = round(self._settings.reread_hours * PER_HOUR)
        return (end - reread) // PER_HOUR * PER_HOUR

    def _watched_since(self, first: int) -> list[float]:
        """Bucket in which the stored history of each brand begins; never where none reaches beyond ``first``.

        Counts cannot tell: silence that was listened to leaves no trace in them.
        """
        documents, found = self._states.load(KIND), []
        for brand in self._layout.brands:
            match documents.get(brand):
                case {"started": 1, "hours": int() | float() as hours, "until": int(until)} if until > first:
                    found.append(until - hours * PER_HOUR)
                case _:
                    found.append(math.inf)
        return found

    def _absorb(self, target: int, watched_since: Sequence[float] = ()) -> None:
        while self.baseline.absorbed_until < target:
            first = self.baseline.absorbed_until
            window = self._counts.read(self._layout, first, min(target, first + _CHUNK))
            for hour in range(first, window.end, PER_HOUR):
                counts = window.part(hour, hour + PER_HOUR)
                if watched_since:
                    self.baseline.start(np.array(watched_since) <= hour)
                self.baseline.absorb(hour, counts)
                self._feed(hour, counts[POSTS, :: self._layout.width])

    def _feed(self, hour: int, posts: np.ndarray) -> None:
        for brand, detector in enumerate(self.volumes):
            if self.baseline.started[brand]:
                for offset, value in enumerate(posts[brand].tolist()):
                    detector.judge((hour + offset + 1) * STEP_S, value)

    def _save(self, rebuilt: str) -> None:
        documents = self.baseline.documents()
        for brand, detector in zip(self._layout.brands, self.volumes, strict=True):
            documents[brand]["volume"] = detector.document()
        self._saved_until = self.baseline.absorbed_until
        self._stamp = {"until": self._saved_until, "rebuilt": rebuilt}
        self._states.replace(KIND, documents)
        self._states.save(STAMP, {"stamp": dict(self._stamp)})


def _volumes(layout: Layout, documents: Mapping[str, Mapping[str, object]]) -> list[VolumeDetector] | None:
    try:
        return [
            VolumeDetector.of(cast("Mapping[str, object]", documents[brand]["volume"]))
            for brand in layout.brands
        ]
    except (KeyError, TypeError, ValueError):
        return None
