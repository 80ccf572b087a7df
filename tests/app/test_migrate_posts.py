"""Posts from one store to another: nothing lost, nothing doubled, whatever happens in the middle."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import app.moving
from app.commands import migrate, up
from app.moving import Mover, Notebook, Pass, records
from app.wire import App
from domain.assessment import Assessment, Sentiment
from domain.errors import ConfigError, StoreError, UsageError
from domain.post import Author, Engagement, Post, post_id
from store.posts import Judged, Posts, Record, open_posts
from tests.app.killing import killed_until_done

NOW = datetime.now(UTC).replace(microsecond=7)
CHILD = Path(__file__).with_name("migrating.py")


def judged(n: int, **changes: Any) -> Judged:
    post = Post(
        id=post_id("weibo", str(n)),
        platform="weibo",
        source="import",
        native_id=str(n),
        text=f"第{n}天 提现 不到账 \x00 😀",
        author=Author(key=f"author-{n % 7}"),
        published_at=NOW - timedelta(hours=n),
        fetched_at=NOW,
        date_only=n % 5 == 0,
        engagement=Engagement(likes=n),
    )
    assessment = Assessment(
        post_id=post.id,
        model="m1",
        sentiment=Sentiment.NEGATIVE,
        probabilities={"negative": 0.1 + n / 7e6, "neutral": 0.9 - n / 7e6, "positive": 0.0},
    )
    return Judged(post=replace(post, **changes), assessment=assessment)


def fill(posts: Posts, numbers: Sequence[int]) -> None:
    """Posts, every third of them with a second version of its engagement under another date of publication."""
    posts.put([judged(n) for n in numbers])
    again = {
        "fetched_at": NOW + timedelta(hours=1),
        "published_at": NOW,
        "engagement": Engagement(likes=9**9),
    }
    posts.put([judged(n, **again) for n in numbers if n % 3 == 0])


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.moving, "BATCH", 20)


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Posts]]:
    made: list[Posts] = []

    def opener(path: Path) -> Posts:
        made.append(open_posts(f"sqlite:///{path}", segment=str.split))
        return made[-1]

    yield opener
    for each in made:
        each.close()


@pytest.fixture
def source(opened: Callable[[Path], Posts], tmp_path: Path) -> Posts:
    posts = opened(tmp_path / "source.db")
    fill(posts, range(130))
    return posts


@pytest.fixture
def target(opened: Callable[[Path], Posts], tmp_path: Path) -> Posts:
    return opened(tmp_path / "target.db")


@pytest.fixture
def notebook(tmp_path: Path) -> Notebook:
    return Notebook(tmp_path / "migrate", source="sqlite:///a", target="sqlite:///b")


def copied(
    source: Posts, target: Posts, notebook: Notebook, tidy: Callable[[], object] = lambda: None
) -> tuple[int, Pass]:
    return Mover(source, target, notebook, tidy=tidy, say=lambda what, done, total: None).copy()


def test_everything_comes_over_as_it_is(source: Posts, target: Posts, notebook: Notebook) -> None:
    written, last = copied(source, target, notebook)
    assert (written, last.posts, last.same) == (130, 130, True)
    assert list(records(target)) == list(records(source))
    changed = target.get(post_id("weibo", "3"))
    assert changed and changed.post.published_at == NOW - timedelta(hours=3), "the first date stays"
    assert [each.likes for _, each in target.engagement(post_id("weibo", "3"))] == [3, 9**9]
    assert copied(source, target, notebook)[0] == 0


def test_a_second_run_brings_what_came_since(source: Posts, target: Posts, notebook: Notebook) -> None:
    copied(source, target, notebook)
    fill(source, range(120, 150))
    later = NOW + timedelta(days=1)
    source.put([judged(n, fetched_at=later, text="改过的") for n in range(10)])
    written, last = copied(source, target, notebook)
    assert (written, last.posts, last.same) == (30, 150, True)
    assert list(records(target)) == list(records(source))


def test_posts_that_come_while_it_copies(source: Posts, target: Posts, notebook: Notebook) -> None:
    class Busy:
        """A service beside it that stops after a while."""

        def __init__(self, passes: int) -> None:
            self.left = passes

        def __call__(self, what: str, done: int, total: int) -> None:
            if done == 60 and self.left:
                self.left -= 1
                source.put([judged(n + 1000 * self.left) for n in range(200, 260)])

    written, last = Mover(source, target, notebook, tidy=lambda: None, say=Busy(2)).copy()
    assert (written, last.same) == (250, True)
    assert list(records(target)) == list(records(source))
    written, last = Mover(source, target, notebook, tidy=lambda: None, say=Busy(99)).copy()
    assert not last.same and not last.extra, "it goes on writing: said, and left to the next run"
    written, last = copied(source, target, notebook)
    assert last.same
    assert list(records(target)) == list(records(source))


def test_a_target_with_other_posts_is_refused_and_left_alone(
    source: Posts, target: Posts, notebook: Notebook
) -> None:
    target.put([judged(9999)])
    with pytest.raises(StoreError, match="已经有 1 条"):
        copied(source, target, notebook)
    assert target.size() == 1
    with pytest.raises(StoreError, match="已经有 1 条"):
        copied(source, target, notebook)


def test_posts_that_somebody_else_wrote_into_the_target_are_noticed(
    source: Posts, target: Posts, notebook: Notebook
) -> None:
    copied(source, target, notebook)
    target.put([judged(9999)])
    with pytest.raises(StoreError, match=f"1 条帖子是源里没有的（例如 {post_id('weibo', '9999')}"):
        copied(source, target, notebook)


def test_what_the_service_deleted_for_its_age_goes_from_the_target_too(
    source: Posts, target: Posts, notebook: Notebook
) -> None:
    copied(source, target, notebook)
    before = NOW - timedelta(hours=99)
    assert source.forget(before=before) > 0
    _, last = copied(source, target, notebook, lambda: target.forget(before=before))
    assert last.same
    assert list(records(target)) == list(records(source))


def test_a_target_that_lost_something_gets_it_back(
    source: Posts, target: Posts, notebook: Notebook, opened: Callable[[Path], Posts], tmp_path: Path
) -> None:
    copied(source, target, notebook)
    target.forget(before=NOW - timedelta(hours=50))
    assert copied(source, target, notebook)[1].same
    assert list(records(target)) == list(records(source))
    emptied = opened(tmp_path / "another.db")
    assert copied(source, emptied, notebook)[1].same
    assert list(records(emptied)) == list(records(source))


class Mangling:
    """Keeps everything but one thing."""

    def __init__(self, posts: Posts, mangled: str) -> None:
        self._posts, self._mangled = posts, mangled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._posts, name)

    def restore(self, batch: Sequence[Record]) -> None:
        self._posts.restore(
            [
                replace(each, versions=each.versions[-1:]) if each.judged.post.id == self._mangled else each
                for each in batch
            ]
        )


def test_a_target_that_does_not_keep_what_it_was_given(
    source: Posts, target: Posts, notebook: Notebook
) -> None:
    mangled = post_id("weibo", "9")
    with pytest.raises(StoreError, match=f"没有原样存下 1 条帖子（例如 {mangled}"):
        copied(source, Mangling(target, mangled), notebook)  # type: ignore[arg-type]


def test_verifying_counts_what_differs_and_writes_nothing(
    source: Posts, target: Posts, notebook: Notebook
) -> None:
    target.put([judged(n) for n in (1, 2, 3, 9999)])
    before = list(records(target))
    seen = Mover(source, target, notebook, tidy=lambda: None, say=lambda *_: None).verify()
    assert (seen.posts, seen.missing, seen.different, seen.extra) == (130, 127, 1, 1)
    assert seen.digests[0] != seen.digests[1]
    assert list(records(target)) == before
    assert notebook.read() is None


def test_progress_that_cannot_be_read_is_said(source: Posts, target: Posts, tmp_path: Path) -> None:
    notebook = Notebook(tmp_path, source="a", target="b")
    copied(source, target, notebook)
    (file,) = tmp_path.glob("posts-*.json")
    file.write_text("{")
    with pytest.raises(StoreError, match="迁移进度"):
        copied(source, target, notebook)


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_all_of_it(
    source: Posts, target: Posts, notebook: Notebook, tmp_path: Path
) -> None:
    stores = (f"sqlite:///{tmp_path}/{name}.db" for name in ("source", "target"))
    last = killed_until_done(
        [sys.executable, CHILD, tmp_path / "migrate", *stores], kills=6, within_s=0.003, patience=2
    )
    assert last.split()[2:] == ["130", "True"]
    assert list(records(target)) == list(records(source))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", folder], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_of_the_target_and_then_a_larger_one(
    source: Posts, notebook: Notebook, small_disk: Path, tmp_path: Path, opened: Callable[[Path], Posts]
) -> None:
    source.put([judged(n, text=f"{n} 提现 " * 2000) for n in range(300, 360)])
    full = open_posts(f"sqlite:///{small_disk}/t.db", segment=str.split)
    with pytest.raises(StoreError, match="磁盘已满") as caught:
        copied(source, full, notebook)
    assert not caught.value.permanent
    assert full.size() > 0
    full.close()
    shutil.copytree(small_disk, tmp_path / "larger")
    larger = opened(tmp_path / "larger" / "t.db")
    assert copied(source, larger, notebook)[1].same
    assert list(records(larger)) == list(records(source))


def test_a_home_without_room_for_the_progress(source: Posts, target: Posts, small_disk: Path) -> None:
    notebook = Notebook(small_disk / "migrate", source="a", target="b")
    (small_disk / "ballast").write_bytes(b"x" * 899 * 1024)
    with pytest.raises(StoreError, match="写不了迁移进度"):
        copied(source, target, notebook)
    (small_disk / "ballast").unlink()
    assert copied(source, target, notebook)[1].same


# ------------------------------------------------------------------------------------ the command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YUJING_HOME", str(tmp_path / "home"))
    made = App.from_environment(os.environ)
    fill(made.posts, range(45))
    yield made
    made.close()


@pytest.fixture
def run(home: App) -> Callable[..., str]:
    """``yujing migrate …``; what it printed; an expected failure is raised."""

    def invoke(*arguments: str) -> str:
        done = CliRunner().invoke(migrate.commands, ["posts", *arguments], obj=lambda: home)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return invoke


def test_the_command_says_what_to_set_and_what_to_do_next(
    home: App, run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("geheim-123\n")
    monkeypatch.setenv("YUJING_TO_PASSWORD_FILE", str(tmp_path / "password"))
    home.inbox.put([judged(1).post], now=NOW)
    said = run("--to", f"sqlite:///{tmp_path}/t.db")
    assert "这次写了 45 条" in said and "两边各 45 条" in said
    assert f"YUJING_POSTS_URL=sqlite:///{tmp_path}/t.db\n" in said
    assert f"YUJING_POSTS_PASSWORD_FILE={tmp_path}/password\n" in said
    assert "geheim" not in said
    assert "还有 1 条" in said and "yujing work --once" in said and "再运行一次" in said
    assert "停下服务" not in said and "死信" not in said
    assert "逐条核对一致" in run("--to", f"sqlite:///{tmp_path}/t.db", "--verify-only")
    home.posts.put([judged(77)])
    with pytest.raises(StoreError, match="目标缺 1 条"):
        run("--to", f"sqlite:///{tmp_path}/t.db", "--verify-only")


def test_dead_letters_are_not_left_behind_in_silence(
    home: App, run: Callable[..., str], tmp_path: Path
) -> None:
    home.inbox.put([judged(1).post], now=NOW)
    (leased,) = home.inbox.lease(1, now=NOW, lease=timedelta(minutes=1))
    home.inbox.bury(leased.token, reason="毒帖", now=NOW)
    said = run("--to", f"sqlite:///{tmp_path}/t.db")
    assert "有 1 条" in said and "yujing dead --retry" in said and "再运行一次" in said


def test_a_running_service_is_to_be_stopped_first(home: App, run: Callable[..., str], tmp_path: Path) -> None:
    with (home.home / "up.lock").open("w") as lock:
        up._alone(lock)
        assert "停下服务" in run("--to", f"sqlite:///{tmp_path}/t.db")
    assert "停下服务" not in run("--to", f"sqlite:///{tmp_path}/t.db")


@pytest.mark.parametrize(
    ("to", "error", "said"),
    [
        ("elasticsearch://me:geheim-123@h:9200", UsageError, "YUJING_TO_PASSWORD"),
        ("elasticsearch://me@h:9200/?password=geheim-123", UsageError, "YUJING_TO_PASSWORD"),
        ("elasticsearch://me:geheim/123@h:9200", ConfigError, "网址"),
        ("gopher://h", ConfigError, "gopher"),
        ("nowhere", ConfigError, "地址"),
        ("sqlite:///{home}/../home/posts.sqlite3", UsageError, "正在用"),
        ("sqlite:///{home}", StoreError, "目录"),
        ("sqlite:///{home}/secret", StoreError, "不是 SQLite 数据库"),
    ],
)
def test_targets_that_will_not_do(
    home: App, run: Callable[..., str], to: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        run("--to", to.format(home=home.home))
    assert "geheim" not in str(caught.value)


def test_one_migration_at_a_time(home: App, run: Callable[..., str], tmp_path: Path) -> None:
    with migrate._alone(home.home), pytest.raises(StoreError, match="另一个 yujing migrate"):
        run("--to", f"sqlite:///{tmp_path}/t.db")


def test_a_truncated_target_is_said_and_nothing_else_happens(
    home: App, run: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "t.db"
    run("--to", f"sqlite:///{path}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 100])
    with pytest.raises(StoreError, match="损坏"):
        run("--to", f"sqlite:///{path}")
    assert home.posts.size() == 45
