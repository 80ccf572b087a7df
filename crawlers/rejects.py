"""What could not become a post, kept (masked) for a person to look at."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from crawlers.dates import SHANGHAI
from crawlers.draft import Reject, tidy
from crawlers.privacy import mask

MAX_RAW = 4000
MAX_FILE = 20 * 1024 * 1024
"""Bytes after which a file of rejects is set aside as ``.1``, replacing the one before."""
LONGEST_NUMBER = 80
"""Characters of the longest thing that is masked, which the cut before may have halved."""
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


class Rejects:
    """JSON Lines of rejects, one file a source, in one folder that is made when first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, source: str) -> Path:
        """Where the rejects of a source are."""
        return self.folder / f"{source}.jsonl"

    def write(self, source: str, rejects: Sequence[Reject], *, now: datetime, file: str = "") -> None:
        """Append rejects, masked and shortened. Raises ``OSError`` when the disk refuses."""
        if not rejects:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(source)
        if path.exists() and path.stat().st_size > MAX_FILE:
            path.replace(path.with_suffix(".jsonl.1"))
        with path.open("a", encoding="utf-8") as out:
            out.writelines(_line(source, reject, now, file) for reject in rejects)


def _line(source: str, reject: Reject, now: datetime, file: str) -> str:
    row = {"row": reject.row} if reject.row is not None else {}
    where = {"file": file} if file else {}
    raw = _masked(reject.raw)
    at = now.astimezone(SHANGHAI).isoformat(timespec="seconds")
    return json.dumps(
        {"at": at, "source": source, **where, **row, "reason": mask(tidy(reject.reason)), "raw": raw},
        ensure_ascii=False,
    ) + "\n"  # fmt: skip


def _masked(raw: str) -> str:
    # JSON's escapes are spelled out: the 7 of \u53f7 before a phone number would be taken for its digit.
    spelled = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), raw[: 2 * MAX_RAW])
    # Masked and then cut: cutting first could leave half of a number, which no pattern knows.
    masked = mask(tidy(spelled))
    return (masked[:-LONGEST_NUMBER] if len(raw) >= 2 * MAX_RAW else masked)[:MAX_RAW]
