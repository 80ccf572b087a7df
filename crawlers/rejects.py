"""What could not become a post, kept (masked) for a person to look at."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from crawlers.dates import SHANGHAI
from crawlers.draft import Reject, tidy
from crawlers.privacy import mask, mask_name

MAX_RAW = 4000
MAX_FILE = 20 * 1024 * 1024
"""Bytes after which a file of rejects is set aside as ``.1``, replacing the one before."""
LONGEST_NUMBER = 80
"""Characters of the longest thing that is masked, which the cut before may have halved."""
_ESCAPED = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")


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
        with self._alone():
            if path.exists() and path.stat().st_size > MAX_FILE:
                path.replace(path.with_suffix(".jsonl.1"))
            broken_off = _is_broken_off(path)
            with path.open("a", encoding="utf-8") as out:
                out.write("\n" if broken_off else "")
                out.writelines(_line(source, reject, now, file) for reject in rejects)

    def forget(self, *, before: datetime) -> None:
        """Delete what was written before a time. Raises ``OSError`` when the disk refuses."""
        if not self.folder.is_dir():
            return
        with self._alone():
            for path in sorted(self.folder.glob("*.jsonl*")):
                _cut(path, before)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Crawls of several processes write here, and a file that is being cut must not be written."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _is_broken_off(path: Path) -> bool:
    """Whether a full disk or a kill left half a line at the end."""
    try:
        with path.open("rb") as found:
            found.seek(-1, os.SEEK_END)
            return found.read() != b"\n"
    except OSError:  # there is no file, or nothing in it
        return False


def _cut(path: Path, before: datetime) -> None:
    draft = path.with_name(".draft")
    with path.open(encoding="utf-8", errors="replace") as lines, draft.open("w", encoding="utf-8") as out:
        out.writelines(line for line in lines if _written_at(line) >= before)
    if draft.stat().st_size < path.stat().st_size:
        draft.replace(path)
    else:
        draft.unlink()


def _written_at(line: str) -> datetime:
    """When a line was written; the beginning of time for one that was broken off."""
    with suppress(ValueError, KeyError, TypeError):
        return datetime.fromisoformat(json.loads(line)["at"])
    return datetime.min.replace(tzinfo=UTC)


def _line(source: str, reject: Reject, now: datetime, file: str) -> str:
    row = {"row": reject.row} if reject.row is not None else {}
    where = {"file": file} if file else {}
    raw = _masked(reject.raw, reject.author)
    at = now.astimezone(SHANGHAI).isoformat(timespec="seconds")
    return json.dumps(
        {"at": at, "source": source, **where, **row, "reason": mask(tidy(reject.reason)), "raw": raw},
        ensure_ascii=False,
    ) + "\n"  # fmt: skip


def _masked(raw: str, author: Sequence[str]) -> str:
    # JSON's escapes are spelled out: the 7 of \u53f7 before a phone number would be taken for its digit.
    spelled = tidy(_ESCAPED.sub(lambda found: json.loads(f'"{found[0]}"'), raw[: 2 * MAX_RAW]))
    for name in sorted(map(tidy, author), key=len, reverse=True):
        if len(name) > 1:  # a single character is that of many a word
            spelled = spelled.replace(name, mask_name(name))
    # Masked and then cut: cutting first could leave half of a number, which no pattern knows.
    masked = mask(spelled)
    return (masked[:-LONGEST_NUMBER] if len(raw) >= 2 * MAX_RAW else masked)[:MAX_RAW]
