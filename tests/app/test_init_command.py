"""``yujing init`` beside what an operator has set already."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli

GIVEN = ("--name", "海棠金服", "--to", "pr@example.com", "--no-test-mail")


def test_settings_of_the_operator_stay_and_the_mail_server_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YUJING_HOME", str(tmp_path))
    password = tmp_path / "password"
    password.write_text("geheim")
    kept = f"# 引擎\nYUJING_POSTS_URL=https://yujing@es.example:9200\nYUJING_POSTS_PASSWORD_FILE={password}\n"
    settings = tmp_path / "settings.env"
    settings.write_text(
        f"{kept}YUJING_SMTP_URL=smtps://old@mail.example\nYUJING_SMTP_PASSWORD=alt\nYUJING_MAIL_FROM=a@old.example\n"
    )
    settings.chmod(0o644)
    mail = ("--smtp", "smtps://new@mail.example", "--smtp-password-file", str(password))
    done = CliRunner().invoke(cli, ["init", *GIVEN, *mail], standalone_mode=False)
    assert done.exception is None
    assert settings.read_text() == (
        f"{kept}YUJING_CONFIG={tmp_path}/config\nYUJING_SMTP_URL=smtps://new@mail.example\n"
        f"YUJING_MAIL_FROM=yujing@example.com\nYUJING_SMTP_PASSWORD_FILE={password}\n"
    )
    assert settings.stat().st_mode & 0o777 == 0o600
