"""A team's labels into the model in use: train, pass the gate, judge history anew, switch; and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.label_sheet import labels, told
from app.labels import from_ledger, read_as_stored
from app.models import SHIPPED
from app.rejudge import Progress
from domain.errors import ConfigError, InputError, ModelError
from nlp.corpus import Example
from nlp.team_labels import BadLabel, Label, example, topic_words

if TYPE_CHECKING:
    from app.wire import App

LEDGER = "ledger"
"""In place of a file: what was imported."""
PAST_DAYS = 28
"""Days of posts that a new model judges anew, at least; what baselines are rebuilt from, if that is more."""

Say = Callable[[str], None]


def adapt(
    app: App, sources: Sequence[str], *, budget_min: float, by: str, say: Say, progress: Progress
) -> dict[str, Any]:
    """Train on labels and put the new model to use; returns what is said on stdout.

    Killed at any point, the model that was in use stays so, or the decided switch is finished by whoever comes next;
    the same call goes on. Raises ``ModelError`` naming every score that fell too far: then nothing was changed.
    """
    from nlp.adapt import discard

    _refuse_foreign(app)
    with app.models.training():
        work = app.models.folder / ".adapting"
        app.switch.finish(now=app.clock.now())
        own = examples(app, sources, say=say)
        if _passed(work) == _pass(used := app.models.lines()[-1], own):
            discard(work)
            say(f"用这些标注训练出的 {used} 已经在用")
            return {"model": used, "installed": True}
        outcome = _train(app, own, work, budget_min, say)
        for each in (each for each in outcome.compared if each.whole or each.fell):
            say(f"{'✗' if each.fell else '✓'} {each}")
        if not outcome.own_checked:
            say(f"自有标注太少，未检验（留出 {outcome.held_out} 条）")
        if outcome.falls:
            discard(work)
            reasons = "；".join(map(str, outcome.falls))
            raise ModelError(f"新模型没有通过检验，没有装上，仍用原来的：{reasons}")
        before = app.models.lines()
        name = app.models.install(outcome.candidate)
        (work / "passed").write_text(_pass(name, own), "utf-8")
        lines = (*before, name)
        rejudged = _switch(app, lines, by=by, say=say, progress=progress)
        discard(work)
    return {
        "model": name,
        "before": before[-1],
        "labels": {"trained_on": outcome.trained_on, "held_out": outcome.held_out},
        "rejudged": rejudged,
        "installed": True,
    }


def roll_back(app: App, *, by: str, say: Say, progress: Progress) -> dict[str, Any]:
    """Put the model before to use again, history judged anew by it too. Raises ``ModelError`` when there is none."""
    _refuse_foreign(app)
    with app.models.training():
        app.switch.finish(now=app.clock.now())
        lines = app.models.lines()
        if lines[-1] == SHIPPED:
            raise ModelError("在用的就是出厂模型，没有可以退回的")
        earlier = lines[:-1]
        while earlier and (wrong := _unusable(app, earlier[-1])):
            say(f"跳过 {earlier[-1]}：{wrong}")
            earlier = earlier[:-1]
        earlier = earlier or (SHIPPED,)
        rejudged = _switch(app, earlier, by=by, say=say, progress=progress)
    return {"model": earlier[-1], "before": lines[-1], "rejudged": rejudged, "installed": True}


def rejudge(app: App, *, by: str, say: Say, progress: Progress) -> dict[str, Any]:
    """Judge history anew with the model in use, where another one judged it: after an upgrade of the program."""
    with app.models.training():
        app.switch.finish(now=app.clock.now())
        rejudged = _switch(app, app.models.lines(), by=by, say=say, progress=progress)
    return {"model": app.runtime.name, "rejudged": rejudged}


def _unusable(app: App, name: str) -> str:
    """Why a model cannot be used: its directory is gone, or of another version of the program; empty when it can."""
    from nlp.runtime import Runtime

    try:
        Runtime.load(app.models.directory(name))
    except ModelError as error:
        return str(error)
    return ""


def _refuse_foreign(app: App) -> None:
    if app.models.given is not None:
        raise ConfigError("YUJING_MODEL 指定了模型，装上的新模型不会被用到：先去掉这个设置")


def _pass(name: str, own: Sequence[Example]) -> str:
    """A model that passed the gate, and the labels that made it: other labels ask for another training."""
    from nlp.adapt import digest

    return f"{name} {digest(own)}"


def _passed(work: Path) -> str:
    """What an interrupted call found good."""
    path = work / "passed"
    return path.read_text("utf-8") if path.exists() else ""


def _train(app: App, own: Sequence[Example], work: Path, budget_min: float, say: Say) -> Any:
    from nlp import adapt as learning
    from nlp.bundle import shipped

    return learning.adapt(
        start=app.models.in_use(),
        floor=shipped(),
        own=own,
        replay=learning.replayed(),
        work=work,
        chosen=learning.settings(),
        budget_min=budget_min,
        say=say,
    )


def _switch(app: App, lines: tuple[str, ...], *, by: str, say: Say, progress: Progress) -> int:
    days = max(PAST_DAYS, app.settings.rules.baselines.rebuild_days)
    say(f"用 {app.models.given or lines[-1]} 重判最近 {days} 天的帖子，重建基线，然后切换")
    past = timedelta(days=days)
    _, rejudged = app.switch.to(
        lines, directory=app.models.given, now=app.clock.now, past=past, by=by, progress=progress
    )
    return rejudged


# ---------------------------------------------------------------------------------------------------- labels


def examples(app: App, sources: Sequence[str], *, say: Say) -> list[Example]:
    """The labels of files and of the ledger as training examples; ``say`` is told which are of no use.

    Raises ``InputError`` with all that is wrong.
    """
    from nlp.entities import EntityFinder

    topics = topic_words({topic.id: topic.name for topic in app.settings.topics})
    names = [name for b in app.settings.brands for name in (b.name, *b.aliases, *b.products)]
    finder = EntityFinder(names)
    found: dict[str, Label] = {}
    for source in dict.fromkeys(sources):
        said = _from_ledger(app, say) if source == LEDGER else _from_file(app, Path(source), topics, say)
        for label in said:  # one text is one label, however often it is said
            found[label.whole] = label.after(found.get(label.whole))
    made = [one for label in found.values() if (one := example(label, finder.find, app.corrector.brand_of))]
    if not made:
        raise InputError("没有一条可用的标注：表还没有填，或帖子已过保存期")
    return made


def _from_ledger(app: App, say: Say) -> list[Label]:
    kept, edited, gone = from_ledger(app)
    if edited or gone:
        say(
            f"台账里有 {edited + gone} 条标注没有用：{edited} 条的帖子改过，{gone} 条的帖子已过保存期或已删除"
        )
    return kept


def _from_file(app: App, path: Path, topics: dict[str, str], say: Say) -> list[Label]:
    """Rows of a file that say something; a row of an exported sheet gets the whole text of its post.

    A row whose post has another text by now says nothing about that.
    """
    wrong: list[tuple[int, Sequence[str]]] = []
    good: list[tuple[int, Label]] = []
    for number, label in labels(path, topics):
        if isinstance(label, BadLabel):
            wrong.append((number, label.reasons))
        elif not label.empty:
            good.append((number, label))
    stored = app.posts.known([label.id for _, label in good if label.id])
    usable: list[tuple[int, Label]] = []
    for number, label in good:
        if (judged := stored.get(label.id)) is not None:
            if read_as_stored(label, judged.post):
                whole = replace(label, text=judged.post.text, title=judged.post.title)
                usable.append((number, whole))
        elif label.text.strip() or label.title.strip():
            usable.append((number, label))
        else:
            wrong.append((number, ["缺正文（text），帖子库里也没有这个编号"]))
    wrong += _contradictions(usable)
    if wrong:
        raise InputError("；".join(told(path, sorted(wrong)[:20])) + f"（共 {len(wrong)} 行有问题）")
    if edited := len(good) - len(usable):
        say(f"{path}：{edited} 条标注没有用，标注之后帖子改过（正文或标题与库里的不同）")
    return [label for _, label in usable]


def _contradictions(rows: Sequence[tuple[int, Label]]) -> list[tuple[int, Sequence[str]]]:
    """Rows that say something else of a text than an earlier row of their file."""
    first: dict[str, tuple[int, Label]] = {}
    wrong: list[tuple[int, Sequence[str]]] = []
    for number, label in rows:
        earlier, said = first.setdefault(label.whole, (number, label))
        if not label.agrees(said):
            wrong.append((number, [f"与第 {earlier} 行是同一条帖子（正文相同），标注却不同"]))
    return wrong
