"""Names of brands in the files of a replay."""

from __future__ import annotations

from collections.abc import Sequence

from config.settings import Brand
from nlp.brands import BrandMatcher


class ReplayNames:
    """One brand is one, whether a file writes its id, its name or an alias."""

    def __init__(self, brands: Sequence[Brand]) -> None:
        self._matcher = BrandMatcher(brands)
        self._met = {brand.id: brand.id for brand in brands}
        self._written: dict[str, str] = {}

    def id_of(self, name: str) -> str:
        """The id of the brand that goes by a name; a name that is nobody's stays as it is."""
        if name not in self._met:
            self._met[name] = self._matcher.brand_of(name) or name
        id_ = self._met[name]
        self._written.setdefault(id_, name)
        return id_

    def written(self, id_: str) -> str:
        """The brand as the files wrote it first, by which whoever wrote them knows it."""
        return self._written.get(id_, id_)
