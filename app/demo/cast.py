"""Who is talked about: the brands of a scenario, from config/ and from the rows that are played."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.sandbox.rows import Row, Rows, built_in
from app.sandbox.scenario import Scenario, brand_of, build
from config.references import folded
from config.settings import Brand, Limits

LIMITS = Limits(volume=20, share=0.7, share_posts=15, verified_red=True)
"""Fixed limits of the brands that may alert: an invented brand is a small one."""


@dataclass(frozen=True, kw_only=True)
class Cast:
    """A scenario with the brands that are watched in it."""

    scenario: Scenario
    brands: tuple[Brand, ...]
    """The brand of the event first; every brand that is talked about has one here."""
    skipped: tuple[str, ...]
    """Rows that could not be used, by file and number."""

    @property
    def lead(self) -> Brand:
        """The brand of the event."""
        return self.brands[0]

    def named(self, name: str) -> Brand:
        """A brand by its name. Raises ``KeyError``."""
        return {brand.name: brand for brand in self.brands}[name]


def cast(
    *,
    known: Sequence[Brand],
    crisis: Rows | None,
    calm: Rows | None,
    campaign: bool,
    ends: datetime,
    seed: int = 1,
) -> Cast:
    """The scenario of some rows: ``crisis`` and ``calm`` from files, or None for those that come along.

    With ``campaign`` the event is a positive one. Brands that ``known`` does not have are watched too;
    those of the event, and those of a file, may alert. Built-in talk about the usual brand is told about
    the brand of the files instead, where they have another.
    """
    usual = _usual(known)
    names = _Names(known)
    own_event = crisis.rows if crisis else built_in("campaign" if campaign else "crisis").rows
    own_calm = calm.rows if calm else built_in("calm").rows
    event, background = names.settle(own_event), names.settle(own_calm)
    given = background if campaign and calm else event
    brand = brand_of(given, names.spellings, usual)
    if not crisis and campaign:
        event = names.retell(event, usual, brand)
    if not calm:
        background = names.retell(background, usual, brand)
    scenario = build(brand=brand, event=event, calm=background, ends=ends, names=names.spellings, seed=seed)
    alerting = {brand, *(row.brand for row in event if row.brand)}
    alerting |= {row.brand for row in background if row.brand and calm}
    skipped = [
        *(f"--crisis {line}" for line in (crisis.skipped if crisis else ())),
        *(f"--calm {line}" for line in (calm.skipped if calm else ())),
    ]
    return Cast(
        scenario=scenario,
        brands=tuple(names.brand(name, alerts=name in alerting) for name in scenario.brands),
        skipped=tuple(skipped),
    )


def _usual(known: Sequence[Brand]) -> str:
    """The brand that built-in posts talk about most."""
    return Counter(row.brand for row in built_in("crisis").rows).most_common(1)[0][0] or known[0].name


class _Names:
    """Brands by their names, those of ``config/`` and new ones."""

    def __init__(self, known: Sequence[Brand]) -> None:
        self._brands = {brand.name: brand for brand in known}
        self._by_spelling = {
            folded(name): brand.name
            for brand in known
            for name in (brand.name, *brand.aliases, *brand.products)
        }
        self._new: dict[str, str] = {}

    @property
    def spellings(self) -> Mapping[str, Sequence[str]]:
        """All spellings of each brand that is known."""
        return {b.name: (b.name, *b.aliases, *b.products) for b in self._brands.values()}

    def settle(self, rows: Sequence[Row]) -> list[Row]:
        """Rows whose brand is called by its one name."""
        return [
            replace(row, brand=self._by_spelling.setdefault(folded(row.brand), row.brand))
            if row.brand
            else row
            for row in rows
        ]

    def retell(self, rows: Sequence[Row], usual: str, brand: str) -> list[Row]:
        """Built-in rows about the usual brand, told about another one."""
        if brand == usual or any(row.brand == brand for row in rows):
            return list(rows)
        told = []
        for row in rows:
            text, title = row.text, row.title
            for name in sorted(self.spellings.get(usual, (usual,)), key=len, reverse=True):
                text, title = text.replace(name, brand), title.replace(name, brand)
            told.append(replace(row, text=text, title=title, brand=brand) if row.brand == usual else row)
        return told

    def brand(self, name: str, *, alerts: bool) -> Brand:
        """The brand to watch under a name."""
        known = self._brands.get(name)
        if known is None:
            number = self._new.setdefault(name, f"watched-{len(self._new) + 1}")
            return Brand(id=number, name=name, kind="own" if alerts else "competitor", limits=LIMITS)
        return known.model_copy(update={"alert": True, "limits": LIMITS}) if alerts else known
