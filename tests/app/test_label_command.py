"""Posts out to a spreadsheet and back: nothing runs there, nothing wrong comes in, and what a person says holds."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.commands import label
from app.label_sheet import guarded, unguarded
from app.wire import App
from domain.assessment import Sentiment
from domain.errors import InputError
from domain.post import Post, post_id

NOW = datetime.now(UTC)
HOSTILE = (
    '=cmd|"/C calc"!A0 云桥金融提现三天不到账了，急死人',
    "＝HYPERLINK(1) 云桥金融的客服电话是多少，问了一圈没人知道",
    '@SUM(A1) 云桥金融,"引号"\r\n=2+2\t第二行是另一句话,还有"逗号"',
    "-2+3 云桥金融今天搞活动送优惠券，满一百减二十",
    "'=1 云桥金融的裁员名单是真的吗，听说赔偿都没谈",
    "\x1b[31m+7 云桥金融\u202e年报发布，净利润同比增长两成\x00",
)


def post(text: str, n: int) -> Post:
    return Post(
        id=post_id("weibo", str(n)),
        platform="weibo",
        source="import",
        native_id=str(n),
        text=text,
        published_at=NOW - timedelta(hours=n),
        fetched_at=NOW,
    )


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    made = App.from_environment({"YUJING_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)})
    texts = [*HOSTILE, *(f"第{n}天在云桥金融等提现，第{n}次打给客服，还是说在排队" for n in range(10, 14))]
    made.inbox.put([post(text, n) for n, text in enumerate(texts)], now=NOW)
    made.worker.drain(now=lambda: NOW)
    yield made
    made.close()


@pytest.fixture
def run(app: App) -> Callable[..., Any]:
    """``yujing label …``; an expected failure is raised."""

    def invoke(*arguments: str | Path) -> dict[str, Any]:
        done = CliRunner().invoke(label.commands, [str(each) for each in arguments], obj=lambda: app)
        if done.exception is not None:
            raise done.exception
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return invoke


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{key.split("（")[0]: value for key, value in row.items()} for row in csv.DictReader(file)]


def filled(path: Path, change: Callable[[int, dict[str, str]], None], *, encoding: str = "utf-8-sig") -> Path:
    """The sheet as a person saves it."""
    out = path.with_name(f"filled-{encoding}.csv")
    found = rows(path)
    for n, row in enumerate(found):
        change(n, row)
    with out.open("w", encoding=encoding, newline="", errors="replace") as file:
        sheet = csv.DictWriter(file, list(found[0]))
        sheet.writeheader()
        sheet.writerows(found)
    return out


def test_a_sheet_runs_nothing_and_shows_everything(run: Any, app: App, tmp_path: Path) -> None:
    out = tmp_path / "to-label.csv"
    done = run("export", "--out", out, "--most", "50")
    raw = out.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\n") == done["written"] + 1, "one line a post"
    assert "\x1b" not in raw.decode() and "\u202e" not in raw.decode()
    found = rows(out)
    assert len(found) == done["written"] >= len(HOSTILE)
    for row in found:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")), cell
        assert row["模型：情感"] in ("负面", "中性", "正面") and row["情感"] == row["话题"] == ""
        assert app.posts.get(row["编号"]) is not None and row["为什么选它"]
    assert "提现困难" in Path(done["guide"]).read_text("utf-8-sig")
    with pytest.raises(InputError, match="已经存在"):
        run("export", "--out", out)


@pytest.mark.parametrize("cell", ["=1", "'=1", "''", "＠x", "plain", "'quoted'", "-", "+86"])
def test_guarding_is_undone_by_reading(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "gb18030"])
def test_what_a_person_fills_in_beats_the_model(run: Any, app: App, tmp_path: Path, encoding: str) -> None:
    out = tmp_path / "s.csv"
    run("export", "--out", out)

    def fill(n: int, row: dict[str, str]) -> None:
        if n % 2:
            row |= {"情感": "中性", "话题": "无", "广告": "是"}

    sheet = filled(out, fill, encoding=encoding)
    first = run("import", sheet, "--by", "王芳")
    assert first["labelled"] == first["changed"] > 0
    assert run("import", sheet, "--by", "李雷") == first | {"changed": 0}, "said again, nothing is new"
    for n, row in enumerate(rows(out)):
        stored = app.posts.get(row["编号"])
        assert stored is not None
        if n % 2:
            made = stored.assessment
            assert (made.sentiment, made.topics, made.ad) == (Sentiment.NEUTRAL, (), True)
            assert all(e.sentiment is not Sentiment.NEGATIVE for e in made.entities)
            assert made.corrected_by == "王芳"
        else:
            assert stored.assessment.corrected_by == ""
    assert len(app.ledger.corrections.all()) == first["labelled"]
    run("export", "--out", tmp_path / "again.csv")
    asked = {row["编号"] for row in rows(tmp_path / "again.csv")}
    assert not asked & {each.post for each in app.ledger.corrections.all()}, "nobody is asked twice"


def test_of_a_story_that_was_labelled_nobody_is_asked_again(run: Any, app: App, tmp_path: Path) -> None:
    stored = app.posts.search(_query()).found
    told, other = stored[0], stored[1]
    app.posts.put([replace(each, assessment=replace(each.assessment, story="s")) for each in (told, other)])
    path = tmp_path / "l.jsonl"
    path.write_text(json.dumps({"id": told.post.id, "sentiment": "neutral"}) + "\n", "utf-8")
    run("import", path)
    run("export", "--out", tmp_path / "s.csv")
    asked = {row["编号"] for row in rows(tmp_path / "s.csv")}
    assert asked and not asked & {told.post.id, other.post.id}


def test_counts_follow_the_correction(run: Any, app: App, tmp_path: Path) -> None:
    def negatives() -> int:
        found = app.posts.counts(
            since=NOW - timedelta(days=2), until=NOW + timedelta(hours=1), step_s=86_400, topics=False
        )
        return sum(count.negative for count in found if count.brand == "yunqiao")

    assert negatives() > 0
    path = tmp_path / "all.jsonl"
    lines = [
        {"id": each.post.id, "sentiment": "neutral", "negative_about": []}
        for each in app.posts.search(_query()).found
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    run("import", path)
    assert negatives() == 0
    with pytest.raises(InputError, match="没有还没标注的帖子"):
        run("export", "--out", tmp_path / "none.csv")


def test_a_refetched_post_keeps_its_correction_and_an_edited_one_loses_it(
    run: Any, app: App, tmp_path: Path
) -> None:
    out = tmp_path / "s.csv"
    run("export", "--out", out)
    run("import", filled(out, lambda n, row: row.update({"情感": "正面"})))
    some = [app.posts.get(row["编号"]) for row in rows(out)[:2]]
    later = NOW + timedelta(hours=1)
    again = replace(some[0].post, fetched_at=later)  # type: ignore[union-attr]
    edited = replace(some[1].post, fetched_at=later, text="云桥金融卷款跑路了，老板失联")  # type: ignore[union-attr]
    app.inbox.put([again, edited], now=later)
    app.worker.drain(now=lambda: later)
    assert app.posts.get(again.id).assessment.sentiment is Sentiment.POSITIVE  # type: ignore[union-attr]
    assert app.posts.get(edited.id).assessment.corrected_by == ""  # type: ignore[union-attr]


def test_the_whole_text_and_the_title_must_be_those_that_were_read(
    run: Any, app: App, tmp_path: Path
) -> None:
    long = replace(post("云桥金融提现到账的第一天，" + "今天也很好。" * 400, 50), title="云桥金融的一天")
    app.inbox.put([long], now=NOW)
    app.worker.drain(now=lambda: NOW)
    run("export", "--out", tmp_path / "s.csv", "--most", "50")
    (row,) = [row for row in rows(tmp_path / "s.csv") if row["编号"] == long.id]
    row["情感"] = "正面"

    def sheet(name: str, **changes: str) -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, list(row))
            out.writeheader()
            out.writerow(row | changes)
        return path

    with pytest.raises(InputError, match="1 行有问题"):
        run("import", sheet("title.csv", 标题="别的标题"))
    later = NOW + timedelta(hours=1)
    app.inbox.put([replace(long, text=f"{long.text}后来老板跑路了", fetched_at=later)], now=later)
    app.worker.drain(now=lambda: later)
    with pytest.raises(InputError, match="1 行有问题"):
        run("import", sheet("edited.csv"))
    assert run("import", sheet("old.csv", 文本标记=""))["changed"] == 1, "a sheet of an earlier version"


def test_a_post_that_is_edited_during_the_import_is_refused(
    run: Any, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, *_) = app.posts.search(_query()).found
    path = tmp_path / "l.jsonl"
    path.write_text(json.dumps({"id": one.post.id, "sentiment": "positive"}) + "\n", "utf-8")
    alone = app.models.alone

    def edited_before() -> Any:
        app.posts.put([replace(one, post=replace(one.post, text="云桥金融卷款跑路了"))])
        return alone()

    monkeypatch.setattr(app.models, "alone", edited_before)
    with pytest.raises(InputError, match="刚刚改过"):
        run("import", path)
    assert app.ledger.corrections.all() == []


def test_a_correction_of_a_correction_is_put_over_the_models_word(run: Any, app: App, tmp_path: Path) -> None:
    two = post("云桥金融跑路了，老板失联，大家快报警。河口贷的客服倒是回了电话，说会按时兑付", 60)
    app.inbox.put([two], now=NOW)
    app.worker.drain(now=lambda: NOW)
    model = app.posts.get(two.id)
    assert model and Sentiment.NEGATIVE in {e.sentiment for e in model.assessment.entities}
    assert len(model.assessment.entities) > 1
    path = tmp_path / "l.jsonl"
    for sentiment in ("neutral", "negative"):
        path.write_text(json.dumps({"id": two.id, "sentiment": sentiment}) + "\n", "utf-8")
        assert run("import", path)["changed"] == 1
    stored = app.posts.get(two.id)
    assert stored and stored.assessment == app.corrector.over([model])[0].assessment
    assert stored.assessment.entities == model.assessment.entities


def test_a_folder_that_is_not_there_is_said_before_anything_is_judged(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is judged for a file that cannot be written")

    monkeypatch.setattr("app.labels.worth_reading", never)
    with pytest.raises(InputError, match="没有目录"):
        run("export", "--out", tmp_path / "nodir" / "x.csv")


def test_everything_wrong_is_said_with_its_row_and_nothing_comes_in(
    run: Any, app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s.csv"
    run("export", "--out", out)

    def spoil(n: int, row: dict[str, str]) -> None:
        changes: list[dict[str, str]] = [
            {"情感": "很坏", "话题": "提现困南"},
            {"情感": "负面", "编号": "1.2E+30"},
            {"情感": "负面", "负面指向": "查无此司"},
            {"情感": "中性", "正文": "别的话"},
            {"情感": "正面"},
        ]
        row |= changes[min(n, 4)]

    done = CliRunner().invoke(label.commands, ["import", str(filled(out, spoil))], obj=lambda: app)
    assert isinstance(done.exception, InputError) and "4 行" in str(done.exception)
    told = done.stderr.splitlines()
    assert len(told) == 5
    for number, word in ((2, "很坏"), (2, "提现困难"), (3, "编号"), (4, "查无此司"), (5, "正文")):
        assert any(f"第 {number} 行" in line and word in line for line in told), (number, word, told)
    assert app.ledger.corrections.all() == []


def test_two_answers_about_one_post_are_a_mistake(run: Any, app: App, tmp_path: Path) -> None:
    (one, *_) = app.posts.search(_query()).found
    path = tmp_path / "l.jsonl"
    lines = [{"id": one.post.id, "sentiment": s} for s in ("negative", "negative", "positive")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with pytest.raises(InputError, match="1 行有问题"):
        run("import", path)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]), "utf-8")
    assert run("import", path)["labelled"] == 1


def test_a_note_keeps_no_personal_data(run: Any, app: App, tmp_path: Path) -> None:
    (one, *_) = app.posts.search(_query()).found
    path = tmp_path / "l.jsonl"
    path.write_text(
        json.dumps({"id": one.post.id, "sentiment": "negative", "note": "已致电 13812345678 核实"}) + "\n",
        "utf-8",
    )
    run("import", path)
    (kept,) = app.ledger.corrections.all()
    assert "核实" in kept.note and "13812345678" not in kept.note


def test_marks_are_no_company(run: Any, app: App, tmp_path: Path) -> None:
    (one, *_) = app.posts.search(_query()).found
    path = tmp_path / "l.jsonl"
    path.write_text(json.dumps({"id": one.post.id, "negative_about": ["！！"]}) + "\n", "utf-8")
    with pytest.raises(InputError, match="1 行有问题"):
        run("import", path)


def _query() -> Any:
    from store.posts import Query

    return Query()


@pytest.mark.parametrize(
    "content, word",
    [
        (b"", "没有一行填了标注"),
        (b"\xff\xfe\x00", "UTF-16"),
        ("编号,情感\nx,\n".encode(), "1 行空着"),
        ("编号,编号\n1,2\n".encode(), "重名"),
        (b"[1]\n2\n", "没有一列认得"),
        ('编号,情感\n"open,负面\n'.encode(), "行有问题"),
    ],
)
def test_files_that_are_no_sheet_are_refused_in_one_line(
    run: Any, tmp_path: Path, content: bytes, word: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=word) as caught:
        run("import", path)
    assert "\n" not in str(caught.value)


def test_an_unknown_brand_is_named(run: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="yunqiao"):
        run("export", "--out", tmp_path / "x.csv", "--brand", "yunqia")
