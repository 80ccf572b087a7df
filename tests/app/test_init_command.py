"""``yujing init`` beside what an operator has set already."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.commands import init
from config.environment import read_environment
from domain.errors import UsageError

GIVEN = ("--name", "海棠金服", "--to", "pr@example.com", "--no-test-mail")


WITH_LOGIN = ("--smtp", "smtp+starttls://pr@mail.example.com:587")


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


def run(*arguments: str, typed: str = ""):
    return CliRunner().invoke(cli, ["init", *arguments], input=typed, standalone_mode=False)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = init._Ask
    monkeypatch.setattr(init, "_Ask", lambda _terminal: ask(True))


def test_names_typed_with_chinese_commas_are_several_names(home: Path, terminal: None) -> None:
    done = run(*GIVEN, *("--smtp", "smtp://new.example"), typed="海棠、海棠宝，海棠贷；海棠付\n\n\n\n")
    assert done.exception is None
    assert "aliases: [海棠, 海棠宝, 海棠贷, 海棠付]" in (home / "config" / "brands.yaml").read_text()


def test_the_password_of_a_mail_login_is_asked_for_unseen_and_kept(home: Path, terminal: None) -> None:
    done = run(*GIVEN, *WITH_LOGIN, typed="\n\n\n\nge'tarnt 1\n")
    assert done.exception is None
    assert "tarnt" not in done.output and "没有写下" not in done.output
    assert read_environment({"YUJING_HOME": str(home)}).smtp.password.get_secret_value() == "ge'tarnt 1"


def test_off_a_terminal_a_login_without_a_password_names_the_option(home: Path) -> None:
    refused = run(*GIVEN, *WITH_LOGIN)
    assert isinstance(refused.exception, UsageError)
    assert "--smtp-password-file" in str(refused.exception)
    assert not home.exists()


def test_a_password_of_the_environment_alone_is_said_not_to_be_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUJING_SMTP_PASSWORD", "geheim")
    done = run(*GIVEN, *WITH_LOGIN)
    assert done.exception is None
    assert "YUJING_SMTP_PASSWORD='密码'" in done.output
    assert "geheim" not in (home / "settings.env").read_text()


def test_the_example_of_the_help_runs_off_a_terminal(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = init.EXAMPLE.partition("yujing ")[2].split()
    Path(arguments[arguments.index("--smtp-password-file") + 1]).write_text("geheim")
    done = CliRunner().invoke(cli, [*arguments, "--no-test-mail"])
    assert done.exit_code == 0, done.output
    assert (home / "config" / "brands.yaml").is_file()
