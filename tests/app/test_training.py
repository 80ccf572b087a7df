"""``yujing train --labels``: what is good is put to use everywhere, what is worse is refused by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app import training
from app.commands.status import collect
from app.labels import take
from app.models import chosen
from app.wire import App
from domain.errors import ConfigError, InputError, ModelError, UsageError
from domain.post import Engagement, Post, post_id
from nlp import bundle
from nlp.adapt import Outcome
from nlp.bundle import named, shipped
from nlp.gate import Compared
from nlp.team_labels import read
from store.posts import Query

NOW = datetime.now(UTC)
FELL = Compared(
    part="通用帖", task="话题微F1", posts=371, before=0.612, after=0.541, allowed=0.021, whole=True
)
ROSE = Compared(part="自有标注", task="情感准确率", posts=40, before=0.6, after=0.7, allowed=0.05, whole=True)


def post(n: int, text: str = "云桥金融提现三天没到账") -> Post:
    return Post(
        id=post_id("weibo", str(n)),
        platform="weibo",
        source="import",
        native_id=str(n),
        text=f"{text}，第{n}次",
        published_at=NOW - timedelta(hours=n),
        fetched_at=NOW,
    )


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    made = App.from_environment({"YUJING_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)})
    made.inbox.put([post(n) for n in range(8)], now=NOW)
    made.worker.drain(now=lambda: NOW)
    yield made
    made.close()


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.jsonl"
    lines = [{"text": f"第{n}条", "sentiment": "neutral"} for n in range(3)]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


def trained(monkeypatch: pytest.MonkeyPatch, *compared: Compared, limit: float = 0.99) -> None:
    """Training stands in for itself: a copy of the shipped model with another threshold."""

    def train(app: App, own: Any, work: Path, budget_min: float, say: Any) -> Outcome:
        shutil.rmtree(work, ignore_errors=True)
        candidate = work / "candidate"
        shutil.copytree(app.models.in_use(), candidate)
        fusion = json.loads((candidate / "fusion.json").read_text("utf-8"))
        fusion["ad_threshold"] = limit
        (candidate / "fusion.json").write_text(json.dumps(fusion), "utf-8")
        return Outcome(
            candidate=candidate, name=bundle.seal(candidate), compared=[*compared], trained_on=3, held_out=0
        )

    monkeypatch.setattr(training, "_train", train)


def adapt(app: App, *sources: str | Path) -> dict[str, Any]:
    return training.adapt(
        app, [str(each) for each in sources], budget_min=1, by="王芳", say=print, progress=lambda a, b: None
    )


def models(app: App) -> set[str]:
    return {each.assessment.model for each in app.posts.search(Query(limit=100)).found}


def test_a_better_model_is_used_at_once_and_by_everybody(
    app: App, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(monkeypatch, ROSE)
    old = app.runtime.name
    done = adapt(app, labels)
    new = done["model"]
    assert done["rejudged"] == 8 and models(app) == {new} != {old}
    assert app.models.lines() == ("shipped", new) and named(app.models.in_use()) == new
    app.inbox.put([post(99)], now=NOW)
    app.worker.drain(now=lambda: NOW)
    assert models(app) == {new}, "the worker that was running has the new model at its next batch"
    assert chosen(None, {"YUJING_HOME": str(app.home)}) == app.models.in_use(), "and so has yujing analyze"
    assert not (app.models.folder / ".adapting").exists()
    entry = app.ledger.audit.last()[0]
    assert (entry.actor, entry.action, entry.subject) == ("王芳", "model", new)
    state = collect(app)["model"]
    assert (state["name"], state["origin"], state["before"]) == (new, "trained", ["shipped"])


def test_a_worse_model_is_refused_by_name_and_nothing_has_changed(
    app: App, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(monkeypatch, ROSE, FELL)
    before = models(app)
    with pytest.raises(ModelError) as caught:
        adapt(app, labels)
    said = str(caught.value)
    assert "话题微F1从 0.612 到 0.541" in said and "情感准确率" not in said and "\n" not in said
    assert app.models.lines() == ("shipped",) and models(app) == before
    assert not list(app.models.folder.glob("yujing*"))


def test_back_and_forth(app: App, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = app.runtime.name
    trained(monkeypatch, ROSE, limit=0.98)
    first = adapt(app, labels)["model"]
    trained(monkeypatch, ROSE, limit=0.97)
    second = adapt(app, labels)["model"]
    assert app.models.lines() == ("shipped", first, second)

    def back() -> None:
        training.roll_back(app, by="王芳", say=print, progress=lambda a, b: None)

    back()
    assert app.models.lines() == ("shipped", first) and models(app) == {first}
    back()
    assert app.models.lines() == ("shipped",) and models(app) == {old} and app.runtime.name == old
    with pytest.raises(ModelError, match="没有可以退回的"):
        back()


def test_a_model_that_was_deleted_is_said_and_gone_back_from(
    app: App, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(monkeypatch, ROSE)
    name = adapt(app, labels)["model"]
    shutil.rmtree(app.models.folder / name)
    with pytest.raises(ModelError, match="--rollback"):
        assert app.runtime
    assert "error" in collect(app)["model"]
    training.roll_back(app, by="王芳", say=print, progress=lambda a, b: None)
    assert app.models.lines() == ("shipped",) and app.runtime.name == named(shipped())


def older_manifest(directory: Path) -> None:
    (directory / "manifest.json").write_text('{"format": 1}', "utf-8")


def other_network(directory: Path) -> None:
    """All is as the manifest says, but this program cannot run it."""
    (directory / "encoder.onnx").write_bytes(b"a network of another program")
    bundle.seal(directory)


@pytest.mark.parametrize("outdate", [older_manifest, other_network])
def test_a_model_of_another_version_says_the_way_out_and_is_passed_over(
    app: App, labels: Path, monkeypatch: pytest.MonkeyPatch, outdate: Callable[[Path], None]
) -> None:
    old = app.runtime.name
    names = []
    for limit in (0.98, 0.97):
        trained(monkeypatch, ROSE, limit=limit)
        names.append(adapt(app, labels)["model"])
    for name in names:
        outdate(app.models.folder / name)
    app._loaded = None
    with pytest.raises(ModelError, match="--rollback"):
        assert app.runtime
    training.roll_back(app, by="王芳", say=print, progress=lambda a, b: None)
    assert app.models.lines() == ("shipped",) and app.runtime.name == old


def test_a_damaged_model_is_repaired_by_the_same_training(
    app: App, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(monkeypatch, ROSE)
    name = adapt(app, labels)["model"]
    damaged = app.models.folder / name / "encoder.onnx"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:1000])
    training.roll_back(app, by="王芳", say=print, progress=lambda a, b: None)
    assert adapt(app, labels)["model"] == name and app.runtime.name == name
    assert damaged.read_bytes() == whole
    assert [each.name for each in app.models.folder.glob("*yujing*")] == [name]


def test_killed_after_the_gate_the_same_command_goes_on(
    app: App, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    trained(monkeypatch, ROSE)
    recount = app.watch.recount

    def dead(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(app.watch, "recount", dead)
    with pytest.raises(Killed):
        adapt(app, labels)
    assert app.models.lines() == ("shipped",)
    assert collect(app)["model"]["switching"] is True
    monkeypatch.setattr(app.watch, "recount", recount)

    def never(*_: Any) -> Outcome:
        raise AssertionError("it is trained already")

    monkeypatch.setattr(training, "_train", never)
    done = adapt(app, labels)
    assert app.models.lines() == ("shipped", done["model"]) and models(app) == {done["model"]}
    assert not (app.models.folder / ".adapting").exists()


def test_finished_by_a_worker_other_labels_are_trained_on_all_the_same(
    app: App, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dead(*_: Any, **__: Any) -> None:
        raise Killed

    trained(monkeypatch, ROSE)
    with monkeypatch.context() as broken:
        broken.setattr(app.watch, "recount", dead)
        with pytest.raises(Killed):
            adapt(app, labels)
    app.worker.once(now=NOW)
    first = app.models.lines()[-1]
    assert first != "shipped"
    with labels.open("a", encoding="utf-8") as file:
        file.write('{"text": "又来一条", "sentiment": "negative"}\n')
    trained(monkeypatch, ROSE, limit=0.97)
    done = adapt(app, labels)
    assert done["model"] != first and app.models.lines() == ("shipped", first, done["model"])


def test_labels_of_files_and_of_the_ledger(app: App, labels: Path, tmp_path: Path) -> None:
    known = app.posts.search(Query(limit=2)).found
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(f"编号,情感\n{known[0].post.id},负面\n{known[1].post.id},\n", "utf-8-sig")
    made = training.examples(app, [str(labels), str(sheet)], say=print)
    assert len(made) == 4 and "提现三天没到账" in made[-1].text, (
        "a sheet without texts takes those of the posts"
    )
    assert ("云桥金融", (True, False, False)) in made[-1].entities
    with pytest.raises(InputError, match="没有一条可用"):
        training.examples(app, ["ledger"], say=print)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "x", "sentiment": "坏"}\n{"sentiment": "negative"}\n', "utf-8")
    with pytest.raises(InputError) as caught:
        training.examples(app, [str(bad)], say=print)
    assert "第 1 行" in str(caught.value) and "第 2 行" in str(caught.value)
    with pytest.raises(InputError, match="不存在"):
        training.examples(app, [str(tmp_path / "none.csv")], say=print)


def test_an_accused_brand_is_not_cleared_by_its_other_spelling(app: App, tmp_path: Path) -> None:
    accused = post(50, "云桥金融提现三天不到账，客服没人。云桥就是骗子平台")
    app.inbox.put([accused], now=NOW)
    app.worker.drain(now=lambda: NOW)
    path = tmp_path / "l.jsonl"
    line = {"id": accused.id, "sentiment": "negative", "negative_about": ["云桥"], "entities": ["云桥金融"]}
    path.write_text(json.dumps(line, ensure_ascii=False) + "\n", "utf-8")
    label = read(line, {})
    take(app, {accused.id: label}, by="王芳", now=NOW)
    for source in (str(path), "ledger"):
        (made,) = training.examples(app, [source], say=print)
        assert dict(made.entities)["云桥金融"] == (True, False, False), source


@pytest.mark.parametrize("impostor", ["假云桥金融", "山寨云桥借"])
def test_who_accuses_an_impostor_does_not_accuse_the_brand(app: App, impostor: str) -> None:
    warned = post(51, f"骗子平台跑路了！{impostor}骗走老人养老钱，云桥金融客服说不是他们的App，也不管")
    app.inbox.put([warned], now=NOW)
    app.worker.drain(now=lambda: NOW)
    label = read({"id": warned.id, "sentiment": "negative", "negative_about": [impostor]}, {})
    take(app, {warned.id: label}, by="王芳", now=NOW)
    stored = app.posts.get(warned.id)
    assert stored
    accused = [(e.name, e.brand) for e in stored.assessment.entities if e.negative >= 0.5]
    assert accused == [(impostor, "")]
    (made,) = training.examples(app, ["ledger"], say=print)
    masks = dict(made.entities)
    assert masks.pop(impostor) == (True, False, False) and (True, False, False) not in masks.values()


def test_a_label_is_not_put_on_a_text_that_nobody_read(app: App, tmp_path: Path) -> None:
    one, two, three = app.posts.search(Query(limit=3)).found
    path = tmp_path / "sheet.csv"
    path.write_text(
        f"编号,正文,情感,文本标记\n{one.post.id},{one.post.text},负面,\n{two.post.id},云桥金融很好,正面,\n"
        f"{three.post.id},{three.post.text},负面,{'0' * 32}\n",
        "utf-8-sig",
    )
    said: list[str] = []
    (made,) = training.examples(app, [str(path)], say=said.append)
    assert made.key == one.post.id and "2 条标注没有用" in said[0]


def test_what_is_said_twice_is_one_label_and_the_last_one_said(app: App, tmp_path: Path) -> None:
    (one,) = app.posts.search(Query(limit=1)).found
    take(
        app,
        {one.post.id: read({"id": one.post.id, "sentiment": "neutral", "ad": True}, {})},
        by="王芳",
        now=NOW,
    )
    path = tmp_path / "l.jsonl"
    lines = [{"text": one.post.text, "sentiment": "positive"}, {"id": one.post.id, "sentiment": "positive"}]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    (made,) = training.examples(app, ["ledger", str(path)], say=print)
    assert made.sentiment == (False, False, True) and made.ad is True, "the rest stays as it was said"
    (made,) = training.examples(app, [str(path), "ledger"], say=print)
    assert made.sentiment == (False, True, False)
    lines[1]["sentiment"] = "negative"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    with pytest.raises(InputError, match=r"第 2 行.*与第 1 行是同一条"):
        training.examples(app, [str(path)], say=print)


def test_labels_without_their_text_are_counted(app: App) -> None:
    stored = sorted(app.posts.search(Query(limit=9)).found, key=lambda each: each.post.published_at)[-3:][
        ::-1
    ]
    said = {each.post.id: read({"id": each.post.id, "sentiment": "neutral"}, {}) for each in stored}
    take(app, said, by="王芳", now=NOW)
    app.posts.put([replace(stored[0], post=replace(stored[0].post, text="改过了"))])
    app.posts.forget(before=NOW - timedelta(minutes=90))
    told: list[str] = []
    assert len(training.examples(app, ["ledger"], say=told.append)) == 1
    assert "2 条标注没有用：1 条的帖子改过，1 条" in told[0]


def test_too_few_labels_to_check_are_said(app: App, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch, replace(ROSE, part="通用帖"))
    told: list[str] = []
    training.adapt(app, [str(labels)], budget_min=1, by="王芳", say=told.append, progress=lambda a, b: None)
    assert any("自有标注太少，未检验" in line for line in told)


def test_another_model_of_the_environment_is_not_trained_past(app: App, labels: Path) -> None:
    app.models.given = shipped()
    with pytest.raises(ConfigError, match="YUJING_MODEL"):
        adapt(app, labels)


def test_two_trainings_at_once_are_one(app: App, labels: Path) -> None:
    with app.models.training(), pytest.raises(ModelError, match="另一个 yujing train"):
        adapt(app, labels)


def test_a_spoilt_list_of_models_is_one_clear_line(app: App) -> None:
    app.models.folder.mkdir(exist_ok=True)
    for content in (b"", b"../../etc\n", b"\xff\xfe"):
        (app.models.folder / "current").write_bytes(content)
        with pytest.raises(ModelError) as caught:
            app.models.in_use()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        '{"lines": [], "staged": "a.rejudged", "before": "shipped", "by": ""}',
        '{"lines": ["../elsewhere"], "staged": "a.rejudged", "before": "shipped", "by": ""}',
        '{"lines": ["shipped"], "staged": "../posts.sqlite3", "before": "shipped", "by": ""}',
        '{"lines": ["shipped"], "staged": "", "before": "shipped", "by": ""}',
    ],
)
def test_a_spoilt_decision_is_one_clear_line_and_touches_nothing(app: App, content: str) -> None:
    app.models.folder.mkdir(exist_ok=True)
    (app.models.folder / "switching").write_text(content, "utf-8")
    with pytest.raises(ModelError, match="内容不对"):
        app.switch.finish(now=NOW)
    assert len(app.posts.search(Query(limit=100)).found) == 8 and app.models.lines() == ("shipped",)


def test_an_alias_that_is_added_reaches_what_is_stored(app: App, tmp_path: Path) -> None:
    one, two = post(20, "桥宝宝又卡住了，提现没到账"), post(21, "桥宝宝今天转不出去")
    app.inbox.put([one, two], now=NOW)
    app.worker.drain(now=lambda: NOW)
    assert app.posts.search(Query(brand="yunqiao", text="桥宝宝")).total == 0
    folder = tmp_path / "config"
    shutil.copytree(app.environment.config, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    brands = folder / "brands.yaml"
    brands.write_text(brands.read_text("utf-8").replace("[云桥, ", "[云桥, 桥宝宝, "), "utf-8")
    later = App.from_environment({"YUJING_HOME": str(app.home), "YUJING_CONFIG": str(folder)})
    with closing(later):
        grown = replace(one, engagement=Engagement(likes=900), fetched_at=NOW + timedelta(minutes=1))
        later.inbox.put([grown], now=NOW)
        later.worker.drain(now=lambda: NOW)
        found = later.posts.search(Query(brand="yunqiao", text="桥宝宝")).found
        assert [each.post.id for each in found] == [one.id]
        done = training.rejudge(later, by="王芳", say=print, progress=lambda a, b: None)
        assert done["rejudged"] == 1
        assert later.posts.search(Query(brand="yunqiao", text="桥宝宝")).total == 2
        assert training.rejudge(later, by="王芳", say=print, progress=lambda a, b: None)["rejudged"] == 0


def test_history_is_judged_anew_after_an_upgrade(app: App) -> None:
    (app.models.folder).mkdir(exist_ok=True)
    stored = app.posts.search(Query(limit=100)).found
    old = [replace(each, assessment=replace(each.assessment, model="yujing-bert@old")) for each in stored]
    app.posts.put(old)
    done = training.rejudge(app, by="王芳", say=print, progress=lambda a, b: None)
    assert done["rejudged"] == len(stored) and models(app) == {app.runtime.name}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--labels"),
        (["--rollback", "--labels", "x"], "--labels"),
        (["--data", "d"], "--out"),
        (["--labels", "x", "--base", "b"], "--base"),
        (["--rejudge", "--pretrain-min", "3"], "--pretrain-min"),
    ],
)
def test_wrong_use_says_the_ways(arguments: list[str], said: str) -> None:
    import typer
    from typer.testing import CliRunner

    from app.commands import train

    single = typer.Typer()
    single.command()(train.command)
    done = CliRunner().invoke(single, arguments)
    assert isinstance(done.exception, UsageError) and said in str(done.exception)


@pytest.mark.slow
def test_from_labels_to_a_model_in_use(tmp_path: Path) -> None:
    """The whole way as an operator walks it, with half a minute of training."""
    home = tmp_path / "home"
    rows = [
        {
            "text": f"{chr(0x4E00 + 37 * n) * 5}云桥金融的提现第{n}天到账，{'感谢客服' if n % 2 else '还在等'}",
            "sentiment": "positive" if n % 2 else "negative",
            "topics": [] if n % 2 else ["withdrawal_difficulty"],
        }
        for n in range(40)
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("YUJING_")}

    def yujing(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            capture_output=True,
            text=True,
            timeout=280,
            env={**environment, "YUJING_HOME": str(home)},
        )

    done = yujing("train", "--labels", str(path), "--budget-min", "0.1", "--by", "王芳")
    state = json.loads(yujing("status", "--json").stdout)["model"]
    if done.returncode == 0:
        assert json.loads(done.stdout.splitlines()[-1])["model"] == state["name"]
    else:  # so short a training may be refused; then it is said why, and nothing is installed
        assert "没有通过检验" in done.stderr and state["origin"] == "shipped", done.stderr
    assert "情感准确率从" in done.stderr
