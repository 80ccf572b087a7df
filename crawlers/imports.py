"""Posts that a team already has: files of another tool's export into the inbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from crawlers.draft import Reject, Unusable, tidy, to_post
from crawlers.import_rows import NO_TEXT, SOURCE, lookup, texts_of, to_draft
from crawlers.marks import Mark
from crawlers.privacy import mask
from crawlers.rejects import Rejects
from crawlers.rows import Row, read_rows
from domain.correction import text_mark
from domain.errors import InputError, UsageError
from domain.post import COUNTERS, Post, Tier
from store.inbox import Inbox
from store.ledger import SourceRuns

COLUMNS = ("id", "platform", "url", "author", "published_at", "title", "text")
BATCH = 500
SAID = 20
"""Bad rows of a file that are said one by one; the others are counted."""

NO_COLUMN = "无"
"""``--map ours=无``: they have no such column."""
ID_TAKEN = (
    "id 与另一条帖子相同（正文不同）：用 --map id=列名 指定唯一的编号；"
    f"没有这样的列就用 --map id={NO_COLUMN}，按内容识别"
)


@dataclass(kw_only=True, slots=True)
class ImportSummary:
    """What came of an import; ``read = imported + duplicate + rejected``."""

    read: int = 0
    imported: int = 0
    duplicate: int = 0
    rejected: int = 0
    unreadable: list[str] = field(default_factory=list)
    """Files that could not be read, or not to their end, or of which no row could be used."""


def import_files(
    paths: Sequence[Path],
    *,
    inbox: Inbox,
    seen: SourceRuns,
    columns: Mapping[str, str],
    rejects: Rejects,
    secret: bytes,
    now: datetime,
    say: Callable[[str], None],
    progress: Callable[[int], None] = lambda _: None,
) -> ImportSummary:
    """Put the posts of files into the inbox.

    ``columns`` maps our columns to theirs (``--map ours=theirs``); ``say`` gets one Chinese line for each thing
    that is wrong, ``progress`` the rows read since the last call. Bad rows go to the rejects file, masked; the
    rest is imported. Raises ``UsageError`` for an unknown column of ours, ``StoreError`` when a store refuses.
    """
    check_columns(columns)
    mapped = [theirs for theirs in columns.values() if theirs != NO_COLUMN]
    needs = dict.fromkeys([columns.get("text", "text"), *mapped])
    summary = ImportSummary()
    for path in paths:
        one = _File(path, inbox, seen, columns, rejects, secret, now, say, summary)
        try:
            for row in read_rows(path, needs=needs):
                one.take(row)
                if summary.read % BATCH == 0:
                    progress(BATCH)
        except InputError as error:
            say(str(error))
            summary.unreadable.append(str(path))
        one.end()
    return summary


def check_columns(columns: Mapping[str, str]) -> None:
    """Raises ``UsageError`` naming a column of ours that does not exist."""
    known = {*COLUMNS, *COUNTERS, *(f"engagement.{name}" for name in COUNTERS), "engagement"}
    for ours in columns:
        if ours not in known:
            raise UsageError(f"--map：没有名为 {ours!r} 的列；可用：{'、'.join((*COLUMNS, *COUNTERS))}")


class _File:
    """One file on its way into the inbox, in batches."""

    def __init__(
        self,
        path: Path,
        inbox: Inbox,
        seen: SourceRuns,
        columns: Mapping[str, str],
        rejects: Rejects,
        secret: bytes,
        now: datetime,
        say: Callable[[str], None],
        summary: ImportSummary,
    ) -> None:
        self.path, self._inbox, self._seen, self._columns = path, inbox, seen, columns
        self._rejects, self._secret, self._now, self._say, self._sum = rejects, secret, now, say, summary
        self._posts: dict[str, tuple[Post, Row]] = {}
        self._textless = False
        self._bad: list[Reject] = []
        self._rows = self._wrong = 0
        self._unread, self._word = 0, ""
        self._undated = 0
        self._unmet = {theirs for theirs in columns.values() if theirs != NO_COLUMN}

    def take(self, row: Row) -> None:
        """Accept or reject one row."""
        self._rows += 1
        self._sum.read += 1
        if row.values is None:
            self._reject(row, row.error)
            return
        try:
            draft, platform = to_draft(row.values, self._columns, now=self._now, unread=self._note_unread)
            post = to_post(
                draft,
                platform=platform,
                source=SOURCE,
                tier=Tier.USER,
                secret=self._secret,
                now=self._now,
                first=None,
            )
        except Unusable as error:
            self._reject(row, str(error))
            return
        self._undated += draft.stamp is None
        self._unmet -= {theirs for theirs in self._unmet if lookup(row.values, theirs) is not None}
        first, _ = self._posts.setdefault(post.id, (post, row))
        if _is_another(post, text=text_mark(first), published_at=first.published_at):
            self._reject(row, ID_TAKEN)
        elif first is not post:
            self._sum.duplicate += 1
        if len(self._posts) >= BATCH:
            self._flush()

    def _note_unread(self, word: str) -> None:
        self._unread += 1
        self._word = self._word or mask(tidy(word[:200]))[:20]

    def end(self) -> None:
        """Put the last batch and say what was wrong."""
        self._flush()
        if self._rows > self._wrong and self._unmet:
            self._say(f"{self.path}：没有一行有 {'、'.join(sorted(self._unmet))} 这一列，请检查 --map")
        if self._undated:
            self._say(f"{self.path}：{self._undated} 行没有发布时间：存下可查，但不计入监测")
        if self._unread:
            self._say(f"{self.path}：{self._unread} 个计数不是数字（如 {self._word}），按 0 记")
        if self._wrong > SAID:
            self._say(f"{self.path}：另有 {self._wrong - SAID} 行未能导入")
        if self._wrong and self._wrong == self._rows:
            # As a CSV whose header lacks the text: most likely the columns have other names.
            self._say(
                f"{self.path}：全部 {self._wrong} 行未能导入，已写入 {self._rejects.path(SOURCE)}"
                + ("；列名不同时用 --map text=列名 指定" if self._textless else "")
            )
            self._sum.unreadable.append(str(self.path))
        elif self._wrong:
            self._say(f"{self.path}：{self._wrong} 行未能导入，已写入 {self._rejects.path(SOURCE)}")
        elif not self._rows and str(self.path) not in self._sum.unreadable:
            self._say(f"{self.path}：文件里没有数据行")

    def _reject(self, row: Row, reason: str) -> None:
        self._sum.rejected += 1
        self._wrong += 1
        self._textless |= reason == NO_TEXT
        if self._wrong <= SAID:
            self._say(f"{self.path} 第 {row.number} 行：{mask(tidy(reason))}")
        author = lookup(row.values or {}, self._columns.get("author", "author"))
        self._bad.append(Reject(reason=reason, raw=row.raw, row=row.number, author=tuple(texts_of(author))))
        if len(self._bad) >= BATCH:
            self._write_bad()

    def _write_bad(self) -> None:
        self._rejects.write(SOURCE, self._bad, now=self._now, file=str(self.path))
        self._bad = []

    def _flush(self) -> None:
        """Known posts whose counters or words changed are put again, under the date they first had.

        They count as known. Under a known id another post is refused: many exports number their rows from 1.
        """
        known = self._seen.seen(SOURCE, list(self._posts)) if self._posts else {}
        put: list[Post] = []
        for id_, (post, row) in self._posts.items():
            text, _, marked = known.get(id_, "").rpartition(" ")
            mark = Mark.read(marked)
            if mark and _is_another(post, text=text, published_at=mark.first):
                self._reject(row, ID_TAKEN)
                continue
            self._sum.duplicate += id_ in known
            self._sum.imported += id_ not in known
            if mark is None:
                put.append(post)
            elif mark.engagement != post.engagement or text not in ("", text_mark(post)):
                timed = mark.date_only and not post.date_only
                put.append(post if timed else replace(post, published_at=mark.first))
        self._write_bad()
        if put:
            self._inbox.put(put, now=self._now)
            marks = {post.id: f"{text_mark(post)} {Mark.of(post)}" for post in put}
            self._seen.mark(SOURCE, marks, at=self._now)
        self._posts = {}


def _is_another(post: Post, *, text: str, published_at: datetime) -> bool:
    """Not the post whose id it has: other words, and not known to be an edit by the time of publication.

    ``text``: the mark of the words of the other one; empty: imported before marks had it.
    """
    edited = post.published_at == published_at and not post.date_only
    return text not in ("", text_mark(post)) and not edited


def read_columns(pairs: Iterable[str]) -> dict[str, str]:
    """``ours=theirs`` pairs of the command line. Raises ``UsageError`` for anything else."""
    columns: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not equals or not ours.strip() or not theirs.strip():
            raise UsageError(f"--map 要写成 我们的列=对方的列，例如 text=正文；收到 {pair!r}")
        columns[ours.strip()] = theirs.strip()
    check_columns(columns)
    return columns
