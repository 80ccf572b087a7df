"""``yujing migrate ledger``: only at rest, compared table by table. How rows are copied: tests/store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.commands import migrate, up
from app.wire import App
from domain.errors import InputError, StoreError
from store.ledger import SCHEDULER, AuditEntry, open_ledger

NOW = datetime.now(UTC)


def entry(n: int) -> AuditEntry:
    return AuditEntry(at=NOW, actor="王芳", action="test", subject=f"第 {n} 件")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YUJING_HOME", str(tmp_path / "home"))
    with closing(App.from_environment(os.environ)) as made:
        for n in range(5):
            made.ledger.audit.record(entry(n))
        yield made


@pytest.fixture
def run(home: App, tmp_path: Path) -> Callable[..., str]:
    """``yujing migrate ledger --to …``; what it printed; an expected failure is raised."""

    def invoke(*arguments: str, to: Path = tmp_path / "copy.db") -> str:
        words = ["ledger", "--to", f"sqlite:///{to}", *arguments]
        done = CliRunner().invoke(migrate.commands, words, obj=lambda: home)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return invoke


def test_it_is_copied_and_the_next_steps_are_said(home: App, run: Callable[..., str], tmp_path: Path) -> None:
    said = run()
    assert "audit：5 行" in said and "逐表核对一致" in said
    assert f"YUJING_LEDGER_URL=sqlite:///{tmp_path}/copy.db\n" in said
    assert "收件箱" not in said
    with closing(open_ledger(f"sqlite:///{tmp_path}/copy.db")) as copy:
        assert copy.audit.last() == home.ledger.audit.last()
    assert "逐表核对一致" in run(), "asked for again"
    assert "逐表核对一致" in run("--verify-only")


def test_a_copy_that_is_not_the_same(home: App, run: Callable[..., str]) -> None:
    run()
    home.ledger.audit.record(entry(99))
    with pytest.raises(StoreError, match="两边不一致：audit"):
        run("--verify-only")
    with pytest.raises(InputError, match="不是空的"):
        run()


def test_a_ledger_with_other_content_is_left_alone(run: Callable[..., str], tmp_path: Path) -> None:
    with closing(open_ledger(f"sqlite:///{tmp_path}/other.db")) as other:
        other.audit.record(entry(1))
        with pytest.raises(InputError, match="不是空的"):
            run(to=tmp_path / "other.db")
        assert len(other.audit.last()) == 1


def test_a_service_that_runs_is_to_be_stopped_first(
    home: App, run: Callable[..., str], tmp_path: Path
) -> None:
    with (home.home / "up.lock").open("w") as lock:
        up._alone(lock)
        with pytest.raises(InputError, match="服务正在运行"):
            run()
    lease = home.ledger.leases.take(
        SCHEDULER, holder="别的主机 进程 7", place="", seconds=600, gone=lambda place: False
    )
    with pytest.raises(InputError, match="别的主机 进程 7"):
        run()
    with closing(open_ledger(f"sqlite:///{tmp_path}/copy.db")) as target:
        assert not target.audit.last()
    assert lease
    home.ledger.leases.release(lease)
    run()
    home.ledger.leases.take(
        SCHEDULER, holder="别的主机 进程 7", place="", seconds=600, gone=lambda place: False
    )
    with pytest.raises(InputError, match="别的主机 进程 7"):
        run()
