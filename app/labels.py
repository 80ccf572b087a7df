"""Labels of posts: which to ask for, and what to do with the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from app.label_sheet import Line, shown
from app.rejudge import Progress
from app.storing import store
from crawlers.privacy import mask
from domain.assessment import Sentiment, Stance
from domain.correction import Correction, text_mark
from domain.errors import InputError
from domain.post import Post
from nlp.team_labels import BadLabel, Label
from store.posts import Judged, Query

if TYPE_CHECKING:
    from app.wire import App

POOL = 5_000
"""Newest stories among which is chosen; judging them takes about half a minute."""
_BATCH = 256


def worth_reading(app: App, *, brand: str, most: int, past: timedelta, progress: Progress) -> list[Line]:
    """The posts most worth labelling next, one of a story, none of a story that was labelled.

    Raises ``StoreError``.
    """
    from nlp.labelling import Candidate, NewWords, choose

    labelled = app.posts.known([each.post for each in app.ledger.corrections.all()])
    pool = _pool(app, brand=brand, since=app.clock.now() - past, labelled=labelled)
    analyzer, runtime = app.analyzer, app.runtime
    words = NewWords(runtime.wide, app.segmenter.tokens, _names(app))
    candidates: list[Candidate] = []
    stances: dict[str, str] = {}
    for start in range(0, len(pool), _BATCH):
        part = pool[start : start + _BATCH]
        read = analyzer.read([judged.post for judged in part])
        alone = runtime.wide.logits([judgement.read for _, judgement in read])[:, : len(Sentiment)]
        for judged, (named, judgement), row in zip(part, read, alone, strict=True):
            stances[judged.post.id] = judgement.best_stance
            candidates.append(
                Candidate(
                    id=judged.post.id,
                    story=judged.story,
                    judgement=judgement,
                    grams=row.tolist(),
                    words=words.of(judgement.read, [name for name, _ in named]),
                )
            )
        progress(len(candidates), len(pool))
    by_id = {judged.post.id: judged for judged in pool}
    chosen = choose(
        candidates,
        thresholds=runtime.fusion.thresholds,
        text_of=lambda id_: by_id[id_].post.whole,
        most=most,
        labelled=[judged.post.whole for judged in labelled.values()],
    )
    return [Line(judged=by_id[c.id], reasons=c.reasons, stance=stances[c.id]) for c in chosen]


def _pool(app: App, *, brand: str, since: datetime, labelled: Mapping[str, Judged]) -> list[Judged]:
    """The newest post of each story of which nobody labelled one, newest first."""
    told = {judged.story for judged in labelled.values()}
    found: dict[str, Judged] = {}
    after = ""
    while len(found) < POOL:
        page = app.posts.search(Query(brand=brand, since=since, limit=1_000, after=after))
        for judged in page.found:
            if judged.post.id not in labelled and (story := judged.story) not in told:
                found.setdefault(story, judged)
        after = page.next
        if not after:
            break
    return list(found.values())[:POOL]


def _names(app: App) -> set[str]:
    return {name for b in app.settings.brands for name in (b.name, *b.aliases, *b.products)}


# ------------------------------------------------------------------------------------------------- answers


Wrong = list[tuple[int, Sequence[str]]]
"""Number of a row, and what is wrong with it."""


def checked(
    rows: Iterable[tuple[int, Label | BadLabel]], known: Callable[[Sequence[str]], dict[str, Judged]]
) -> tuple[dict[str, Label], int, Wrong]:
    """The labels by post, the number of blank rows, and everything that is wrong; ``known`` finds stored posts.

    The labels carry the mark of the text that they were compared with.
    """
    wrong: Wrong = []
    good: dict[str, tuple[int, Label]] = {}
    blank = 0
    for number, label in rows:
        if isinstance(label, BadLabel):
            wrong.append((number, label.reasons))
        elif label.empty:
            blank += 1
        elif not label.id:
            wrong.append((number, ["缺编号：只能导入 label export 写出的编号"]))
        elif label.id in good and good[label.id][1] != label:
            wrong.append((number, [f"与第 {good[label.id][0]} 行是同一条帖子，标注却不同"]))
        else:
            good.setdefault(label.id, (number, label))
    stored = known(list(good))
    for id_, (number, label) in good.items():
        reasons = _misfits(label, stored.get(id_))
        if reasons:
            wrong.append((number, reasons))
    marked = {
        id_: replace(label, text_mark=text_mark(stored[id_].post))
        for id_, (_, label) in good.items()
        if id_ in stored
    }
    return marked, blank, sorted(wrong, key=lambda each: each[0])


def _misfits(label: Label, judged: Judged | None) -> list[str]:
    """What in a label does not fit the stored post."""
    if judged is None:
        return [f"帖子库里没有编号 {label.id[:40]}：可能已过保存期，或编号被表格软件改过"]
    post = judged.post
    reasons = []
    if not read_as_stored(label, post):
        reasons.append("正文或标题与库里的不同（帖子改过，或单元格被改过）：请重新导出这一条")
    names = {each.name for each in judged.assessment.entities}
    for name in label.negative_about or ():
        if name not in names and (not _letters(name) or _letters(name) not in _letters(post.whole)):
            reasons.append(f"负面指向：帖子里没有“{name[:20]}”")
    return reasons


def read_as_stored(label: Label, post: Post) -> bool:
    """Whether what a person read is the stored text, as far as the label tells: all of it by its mark."""
    if label.text_mark and label.text_mark != text_mark(post):
        return False
    cells = ((label.text, shown(post.text)), (label.title, post.title))
    return not any(cell and _letters(cell) != _letters(stored) for cell, stored in cells)


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def take(app: App, labels: dict[str, Label], *, by: str, now: datetime) -> int:
    """Keep labels as corrections and put them over the stored posts; returns how many said something new.

    Done again after a kill it completes what is missing. Raises ``InputError`` when a post is not as it was checked,
    ``StoreError``.
    """
    with app.models.alone():  # a batch under way must not write over what is corrected here
        stored = app.posts.known(list(labels))
        changed_since = [
            id_
            for id_, label in labels.items()
            if id_ not in stored or not read_as_stored(label, stored[id_].post)
        ]
        if changed_since:
            raise InputError(
                f"{len(changed_since)} 条帖子刚刚改过或已删除（{'、'.join(changed_since[:3])}），一条也没有导入："
                "请再运行一次"
            )
        corrections = [_correction(label, stored[id_], by=by, now=now) for id_, label in labels.items()]
        changed = app.ledger.corrections.put(corrections)
        batch = [stored[each.post] for each in corrections]
        new = {each.post for each in changed}
        stale = [
            old
            for old, merged in zip(batch, app.corrector.over(batch), strict=True)
            if old.post.id in new or merged != old
        ]
        for start in range(0, len(stale), _BATCH):
            again = app.corrector.over(_by_the_model(app, stale[start : start + _BATCH]))
            store(app.posts, again, app.erased)
    return len(changed)


def _by_the_model(app: App, batch: Sequence[Judged]) -> list[Judged]:
    """The posts as the model judges them: what was corrected before is judged anew, the model's word is not kept.

    A correction is put over this, as it is by whatever judges the post later, not over an earlier correction.
    """
    corrected = [judged for judged in batch if judged.assessment.corrected_by]
    if not corrected:
        return list(batch)
    before = [judged.assessment for judged in corrected]
    made = app.analyzer.again([judged.post for judged in corrected], before)
    again = {
        judged.post.id: replace(judged, assessment=replace(new, influence=judged.assessment.influence))
        for judged, new in zip(corrected, made, strict=True)
    }
    return [again.get(judged.post.id, judged) for judged in batch]


def _correction(label: Label, judged: Judged, *, by: str, now: datetime) -> Correction:
    return Correction(
        post=judged.post.id,
        text=text_mark(judged.post),
        at=now,
        by=by,
        sentiment=Sentiment(label.sentiment) if label.sentiment else None,
        topics=label.topics,
        stance=Stance(label.stance) if label.stance else None,
        ad=label.ad,
        negative_about=label.negative_about,
        note=mask(label.note)[:500],
    )


def from_ledger(app: App) -> tuple[list[Label], int, int]:
    """Everything that people said about posts that are still stored, as labels, oldest first.

    And of how many the post was edited, and of how many it is gone.
    """
    said = app.ledger.corrections.all()
    stored = app.posts.known([each.post for each in said])
    labels: list[Label] = []
    edited = 0
    for each in reversed(said):  # the newest last: of one text the last one said wins
        judged = stored.get(each.post)
        if judged is None:
            continue
        if text_mark(judged.post) != each.text:
            edited += 1
            continue
        labels.append(
            Label(
                id=each.post,
                text=judged.post.text,
                title=judged.post.title,
                entities=tuple(entity.name for entity in judged.assessment.entities),
                sentiment=each.sentiment.value if each.sentiment else None,
                topics=each.topics,
                stance=each.stance.value if each.stance else None,
                ad=each.ad,
                negative_about=each.negative_about,
            )
        )
    return labels, edited, len(said) - len(labels) - edited
