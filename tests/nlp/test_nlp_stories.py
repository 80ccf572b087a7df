from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from pydantic import SecretStr

from config.settings import Access
from deploy.engines.postgresql import PostgresqlServer
from domain.errors import StoreError
from nlp.coordination import suspicion
from nlp.stories import ALIKE, BANDS, PERMUTATIONS, SHARED, Stories, Told, _keys
from store.stories import Kept, open_stories
from store.stories.sqlite import SqliteStories

NOW = datetime(2026, 6, 1, 2, tzinfo=UTC)
TEXT = (
    "云桥金融昨晚起无法提现,客服电话一直占线,已经有上百位投资人聚集在公司楼下,希望监管尽快介入给大家一个说法"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Access]:
    """Where an empty table is made."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/s.db", Access()
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    name = f"stories_{uuid4().hex[:12]}"
    server.make_database(name)
    return server.url(name), Access(password=SecretStr(server.password))


@pytest.fixture
def opened(address: tuple[str, Access]) -> Iterator[Callable[..., Stories]]:
    """Opens the same table as one more worker."""
    made = []

    def make(**limits: Any) -> Stories:
        made.append(Stories(open_stories(*address), **limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def stories(opened: Callable[..., Stories]) -> Stories:
    return opened()


def test_copies_share_the_story_of_the_first_and_others_do_not(stories: Stories) -> None:
    assert stories.assign("a", TEXT, NOW) == "a"
    assert stories.assign("b", TEXT + "!!", NOW) == "a"
    assert stories.assign("c", f"转发微博 //@张三:{TEXT}", NOW) == "a"
    assert (
        stories.assign("d", "今天去汇泽宝看了看,新出的七日年化又降了,准备换一家试试,有推荐的吗", NOW) == "d"
    )


def test_a_post_keeps_its_story_even_when_its_text_is_edited(stories: Stories) -> None:
    stories.assign("a", TEXT, NOW)
    stories.assign("b", TEXT, NOW)
    assert stories.assign("b", "完全不同的一段话,和之前毫无关系,只是同一条帖子被改过了而已", NOW) == "a"


def test_short_words_are_nobodys_copy(stories: Stories) -> None:
    assert stories.assign("a", "垃圾", NOW) == "a"
    assert stories.assign("b", "垃圾", NOW) == "b"
    assert stories.assign("c", "", NOW) == "c"


def test_two_workers_and_a_restart_agree(opened: Callable[..., Stories]) -> None:
    one, two = opened(), opened()
    assert one.assign("a", TEXT, NOW) == "a"
    assert two.assign("b", TEXT, NOW) == "a"
    one.close(), two.close()
    assert opened().assign("c", TEXT, NOW) == "a"


def test_workers_at_the_same_time_make_one_story(opened: Callable[..., Stories]) -> None:
    def work(number: int) -> set[str]:
        stories = opened()
        return {stories.assign(f"{number}-{k}", TEXT, NOW) for k in range(20)}

    with ThreadPoolExecutor(4) as pool:
        found = set[str]().union(*pool.map(work, range(4)))
    assert len(found) == 1


def test_a_failed_batch_leaves_nothing(opened: Callable[..., Stories]) -> None:
    table = opened()._table
    with pytest.raises(ZeroDivisionError), table.writing() as rows:
        rows.add(Kept(post="a", story="a", at=0.0, account="", signature=b""), [1])
        raise ZeroDivisionError
    assert table.size() == 0
    with table.writing() as rows:
        assert rows.story_of("a") is None
        assert rows.firsts([1], least=1) == []


def test_what_is_older_than_the_window_starts_a_new_story(opened: Callable[..., Stories]) -> None:
    stories = opened(keep=timedelta(days=7))
    stories.assign("a", TEXT, NOW)
    assert stories.assign("b", TEXT, NOW + timedelta(days=8)) == "b"


def test_memory_is_bounded(opened: Callable[..., Stories]) -> None:
    stories = opened(most=100)
    told = [Told(post=str(i), text=f"第{i}条", at=NOW + timedelta(seconds=i)) for i in range(5_600)]
    for start in range(0, len(told), 400):
        stories.place(told[start : start + 400])
    assert stories._table.size() <= 500


def test_what_single_runs_place_is_forgotten_too(opened: Callable[..., Stories]) -> None:
    for day in (0, 30, 60):
        stories = opened()
        stories.place(
            [Told(post=f"{day}-{n}", text=f"第{n}条", at=NOW + timedelta(days=day)) for n in range(9)]
        )
    assert stories._table.size() == 9


def test_only_stories_that_share_enough_bands_are_compared(opened: Callable[..., Stories]) -> None:
    with opened()._table.writing() as rows:
        rows.add(Kept(post="a", story="a", at=0.0, account="", signature=b""), [1, 2, 3, 4])
        assert rows.firsts([1, 2, 3, 9], least=4) == []
        assert [kept.post for kept in rows.firsts([1, 2, 3, 4, 9], least=4)] == ["a"]


def test_signatures_that_are_alike_share_enough_bands() -> None:
    signature = np.arange(PERMUTATIONS, dtype=np.uint32)
    other = signature.copy()
    broken = int(PERMUTATIONS * (1 - ALIKE))
    other[:: PERMUTATIONS // BANDS][:broken] += (
        1_000  # one unequal value in each of as many bands as there can be
    )
    assert (signature == other).mean() >= ALIKE
    assert len({*_keys(signature)} & {*_keys(other)}) == SHARED


def test_what_accounts_published_is_found_by_an_index(tmp_path: Path) -> None:
    table = SqliteStories(tmp_path / "s.db")
    asked: list[str] = []
    table._db.set_trace_callback(asked.append)
    with table.writing() as rows:
        rows.acts(["u", "v"], near=0.0, limit=9)
    (statement,) = (each for each in asked if each.startswith("SELECT"))
    ((*_, plan), *_) = table._db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    assert "story_posts_account" in plan
    table.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="故事库"):
        open_stories(f"sqlite:///{tmp_path}/s.db")


def acts(*groups: tuple[str, float, str]) -> list[tuple[str, str, float]]:
    return [(who, story, at) for story, at, whos in groups for who in whos]


def test_suspicion_needs_three_accounts_and_grows_when_they_meet_again() -> None:
    assert suspicion(acts(("s", 0, "ab")), "s", 0) == 0
    once = suspicion(acts(("s", 0, "abc")), "s", 0)
    again = suspicion(acts(("s", 0, "abc"), ("t", 9_000, "abc")), "s", 0)
    others = suspicion(acts(("s", 0, "abc"), ("t", 9_000, "def")), "s", 0)
    assert 0 < once == others < 0.5 < again <= 1


def test_the_stories_tell_suspicion_but_not_of_media(stories: Stories) -> None:
    for turn, text in enumerate(
        (TEXT, "汇泽宝客服态度差,退款拖了一个月还没有结果,大家一起去投诉他们吧,不要放过")
    ):
        at = NOW + timedelta(hours=turn)
        placed = stories.place(
            [
                Told(post=f"{turn}{k}", text=text, at=at + timedelta(seconds=20), account=f"u{k}")
                for k in range(4)
            ]
        )
    assert min(p.coordination for p in placed) >= 0.7
    media = stories.place(
        [Told(post=f"m{k}", text="央行发布通知,明确支付机构备付金集中存管安排", at=NOW) for k in range(5)]
    )
    assert max(p.coordination for p in media) == 0


def test_a_lost_connection_is_transient_and_made_anew(postgresql_server: PostgresqlServer) -> None:
    postgresql_server.make_database("stories_lost")
    url, access = (
        postgresql_server.url("stories_lost"),
        Access(password=SecretStr(postgresql_server.password)),
    )
    stories = Stories(open_stories(url, access))
    stories.assign("a", TEXT, NOW)
    with psycopg.connect(
        url.replace("+psycopg", ""), password=postgresql_server.password, autocommit=True
    ) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'stories_lost'"
            " AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreError) as lost:
        stories.assign("b", TEXT, NOW)
    assert not lost.value.permanent
    assert stories.assign("b", TEXT, NOW) == "a"
    stories.close()


def test_a_wrong_password_is_permanent_and_not_repeated(postgresql_server: PostgresqlServer) -> None:
    with pytest.raises(StoreError) as refused:
        open_stories(postgresql_server.url(), Access(password=SecretStr("geheim")))
    assert refused.value.permanent
    assert "geheim" not in str(refused.value)
