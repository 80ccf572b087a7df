"""`yujing init` writes files that pass the check and keep their comments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.first_config import Answers, SourceAnswer, parse_source, write_config
from config.load import check, load
from domain.errors import ConfigError, UsageError
from domain.post import Tier

SHIPPED = Path(__file__).resolve().parents[2] / "config"


def answers(**more: object) -> Answers:
    return Answers(name="海棠金服", recipients=("pr@example.com",), **more)  # type: ignore[arg-type]


def test_what_was_answered_is_what_is_loaded(tmp_path: Path) -> None:
    sources = [
        "weibo@http://127.0.0.1:9",
        "guba=600000",
        "https://a.example/rss?x=1",
        "https://b.example/rss",
        "feed=/feed",
    ]
    write_config(
        tmp_path / "config",
        answers(
            aliases=("海棠", "HT 金服: #1"),
            products=("海棠宝",),
            competitors=("北屿银行",),
            sources=tuple(parse_source(text) for text in sources),
        ),
        shipped=SHIPPED,
    )
    assert check(tmp_path / "config") == []
    settings = load(tmp_path / "config")
    assert [b.name for b in settings.brands] == ["海棠金服", "北屿银行"]
    assert settings.brands[0].aliases == ("海棠", "HT 金服: #1")
    assert settings.brands[0].not_in == ()
    on = {s.id: s for s in settings.sources if s.enabled}
    assert set(on) == {"weibo", "guba", "feed", "feed-4", "feed-5"}
    assert on["weibo"].base_url == "http://127.0.0.1:9"
    assert on["weibo"].queries == ("海棠金服", "海棠宝")
    assert (on["feed"].paths, on["feed-4"].base_url) == (("/rss?x=1",), "https://b.example")
    assert (on["feed-5"].base_url, on["feed-5"].tier) == ("https://www.36kr.com", Tier.CENTRAL_MEDIA)
    assert {on["feed"].tier, on["feed-4"].tier} == {Tier.USER}
    assert "只有媒体自己的订阅源才写媒体的等级" in (tmp_path / "config" / "sources.yaml").read_text("utf-8")
    assert on["guba"].brand == "own"
    assert {to for route in settings.routes for to in route.to} == {"pr@example.com"}


def test_comments_stay(tmp_path: Path) -> None:
    write_config(tmp_path / "config", answers(), shipped=SHIPPED)
    assert check(tmp_path / "config") == []
    for name in ("brands.yaml", "sources.yaml", "routes.yaml", "rules.yaml"):
        text = (tmp_path / "config" / name).read_text(encoding="utf-8")
        assert sum(line.lstrip().startswith("#") for line in text.splitlines()) >= 5, name


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "brands.yaml").write_text("mine")
    with pytest.raises(UsageError):
        write_config(tmp_path, answers(), shipped=SHIPPED)
    assert (tmp_path / "brands.yaml").read_text() == "mine"


def test_answers_that_make_no_configuration_leave_nothing_in_the_way(tmp_path: Path) -> None:
    """The same command is right the second time, when the answer is."""
    folder = tmp_path / "config"
    with pytest.raises(ConfigError, match=r"config/brands\.yaml:\d+: brands\[0\]\.name: .*太短"):
        write_config(folder, replace(answers(), name="桥"), shipped=SHIPPED)
    assert list(folder.iterdir()) == []
    write_config(folder, answers(), shipped=SHIPPED)
    assert check(folder) == []


@pytest.mark.parametrize("text", ["douyin", "guba", "http://", "weibo@nowhere"])
def test_a_source_that_cannot_be_read_is_wrong_use(text: str) -> None:
    with pytest.raises(UsageError):
        parse_source(text)


def test_sources_are_read() -> None:
    assert parse_source("heimao=77@http://127.0.0.1:1") == SourceAnswer(
        kind="heimao", path="77", base_url="http://127.0.0.1:1"
    )
    assert parse_source("https://x.example") == SourceAnswer(
        kind="feed", path="/", base_url="https://x.example"
    )
