"""The parts of the demo: whose folder, which brands, which configuration."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import Clock
from app.demo import configuration
from app.demo.cast import LIMITS, Cast, cast
from app.demo.folder import MARK, Folder
from app.demo.run import BUDGET_S, QUICKEST_S, SLOWEST_S, environment, must_be_empty, play_seconds
from app.sandbox.rows import Row, Rows
from app.wire import App
from config.load import check, load
from domain.errors import UsageError, YujingError
from domain.source_run import Outcome, SourceRun

ENDS = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
URLS = {kind: f"http://127.0.0.1:{8000 + n}" for n, kind in enumerate(("weibo", "guba", "heimao", "news"))}


def rows(*made: Row) -> Rows:
    return Rows(rows=made)


def made(crisis: Rows | None = None, calm: Rows | None = None, *, campaign: bool = False) -> Cast:
    return cast(known=configuration.shipped().brands, crisis=crisis, calm=calm, campaign=campaign, ends=ENDS)


# ----------------------------------------------------------------------------- folder


def test_new_folder_is_marked_and_kept(tmp_path: Path) -> None:
    with Folder(tmp_path / "a" / "b") as folder:
        (folder.path / "posts.sqlite3").write_text("x")
    assert (tmp_path / "a" / "b" / "posts.sqlite3").exists()
    assert json.loads((tmp_path / "a" / "b" / MARK).read_text())["made"] == ["posts.sqlite3"]


def test_last_run_is_cleaned_away(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        (folder.path / "mail").mkdir()
        (folder.path / "mail" / "001.eml").write_text("x")
        (folder.path / "secret").write_text("x")
    with Folder(tmp_path) as folder:
        assert [entry.name for entry in folder.path.iterdir()] == [MARK]


def test_what_an_interrupted_run_left_is_known_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Folder(tmp_path) as folder:
        (folder.path / "posts.sqlite3").write_text("x")
        raise KeyboardInterrupt
    with Folder(tmp_path) as folder:
        assert [entry.name for entry in folder.path.iterdir()] == [MARK]


@pytest.mark.parametrize("before", [False, True])
def test_foreign_files_are_never_touched(tmp_path: Path, before: bool) -> None:
    if before:
        with Folder(tmp_path) as folder:
            (folder.path / "posts.sqlite3").write_text("x")
    (tmp_path / "thesis.txt").write_text("ten years of work")
    present = sorted(entry.name for entry in tmp_path.iterdir())
    with pytest.raises(YujingError, match="演练留下的"), Folder(tmp_path):
        pass
    assert sorted(entry.name for entry in tmp_path.iterdir()) == present


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")
    with Folder(tmp_path / "run") as folder:
        (folder.path / "mail").symlink_to(outside)
    with Folder(tmp_path / "run"):
        pass
    assert (outside / "keep").exists()


def test_two_at_once_in_one_folder(tmp_path: Path) -> None:
    with Folder(tmp_path), pytest.raises(YujingError, match="另一个演练"), Folder(tmp_path):
        pass


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(YujingError, match="file"), Folder(tmp_path / "file"):
        pass


def test_without_a_folder_each_run_has_its_own() -> None:
    with Folder(None) as one, Folder(None) as two:
        paths = {one.path, two.path}
    assert len(paths) == 2
    for path in paths:
        (path / MARK).unlink()
        path.rmdir()


# ------------------------------------------------------------------------------- cast


def test_built_in_scenario() -> None:
    found = made()
    assert (found.lead.id, found.lead.alerts, found.lead.limits) == ("yunqiao", True, LIMITS)
    assert {brand.id for brand in found.brands} > {"yunqiao", "ansui", "beiyu"}
    assert not any(brand.alerts for brand in found.brands[1:])
    assert {post.site for post in found.scenario.posts} == {"weibo", "guba", "heimao", "news"}


def test_unknown_brand_is_watched_and_built_in_talk_told_about_it() -> None:
    found = made(crisis=rows(*(Row(text=f"青石支付第{i}天提现不到账", brand="青石支付") for i in range(30))))
    assert (found.lead.name, found.lead.alerts, found.lead.limits) == ("青石支付", True, LIMITS)
    calm = [
        post for post in found.scenario.posts if post.brand == "青石支付" and post.at < found.scenario.onset
    ]
    assert len(calm) > 200
    assert not any("云桥" in post.text for post in calm)


def test_brand_by_another_of_its_names() -> None:
    found = made(crisis=rows(Row(text="安穗的钱到不了账", brand="安穗")))
    assert (found.lead.id, found.lead.alerts) == ("ansui", True)


def test_spellings_of_a_new_brand_are_one_brand() -> None:
    found = made(
        crisis=rows(Row(text="a", brand="QingPay"), Row(text="b", brand="qingpay")), calm=rows(Row(text="c"))
    )
    assert [brand.name for brand in found.brands] == ["QingPay"]


def test_rows_without_a_brand_are_about_the_brand_of_the_file() -> None:
    found = made(
        crisis=rows(Row(text="x", brand="青石支付"), Row(text="回楼上，我也是")), calm=rows(Row(text="早"))
    )
    assert {post.brand for post in found.scenario.posts} == {"青石支付"}


def test_calm_days_of_another_brand_have_their_campaign() -> None:
    found = made(
        calm=rows(*(Row(text=f"青石支付挺好{i}", brand="青石支付") for i in range(50))), campaign=True
    )
    assert found.lead.name == "青石支付"
    assert sum(post.at >= found.scenario.onset for post in found.scenario.posts) > 100
    assert not any("云桥" in post.text for post in found.scenario.posts)


# ---------------------------------------------------------------------- configuration

HOSTILE = Row(text="a", brand="'}: [&x !!python/object:os.system {", platform="guba")


@pytest.mark.parametrize(
    "found",
    [
        made(),
        made(campaign=True),
        made(crisis=rows(Row(text="x", brand="青石支付"), Row(text="y", brand="丙丁网贷", platform="news"))),
        made(crisis=rows(HOSTILE, Row(text="b", platform="heimao")), calm=rows(Row(text="c"))),
    ],
    ids=["crisis", "campaign", "new brands", "hostile names"],
)
def test_written_configuration_is_valid_and_reaches_every_post(tmp_path: Path, found: Cast) -> None:
    configuration.write(tmp_path / "config", found, URLS, 11)
    assert check(tmp_path / "config") == []
    settings = load(tmp_path / "config")
    assert {brand.name for brand in settings.brands} == {brand.name for brand in found.brands}
    assert settings.brand(found.lead.id).limits == LIMITS
    assert all(source.base_url in URLS.values() for source in settings.sources)
    assert {source.every_min for source in settings.sources} == {11}
    about = {source.brand for source in settings.sources if source.brand}
    unnamed = {found.named(post.brand).id for post in found.scenario.posts if not post.named}
    assert unnamed == about


@pytest.mark.parametrize("hours", [0.5, 3, 5, 25])
def test_crawls_stay_within_their_number(hours: float) -> None:
    length = timedelta(hours=hours)
    assert length / timedelta(minutes=configuration.every_min(length)) <= configuration.ROUNDS


# ---------------------------------------------------------------------------- tempo


@given(hours=st.floats(2, 26), pace=st.floats(0.5, 60), spent=st.floats(1, 300))
def test_tempo_is_bounded(hours: float, pace: float, spent: float) -> None:
    seconds = play_seconds(timedelta(hours=hours), pace=pace, spent=spent)
    assert QUICKEST_S <= seconds <= SLOWEST_S
    if spent <= BUDGET_S - QUICKEST_S:
        assert spent + seconds <= BUDGET_S


def test_slow_crawls_are_given_more_time() -> None:
    length = timedelta(hours=3.5)
    assert play_seconds(length, pace=2, spent=20) < play_seconds(length, pace=4, spent=20)


def test_a_demo_never_gets_among_real_posts(tmp_path: Path) -> None:
    app = App.from_environment({"YUJING_HOME": str(tmp_path), "HOME": str(tmp_path)})
    try:
        must_be_empty(app)
        now = datetime(2026, 11, 22, tzinfo=UTC)
        run = SourceRun(source="weibo", started_at=now, ended_at=now, outcome=Outcome.EMPTY)
        app.ledger.source_runs.record(run)
        with pytest.raises(UsageError, match="台账不是空的"):
            must_be_empty(app)
    finally:
        app.close()


@pytest.mark.parametrize("engines", [True, False])
def test_a_demo_takes_over_the_stores_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engines: bool
) -> None:
    given = {"YUJING_LEDGER_URL": "sqlite:////x", "YUJING_SMTP_URL": "smtps://real", "YUJING_MODEL": "/m"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with environment(tmp_path, "smtp://here", Clock(), engines) as variables:
        kept = {name: variables.get(name) for name in given}
    ledger = "sqlite:////x" if engines else None
    assert kept == {"YUJING_LEDGER_URL": ledger, "YUJING_SMTP_URL": "smtp://here", "YUJING_MODEL": "/m"}
    assert {name: os.environ[name] for name in given} == given
