"""``yujing deliver --once``: what it says, where, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import run
from store.ledger import Ledger, open_ledger
from tests.alerts.servers import Mailbox
from tests.alerts.test_outbox_delivery import waiting


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YUJING_HOME", str(tmp_path))
    monkeypatch.setenv("YUJING_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    monkeypatch.setenv("YUJING_MAIL_FROM", "yujing@example.com")
    return tmp_path


def yujing(*arguments: str) -> object:
    import typer

    from app.cli import cli

    return typer.main.get_command(cli).main(list(arguments), prog_name="yujing", standalone_mode=False)


def deliver(*arguments: str) -> int:
    return run(lambda: yujing("deliver", *arguments))


def outbox(home: Path) -> Ledger:
    return open_ledger(f"sqlite:///{home / 'ledger.sqlite3'}")


def test_what_is_due_is_sent_and_counted(
    home: Path,
    smtp: Callable[..., int],
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("YUJING_SMTP_URL", f"smtp://127.0.0.1:{smtp()}")
    ledger = outbox(home)
    ledger.outbox.enqueue([waiting("n1"), waiting("n2", to="nobody@example.com")])
    ledger.close()
    assert deliver("--once") == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"sent": 1, "retried": 0, "failed": 1}
    assert "550" in err
    assert "Traceback" not in err
    assert [to for to, _ in mailbox.arrived] == ["pr-duty@example.com"]


def test_a_server_that_is_away_is_one_clear_line_and_loses_nothing(
    home: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YUJING_SMTP_URL", f"smtp://127.0.0.1:{closed_port}")
    ledger = outbox(home)
    ledger.outbox.enqueue([waiting("n1")])
    assert deliver("--once") == 1
    err = capsys.readouterr().err
    assert f"127.0.0.1:{closed_port}" in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    assert [mail.state for mail in ledger.outbox.find()] == ["waiting"]
    ledger.close()
    assert run(lambda: yujing("status")) == 0
    shown = capsys.readouterr().out.replace("\n", "")
    assert "送达 email ⚠" in shown and f"127.0.0.1:{closed_port} 连不上" in shown


def test_nothing_to_do_is_done(
    home: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YUJING_SMTP_URL", f"smtp://127.0.0.1:{closed_port}")
    assert deliver("--once") == 0
    assert json.loads(capsys.readouterr().out)["sent"] == 0
