"""Asks every detector about every series, and lets each finding say itself in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from config.settings import Brand, Detection
from domain.local_time import SHANGHAI
from monitor.detectors import Finding, Look, finding, look, negative_tail, slow_burn
from monitor.keeper import Keeper
from monitor.levels import Judgement
from monitor.rules import over_limits, verified_red
from monitor.series import PER_DAY, PER_HOUR, POSTS, STEP_S, Layout, Window, time_of
from monitor.volume import volume_ratios
from monitor.wording import explain, risen
from store.posts import Judged


@dataclass(frozen=True, kw_only=True)
class Voice:
    """A finding with the sentence that explains it."""

    finding: Finding
    text: str


Top = Callable[[str, int, int], list[Judged]]
"""Brand, first bucket, bucket after the last → its most influential negative posts."""


class Listener:
    """All detectors over all series. ``late``: so many of the newest window ends are judged at every tick."""

    def __init__(
        self,
        *,
        keeper: Keeper,
        layout: Layout,
        brands: Sequence[Brand],
        names: Mapping[str, str],
        red: Collection[str],
        rules: Detection,
        late: int,
        top: Top,
    ) -> None:
        self._keeper = keeper
        self._layout = layout
        self._brands = tuple(brands)
        self._names = names
        self._red = red
        self._rules = rules
        self._late = late
        self._top = top

    def voices(self, window: Window, seen: Look) -> dict[int, list[Voice]]:
        """Brand index → what detectors say, strongest first, one finding a series and detector."""
        baseline, rules = self._keeper.baseline, self._rules
        end = seen.end
        highest: dict[int, Finding] = {}
        for when in range(end - self._late, end + 1):
            there = seen if when == end else look(baseline, window, when)
            for each in negative_tail(there, baseline, rules):
                # The rarest window speaks, the newest of equal ones: where a source is crawled once an hour, the
                # newest that fires is but the tail of a burst.
                if each.series not in highest or each.tail >= highest[each.series].tail:
                    highest[each.series] = each
        found = [*highest.values(), *slow_burn(seen, baseline, window, rules)]
        voices: dict[int, list[Voice]] = {}
        for each in sorted(found, key=lambda f: -f.tail):
            voices.setdefault(each.series // self._layout.width, []).append(self._voice(each, end))
        volumes = self._volume_voices(seen, window)
        for index, brand in enumerate(self._brands):
            extra = self._limit_voices(index, brand, seen, end)
            extra += [volumes[index]] if index in volumes else []
            if extra:
                voices.setdefault(index, []).extend(extra)
        return voices

    def fired(self, series: Collection[int], window: Window, since: int) -> bool:
        """Whether a detector of negatives, or a limit, spoke of one of these series of a brand since then."""
        baseline, rules = self._keeper.baseline, self._rules
        index = min(series) // self._layout.width
        limits = self._brands[index].limits
        if limits is not None and limits.verified_red:
            posts = self._top(self._brands[index].id, since - PER_HOUR, window.end)
            if verified_red(posts, self._red) is not None:
                return True
        # Every quarter of an hour: tails last longer. A limit may be passed for five minutes only.
        for when in range(since, window.end + 1, 3 if limits is None else 1):
            seen = look(baseline, window, when)
            found = [*negative_tail(seen, baseline, rules), *slow_burn(seen, baseline, window, rules)]
            if limits is not None:
                found += [each for each, _ in over_limits(seen, index * self._layout.width, limits)]
            if any(each.series in series for each in found):
                return True
        return False

    def rise(self, each: Finding, judgement: Judgement) -> str:
        """The sentence of a level that rose though no detector fires."""
        return self._voice(each, each.end, risen(each, judgement, topic=self.topic_of(each))).text

    def topic_of(self, each: Finding) -> str:
        """The shown name of a finding's topic; empty for the whole brand."""
        topic = self._layout.key(each.series)[1]
        return self._names.get(topic, topic)

    def _voice(self, each: Finding, end: int, words: str = "") -> Voice:
        text = explain(
            each,
            topic=self.topic_of(each),
            history_hours=self._keeper.baseline.history_hours(each.series // self._layout.width),
            thin_below=self._rules.min_history_hours,
            words=words,
            until="" if each.end == end else f"{time_of(each.end).astimezone(SHANGHAI):%H:%M}",
        )
        return Voice(finding=each, text=text)

    def _limit_voices(self, index: int, brand: Brand, seen: Look, end: int) -> list[Voice]:
        if brand.limits is None:
            return []
        series = index * self._layout.width
        found = [self._voice(each, end, words) for each, words in over_limits(seen, series, brand.limits)]
        if brand.limits.verified_red:
            hit = verified_red(self._top(brand.id, end - PER_HOUR - self._late, end), self._red)
            if hit is not None:
                words = f"认证账号「{_shown(hit[0].post.author.name)}」发布「{self._names[hit[1]]}」负面"
                place = series + 1 + self._layout.topics.index(hit[1])
                found.append(self._voice(finding(seen, place, "limit_verified"), end, words))
        return found

    def _volume_voices(self, seen: Look, window: Window) -> dict[int, Voice]:
        """Brand index → the volume detector's voice: total posts at a new 24 h high of the brand's own scale."""
        scales = np.array([detector.scales for detector in self._keeper.volumes])
        posts = window.counts[POSTS, :: self._layout.width]
        ratios = volume_ratios(posts[:, -PER_HOUR:], scales)[:, -1]
        enough = seen.posts[:: self._layout.width] >= self._rules.min_negatives
        enough &= self._keeper.baseline.hours >= self._rules.min_history_hours
        since = max(0, self._keeper.baseline.absorbed_until - window.first - PER_HOUR + 1)
        found = {}
        for brand in np.flatnonzero((ratios >= 1) & enough).tolist():
            fresh = volume_ratios(posts[brand : brand + 1, since:], scales[brand : brand + 1])[0, :-1]
            day_ago = (window.end - PER_DAY) * STEP_S
            highest = max(self._keeper.volumes[brand].highest(day_ago), float(fresh.max(initial=0.0)))
            if ratios[brand] > highest:
                found[brand] = self._voice(finding(seen, brand * self._layout.width, "volume"), seen.end)
        return found


def _shown(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:30]
