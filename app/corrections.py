"""People's corrections put over judgements, before a post is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from domain.correction import text_mark
from store.ledger import Corrections
from store.posts import Judged


class Corrector:
    """Merges what people said into judgements; ``brand_of`` gives the brand id of a company's name."""

    def __init__(self, corrections: Corrections, brand_of: Callable[[str], str]) -> None:
        self._corrections, self.brand_of = corrections, brand_of

    def over(self, batch: Sequence[Judged]) -> list[Judged]:
        """The batch, corrected where somebody corrected this very text. Raises ``StoreError``."""
        said = self._corrections.of([judged.post.id for judged in batch])
        return [
            replace(judged, assessment=correction.over(judged.assessment, self.brand_of))
            if (correction := said.get(judged.post.id)) and correction.text == text_mark(judged.post)
            else judged
            for judged in batch
        ]
