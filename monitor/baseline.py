"""What is usual: expected counts, dispersion and negative share of every series, in O(1) state.

All series are kept as arrays, so that a rebuild of 28 days is one pass over 672 hours. Formulas with their
sources: docs/detection.md. Whole hours are absorbed, each exactly once, and only when older than
``reread_hours``: until then late posts may still change them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from config.settings import Baselines as Settings
from monitor.series import LOCAL_SHIFT, NEGATIVE, PER_HOUR, POSTS, STORIES, Flags, Floats, Layout, Numbers

WINDOWS = (1, 3, 12)
"""Buckets of the windows that are judged: 5, 15 and 60 minutes."""

_PRIOR_SHAPE = 1.0
_PRIOR_RATE_H = {POSTS: 4.0, NEGATIVE: 0.4, STORIES: 0.4}
_PRIOR_TOPIC_SHARE = 0.25
"""Before anything is known: an exponential prior with so many posts an hour, a quarter of it for a topic."""
_PHI_PRIOR, _PHI_WEIGHT, _PHI_DAYS = 1.5, 20.0, 14.0
_CELL_WEIGHT, _CELL_DAYS = 6.0, 28.0
_SHARE_PRIOR, _SHARE_WEIGHT = 0.15, 20.0
_WEEK_H = 168
_MEASURE_PROFILE = (0, 1, 1)
"""Stories follow the profile of negative posts."""

_HOUR_OF_WEEK = np.arange(_WEEK_H)
_CELL_OF_HOUR = np.where(_HOUR_OF_WEEK // 24 >= 5, 24, 0) + _HOUR_OF_WEEK % 24
_SCALARS = ("hours", "started")
_SERIES = (
    "total",
    "exposure",
    "deviation",
    "expected",
    "share_negative",
    "share_posts",
    "cusum",
    "cusum_high",
)
_BRAND = ("cell_sum", "cell_exp", "week_sum", "week_exp")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a series is expected to hold in each of some buckets."""

    mean: Floats
    """[measure, series, bucket]"""
    phi: Floats
    """[window, measure, series]: variance ÷ mean in windows of 5, 15 and 60 minutes, at least 1."""
    doubt: Floats
    """[measure, series]: squared coefficient of variation of the mean itself (little history: large)."""
    share: Floats
    """[series]: usual negatives ÷ posts of the brand (p0)."""


class Baseline:
    """State of all series of a layout."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self.layout = layout
        self._settings = settings
        brands, size = len(layout.brands), layout.size
        self.absorbed_until = 0
        """First bucket that was not absorbed; 0 before the first."""
        self.missed = 0.0
        """Posts that were due since the last post of any brand."""
        self.hours = np.zeros(brands)
        self.started = np.zeros(brands)
        self.total = np.zeros((3, size))
        self.exposure = np.zeros((3, size))
        self.deviation = np.zeros((3, 3, size))
        self.expected = np.zeros((3, 3, size))
        self.share_negative = np.zeros(size)
        self.share_posts = np.zeros(size)
        self.cusum = np.zeros(size)
        self.cusum_high = np.zeros((24, size))
        self.cell_sum = np.zeros((2, brands, 48))
        self.cell_exp = np.zeros((2, brands, 48))
        self.week_sum = np.zeros((2, brands, _WEEK_H))
        self.week_exp = np.zeros((2, brands, _WEEK_H))
        self._brand = np.repeat(np.arange(brands), layout.width)
        whole = np.arange(size) % layout.width == 0
        prior = np.array([[_PRIOR_RATE_H[m]] for m in range(3)]) / PER_HOUR
        self._prior_rate = _PRIOR_SHAPE / (prior * np.where(whole, 1.0, _PRIOR_TOPIC_SHARE))
        self._whole = np.flatnonzero(whole)
        self._refresh()

    # ------------------------------------------------------------------ reading

    def expect(self, first: int, until: int) -> Expected:
        """Expected counts of all series in the buckets [first, until)."""
        local = np.arange(first, until) + LOCAL_SHIFT
        factor = self._factor(local)[list(_MEASURE_PROFILE)][:, self._brand]
        return Expected(
            mean=self._level[:, :, None] * factor, phi=self._phi, doubt=self._doubt, share=self._share
        )

    def history_hours(self, brand: int) -> float:
        """Hours of history behind a brand's baseline."""
        return float(self.hours[brand])

    def _factor(self, local: Numbers) -> Floats:
        """Profile at local buckets, linear between the middles of the hours (no steps at a full hour)."""
        position = (local + 0.5) / PER_HOUR - 0.5
        # The epoch was a Thursday; hour 0 of the week is Monday 00:00.
        low = np.floor(position).astype(np.int64)
        weight = position - low
        before, after = (low + 72) % _WEEK_H, (low + 73) % _WEEK_H
        return self._profile[:, :, before] * (1 - weight) + self._profile[:, :, after] * weight

    # ----------------------------------------------------------------- absorbing

    def start(self, brands: Flags) -> None:
        """History of these brands begins now (the first post was seen, or watching began)."""
        self.started = np.maximum(self.started, brands.astype(np.float64))

    def absorb(self, first: int, counts: Floats) -> None:
        """Take in one whole hour, buckets [first, first + 12), exactly once.

        Raises ``ValueError`` for an hour that was absorbed, is not the next one, or is not aligned.
        """
        if first % PER_HOUR or counts.shape != (3, self.layout.size, PER_HOUR):
            raise ValueError("only whole hours are absorbed")
        if self.absorbed_until and first != self.absorbed_until:
            raise ValueError(f"bucket {first} is not the next one ({self.absorbed_until})")
        posted = counts[POSTS, self._whole].sum(axis=1) > 0
        self.start(posted)
        live = self.started > 0
        if live.any() and not self._gap(first, bool(posted.any())):
            mean = self.expect(first, first + PER_HOUR).mean
            kept = self._winsorise(counts, mean)
            self._learn_level(first, kept, live)
            suspect = self._suspect(counts, mean)
            self._learn_dispersion(kept, mean, live & (self.hours >= 24), suspect)
            self._learn_profile(first, kept, live)
            self._learn_share(kept, live, suspect)
            self._advance_cusum(counts, mean, live)
            self.hours += live
        self.absorbed_until = first + PER_HOUR
        self._refresh()

    def _gap(self, first: int, posted: bool) -> bool:
        """Not one post of any brand since at least 20 were due: nobody looked, the public was not calm.

        An hour alone counts by all that is expected; hours on end by what a day at least has taught, or a brand that is
        merely assumed to be spoken of would never be learned to be silent.
        """
        if posted:
            self.missed = 0.0
            return False
        due = self.expect(first, first + PER_HOUR).mean[POSTS, self._whole].sum(axis=1)
        self.missed += float(due[self.hours >= 24].sum())
        return max(float(due.sum()), self.missed) >= 20

    def _winsorise(self, counts: Floats, mean: Floats) -> Floats:
        spread = np.sqrt(self._phi[0][:, :, None] * mean + self._doubt[:, :, None] * mean**2)
        return cast(Floats, np.minimum(counts, mean + 3 * spread + 2))

    def _learn_level(self, first: int, kept: Floats, live: Flags) -> None:
        keep = math.exp(-1 / (24 * self._settings.level_days))
        factor = self._factor(np.arange(first, first + PER_HOUR) + LOCAL_SHIFT).sum(axis=2)
        factor = factor[list(_MEASURE_PROFILE)][:, self._brand]
        on = live[self._brand]
        self.total = np.where(on, self.total * keep + kept.sum(axis=2), self.total)
        self.exposure = np.where(on, self.exposure * keep + factor, self.exposure)

    def _suspect(self, counts: Floats, mean: Floats) -> Flags:
        """Hours that look like an incident (far too many negatives, far too large a share): they are not noise."""
        k, m = counts[NEGATIVE].sum(axis=1), mean[NEGATIVE].sum(axis=1)
        n = counts[POSTS, self._whole].sum(axis=1)[self._brand]
        usual = n * self._share
        spread = np.sqrt(self._phi[2][NEGATIVE] * m + self._doubt[NEGATIVE] * m**2)
        return cast(Flags, (k > m + 3 * spread + 2) & (k - usual > 3 * np.sqrt(usual * (1 - self._share))))

    def _learn_dispersion(self, kept: Floats, mean: Floats, live: Flags, suspect: Flags) -> None:
        # The first day's profile is flat: what it misses is not noise.
        on = live[self._brand] & ~suspect
        if not on.any():
            return
        keep = math.exp(-1 / (24 * _PHI_DAYS))
        for index, width in enumerate(WINDOWS):
            x = kept.reshape(3, -1, PER_HOUR // width, width).sum(axis=3)
            m = mean.reshape(3, -1, PER_HOUR // width, width).sum(axis=3)
            limit = 3 * np.sqrt(self._phi[index][:, :, None] * m) + 2
            squared = np.minimum((x - m) ** 2, limit**2).sum(axis=2)
            self.deviation[index] = np.where(
                on, self.deviation[index] * keep + squared, self.deviation[index]
            )
            self.expected[index] = np.where(
                on, self.expected[index] * keep + m.sum(axis=2), self.expected[index]
            )

    def _learn_profile(self, first: int, kept: Floats, live: Flags) -> None:
        hour = (first + LOCAL_SHIFT) // PER_HOUR
        week = (hour + 72) % _WEEK_H
        keep = math.exp(-1 / (24 * _CELL_DAYS))
        sums = kept[: NEGATIVE + 1, self._whole].sum(axis=2)
        flat = self._level[: NEGATIVE + 1, self._whole] * PER_HOUR
        for total, exposure, cell in (
            (self.cell_sum, self.cell_exp, int(_CELL_OF_HOUR[week])),
            (self.week_sum, self.week_exp, int(week)),
        ):
            total[:, live] *= keep
            exposure[:, live] *= keep
            total[:, live, cell] += sums[:, live]
            exposure[:, live, cell] += flat[:, live]

    def _learn_share(self, kept: Floats, live: Flags, suspect: Flags) -> None:
        keep = math.exp(-1 / (24 * self._settings.level_days))
        on = live[self._brand] & ~suspect
        negatives = kept[NEGATIVE].sum(axis=1)
        posts = kept[POSTS, self._whole].sum(axis=1)[self._brand]
        self.share_negative = np.where(on, self.share_negative * keep + negatives, self.share_negative)
        self.share_posts = np.where(on, self.share_posts * keep + posts, self.share_posts)

    def _advance_cusum(self, counts: Floats, mean: Floats, live: Flags) -> None:
        step = self.cusum_step(counts[NEGATIVE].sum(axis=1), mean[NEGATIVE].sum(axis=1))
        on = live[self._brand]
        self.cusum = np.where(on, np.clip(self.cusum + step, 0, CUSUM_CAP), 0.0)
        self.cusum_high = np.vstack([self.cusum_high[1:], self.cusum[None]])

    def cusum_step(self, observed: Floats, mean: Floats) -> Floats:
        """Step of the slow burn's CUSUM for one hour: standardised excess − ½, at most 3 (docs/detection.md)."""
        phi, doubt = self._phi[2][NEGATIVE], self._doubt[NEGATIVE]
        spread = np.sqrt(np.maximum(phi * mean + doubt * mean**2, 1.0))
        return cast(Floats, np.minimum((observed - mean) / spread, 3.0) - 0.5)

    # ------------------------------------------------------------------- derived

    def _refresh(self) -> None:
        raw = (self.deviation + _PHI_PRIOR * _PHI_WEIGHT) / (self.expected + _PHI_WEIGHT)
        self._phi = np.maximum(raw, 1.0)
        phi = self._phi[0]
        shape = _PRIOR_SHAPE + self.total / phi
        self._level = shape / (self._prior_rate + self.exposure / phi)
        self._profile = self._profiles()
        cell = self.cell_sum.mean(axis=2)[list(_MEASURE_PROFILE)][:, self._brand]
        whole = self._phi[2][:, self._whole[self._brand]]
        self._doubt = 1 / shape + whole / (cell + whole * 2 * _CELL_WEIGHT)
        # A topic's prior share is small: most posts of a brand are not about one topic.
        prior = np.full(self.layout.size, _SHARE_PRIOR * 0.2)
        prior[self._whole] = _SHARE_PRIOR
        share = (self.share_negative + prior * _SHARE_WEIGHT) / (self.share_posts + _SHARE_WEIGHT)
        self._share = np.clip(share, 0.002, 0.98)

    def _profiles(self) -> Floats:
        """[posts or negative, brand, hour of week]: factors with mean 1."""
        # Squared: after four weeks the plain n/(n + 72) would still lift quiet nights by a tenth of the mean.
        shrink = self._settings.shrink_hours
        trust = (1 - (shrink / (self.hours + shrink)) ** 2)[:, None]
        weekly = (self.hours >= 24 * self._settings.weekly_after_days)[:, None]
        parent = np.ones((len(self.layout.brands), _WEEK_H))
        found = []
        for measure in (POSTS, NEGATIVE):
            weight = _CELL_WEIGHT * self._phi[2][measure, self._whole][:, None]
            sums, exposures = (
                self.cell_sum[measure][:, _CELL_OF_HOUR],
                self.cell_exp[measure][:, _CELL_OF_HOUR],
            )
            daily = 1 + trust * ((sums + weight * parent) / (exposures + weight) - 1)
            sums, exposures = self.week_sum[measure], self.week_exp[measure]
            profile = np.where(weekly, (sums + weight * daily) / (exposures + weight), daily)
            profile = profile / profile.mean(axis=1, keepdims=True)
            found.append(profile)
            parent = profile
        return np.stack(found)

    # --------------------------------------------------------------------- state

    def documents(self) -> dict[str, dict[str, object]]:
        """JSON-able state, one document a brand."""
        found: dict[str, dict[str, object]] = {}
        for index, brand in enumerate(self.layout.brands):
            part = slice(index * self.layout.width, (index + 1) * self.layout.width)
            document: dict[str, object] = {
                "topics": list(self.layout.topics),
                "until": self.absorbed_until,
                "missed": self.missed,
            }
            document |= {name: float(getattr(self, name)[index]) for name in _SCALARS}
            document |= {name: getattr(self, name)[..., part].tolist() for name in _SERIES}
            document |= {name: getattr(self, name)[:, index].tolist() for name in _BRAND}
            found[brand] = document
        return found

    @classmethod
    def of(
        cls, layout: Layout, settings: Settings, documents: Mapping[str, Mapping[str, object]]
    ) -> Baseline | None:
        """From ``documents()``; None when a brand or topic is missing or the state is of another make."""
        made = cls(layout, settings)
        untils = set()
        for index, brand in enumerate(layout.brands):
            document = documents.get(brand)
            if document is None or document.get("topics") != list(layout.topics):
                return None
            untils.add(document.get("until"))
            part = slice(index * layout.width, (index + 1) * layout.width)
            try:
                for name in _SCALARS:
                    getattr(made, name)[index] = document[name]
                for name in _SERIES:
                    getattr(made, name)[..., part] = document[name]
                for name in _BRAND:
                    getattr(made, name)[:, index] = document[name]
                # States of earlier versions lack it.
                made.missed = float(cast(float, document.get("missed", 0.0)))
            except (KeyError, ValueError, TypeError):
                return None
        if len(untils) != 1:
            return None
        until = untils.pop()
        if not isinstance(until, int):
            return None
        made.absorbed_until = until
        made._refresh()
        return made


CUSUM_CAP = 20.0
"""The slow burn's CUSUM goes no higher: after a crisis it must come down within two days."""
