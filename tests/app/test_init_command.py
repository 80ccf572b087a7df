"""``yujing init`` beside what an operator has set already."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from domain.errors import UsageError

GIVEN = ("--name", "海棠金服", "--to", "pr@example.com", "--no-test-mail")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YUJING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_settings_of_the_operator_stay_and_the_mail_server_is_replaced(home: Path, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("geheim")
    kept = f"# 引擎\nYUJING_POSTS_URL=https://yujing@es.example:9200\nYUJING_POSTS_PASSWORD_FILE={password}\n"
    home.mkdir()
    settings = home / "settings.env"
    settings.write_text(
        f"{kept}YUJING_SMTP_URL=smtps://old@mail.example\nYUJING_SMTP_PASSWORD=alt\nYUJING_MAIL_FROM=a@old.example\n"
    )
    settings.chmod(0o644)
    mail = ("--smtp", "smtps://new@mail.example", "--smtp-password-file", str(password))
    done = CliRunner().invoke(cli, ["init", *GIVEN, *mail], standalone_mode=False)
    assert done.exception is None
    assert settings.read_text() == (
        f"{kept}YUJING_CONFIG={home}/config\nYUJING_SMTP_URL=smtps://new@mail.example\n"
        f"YUJING_MAIL_FROM=yujing@example.com\nYUJING_SMTP_PASSWORD_FILE={password}\n"
    )
    assert settings.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("YUJING_CONFIG", "/etc/yujing"),
        ("YUJING_SMTP_URL", "smtp://old.example"),
        ("YUJING_SMTP_URL_FILE", "smtp://old.example"),
        ("YUJING_MAIL_FROM", "yujing@old.example"),
    ],
)
def test_settings_that_the_environment_would_overrule_are_not_written(
    variable: str, value: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable.endswith("_FILE"):
        (tmp_path / "value").write_text(value)
        value = str(tmp_path / "value")
    monkeypatch.setenv(variable, value)
    arguments = ["init", *GIVEN, "--smtp", "smtp://new.example"]
    refused = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert isinstance(refused.exception, UsageError)
    assert f"unset {variable}" in str(refused.exception)
    assert not home.exists()


def test_the_same_settings_in_the_environment_are_no_obstacle(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUJING_CONFIG", f"{home}/../home/config/")
    monkeypatch.setenv("YUJING_SMTP_URL", "smtp://new.example")
    arguments = ["init", *GIVEN, "--smtp", "smtp://new.example"]
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert done.exception is None
    assert (home / "config" / "brands.yaml").exists()
