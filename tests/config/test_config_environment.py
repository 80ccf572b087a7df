"""The environment: defaults, files, failures that name the variable and never its value."""

from __future__ import annotations

import stat
import subprocess
import threading
from pathlib import Path

import pytest

from config.environment import (
    config_of,
    home_of,
    read_environment,
    secret_of,
    secrets_given,
    shipped,
    target_of,
)
from domain.errors import ConfigError, UsageError


@pytest.fixture
def base(tmp_path: Path) -> dict[str, str]:
    """The least a machine has: a home."""
    return {"HOME": str(tmp_path), "YUJING_HOME": str(tmp_path / "yj")}


def test_everything_lives_under_the_home(base, tmp_path: Path) -> None:
    environment = read_environment(base)
    home = tmp_path / "yj"
    assert environment.home == home
    assert environment.posts_url == f"sqlite:///{home}/posts.sqlite3"
    assert environment.config == shipped()
    assert (environment.smtp.host, environment.smtp.port, environment.smtp.security) == (
        "127.0.0.1",
        25,
        "none",
    )
    assert environment.model is None


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOME": "/home/a"}, "/home/a/.local/share/yujing"),
        ({"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "/data/yujing"),
        ({"HOME": "/home/a", "XDG_DATA_HOME": "relative"}, "/home/a/.local/share/yujing"),
        ({"HOME": "/home/a", "YUJING_HOME": "~/yj"}, "/home/a/yj"),
        ({"YUJING_HOME": "/srv/yj"}, "/srv/yj"),
    ],
)
def test_home(variables: dict[str, str], expected: str) -> None:
    assert home_of(variables) == Path(expected)


def test_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert home_of({"YUJING_HOME": "here"}) == tmp_path / "here"


def test_no_home_at_all() -> None:
    with pytest.raises(ConfigError, match="YUJING_HOME"):
        home_of({})


def test_home_that_cannot_be_made(base, tmp_path: Path) -> None:
    (tmp_path / "yj").write_text("a file")
    with pytest.raises(ConfigError, match="YUJING_HOME"):
        read_environment(base)


def test_own_configuration_in_the_home_is_found(base, tmp_path: Path) -> None:
    own = tmp_path / "yj" / "config"
    own.mkdir(parents=True)
    assert config_of(base) == shipped()
    (own / "brands.yaml").touch()
    assert config_of(base) == own == read_environment(base).config
    assert config_of({**base, "YUJING_CONFIG": "/etc/yujing"}) == Path("/etc/yujing")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 25, "none", "")),
        ("smtp+starttls://u%40x.cn@mail.example.com", ("mail.example.com", 587, "starttls", "u@x.cn")),
        ("smtps://me@mail.example.com:4650/", ("mail.example.com", 4650, "tls", "me")),
        ("smtps://me:geheim-123@[::1]", ("::1", 465, "tls", "me")),
    ],
)
def test_smtp_addresses(base, url: str, expected: tuple[str, int, str, str]) -> None:
    secret = {} if not expected[3] or "geheim" in url else {"YUJING_SMTP_PASSWORD": "geheim-123"}
    smtp = read_environment({**base, "YUJING_SMTP_URL": url, **secret}).smtp
    assert (smtp.host, smtp.port, smtp.security, smtp.user) == expected
    assert smtp.password.get_secret_value() == ("geheim-123" if expected[3] else "")
    assert "geheim" not in repr(smtp)


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"YUJING_SMTP_URL": "http://x"}, "YUJING_SMTP_URL"),
        ({"YUJING_SMTP_URL": f"smtp://u:{SECRET}@"}, "YUJING_SMTP_URL"),
        ({"YUJING_SMTP_URL": f"smtp://u:{SECRET}@h:99999"}, "YUJING_SMTP_URL"),
        ({"YUJING_SMTP_URL": f"smtp://u:{SECRET}@h:port"}, "YUJING_SMTP_URL"),
        ({"YUJING_SMTP_URL": f"smtp://u:{SECRET}@h/inbox?x=1"}, "YUJING_SMTP_URL"),
        ({"YUJING_SMTP_URL": f"smtp://u:{SECRET}@[::1"}, "YUJING_SMTP_URL"),
        ({"YUJING_SMTP_URL": "smtp://u@h"}, "YUJING_SMTP_PASSWORD"),
        ({"YUJING_SMTP_URL": "smtp://h", "YUJING_SMTP_PASSWORD": SECRET}, "YUJING_SMTP_PASSWORD"),
        ({"YUJING_SMTP_PASSWORD": SECRET}, "YUJING_SMTP_URL"),
        ({"YUJING_SMTP_URL": "smtp://u:x@h", "YUJING_SMTP_PASSWORD": SECRET}, "YUJING_SMTP_PASSWORD"),
        ({"YUJING_SMTP_PASSWORD": f"{SECRET}\nx"}, "YUJING_SMTP_PASSWORD"),
        ({"YUJING_MAIL_FROM": f"{SECRET}"}, "YUJING_MAIL_FROM"),
        ({"YUJING_MAIL_FROM": f"a@b.c\r\nBcc: {SECRET}@x.y"}, "YUJING_MAIL_FROM"),
        ({"YUJING_SECRET": SECRET}, "YUJING_SECRET"),
        ({"YUJING_SECRET": SECRET * 2, "YUJING_SECRET_FILE": "/dev/null"}, "YUJING_SECRET_FILE"),
        ({"YUJING_SECRET_FILE": "/nowhere/at/all"}, "YUJING_SECRET_FILE"),
        ({"YUJING_SECRET_FILE": "/tmp"}, "YUJING_SECRET_FILE"),
        ({"YUJING_LEDGER_URL": f"{SECRET}"}, "YUJING_LEDGER_URL"),
        ({"YUJING_POST_URL": f"sqlite:///{SECRET}"}, "YUJING_POSTS_URL"),
    ],
)
def test_failure_names_the_variable_and_never_its_value(base, variables: dict[str, str], name: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        read_environment({**base, **variables})
    told = str(caught.value) + "".join(map(str, _chain(caught.value)))
    assert "hunter2" not in str(caught.value), told
    assert "\n" not in str(caught.value)


def _chain(error: BaseException | None) -> list[str]:
    return [] if error is None else [str(error), *_chain(error.__cause__)]


def test_foreign_variables_are_left_alone(base) -> None:
    read_environment({**base, "YUJING_WEIBO_COOKIE": "x", "YUJING_CLOCK": "x", "YUJING_DATA": "/x"})


def test_any_variable_may_come_from_a_file(base, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("geheim-123\n")
    (tmp_path / "from").write_text("pr@example.com\n")
    environment = read_environment(
        {
            **base,
            "YUJING_SMTP_URL": "smtps://me@h",
            "YUJING_SMTP_PASSWORD_FILE": str(tmp_path / "pw"),
            "YUJING_MAIL_FROM_FILE": str(tmp_path / "from"),
        }
    )
    assert environment.smtp.password.get_secret_value() == "geheim-123"
    assert environment.smtp.sender == "pr@example.com"
    assert secret_of(
        {"YUJING_WEIBO_COOKIE_FILE": str(tmp_path / "pw")}, "YUJING_WEIBO_COOKIE"
    ).get_secret_value()


def test_remembered_settings_stand_behind_the_environment(base, tmp_path: Path) -> None:
    (tmp_path / "yj").mkdir()
    remembered = tmp_path / "yj" / "settings.env"
    remembered.write_text("# note\n\nYUJING_MAIL_FROM='kept@example.com'\nYUJING_SMTP_URL=smtp://kept:2525\n")
    environment = read_environment({**base, "YUJING_SMTP_URL": "smtp://given"})
    assert (environment.smtp.sender, environment.smtp.host) == ("kept@example.com", "given")
    for line in ("PATH=/x", "YUJING_MAIL_FROM='a", "YUJING_MAIL_FROM a b"):
        remembered.write_text(line)
        with pytest.raises(ConfigError, match=r"settings\.env:1"):
            read_environment(base)


@pytest.mark.parametrize(
    "line",
    [
        "YUJING_SECRET=abcdefgh12345678#WXYZ-rest",
        "YUJING_SECRET='#abcdefgh 12345678'  # don't lose it",
        'YUJING_SECRET="it\'s #1 of many secrets"#2',
        "  # YUJING_SECRET='not closed\nYUJING_SECRET=abcdefgh12345678\t#",
        r"YUJING_SECRET=abcdefgh12345678\#9",
    ],
)
def test_remembered_settings_mean_what_a_shell_that_reads_them_takes_them_for(
    base, tmp_path: Path, line: str
) -> None:
    (tmp_path / "yj").mkdir()
    remembered = tmp_path / "yj" / "settings.env"
    remembered.write_text(f"{line}\n")
    shell = ["sh", "-c", '. "$0"; printf %s "$YUJING_SECRET"', str(remembered)]
    sourced = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    assert sourced
    assert read_environment(base).secret.get_secret_value() == sourced


def test_secret_is_made_once_and_kept_private(base, tmp_path: Path) -> None:
    first = read_environment(base).secret.get_secret_value()
    assert len(first) >= 32
    assert read_environment(base).secret.get_secret_value() == first
    kept = tmp_path / "yj" / "secret"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "yj").iterdir()) == ["secret"]
    kept.write_text("")
    with pytest.raises(ConfigError, match="YUJING_SECRET"):
        read_environment(base)


def test_two_at_once_agree_on_the_secret(base) -> None:
    seen: list[str] = []
    start = threading.Barrier(8)

    def one() -> None:
        start.wait()
        seen.append(read_environment(base).secret.get_secret_value())

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1


@pytest.mark.parametrize(
    ("given", "url", "password"),
    [
        ({"YUJING_POSTS_URL": "https://elastic:s%40cret@es:9200"}, "https://elastic@es:9200", "s@cret"),
        ({"YUJING_POSTS_URL": "https://e@es", "YUJING_POSTS_PASSWORD": "s@cret"}, "https://e@es", "s@cret"),
        ({"YUJING_POSTS_URL": "elasticsearch://es:9200"}, "elasticsearch://es:9200", ""),
    ],
)
def test_a_password_leaves_the_address(
    tmp_path: Path, given: dict[str, str], url: str, password: str
) -> None:
    read = read_environment({"YUJING_HOME": str(tmp_path), **given})
    assert (read.posts_url, read.posts_access.password.get_secret_value()) == (url, password)
    assert password == "" or password not in repr(read)


@pytest.mark.parametrize(
    "given",
    [
        {"YUJING_INBOX_URL": "redis://u:s3cret@r", "YUJING_INBOX_PASSWORD": "s3cret"},
        {"YUJING_POSTS_PASSWORD": "s3cret", "YUJING_POSTS_API_KEY": "s3cret"},
        {"YUJING_LEDGER_URL": "postgresql+psycopg://u:s3cret@[h/name"},
        {"YUJING_INBOX_URL": "redis://u:s3cret@r:port"},
    ],
)
def test_a_doubtful_access_is_refused_without_its_secret(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        read_environment({"YUJING_HOME": str(tmp_path), **given})
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_secrets_that_are_given_and_where(base, tmp_path: Path) -> None:
    (tmp_path / "yj").mkdir()
    (tmp_path / "yj" / "settings.env").write_text(f"YUJING_LEDGER_PASSWORD_FILE={tmp_path}/ledger\n")
    given = {**base, "YUJING_POSTS_API_KEY": "geheim", "YUJING_MAIL_FROM": "a@example.com"}
    assert secrets_given(given) == {
        "YUJING_POSTS_API_KEY": None,
        "YUJING_LEDGER_PASSWORD": tmp_path / "ledger",
    }


def test_the_target_of_a_migration(base, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("geheim\n")
    given = {**base, "YUJING_TO_API_KEY_FILE": str(tmp_path / "key"), "YUJING_TO_CA": "ca.pem"}
    url, access = target_of(given, "https://es.example:9200/yujing")
    assert url == "https://es.example:9200/yujing"
    assert access.api_key.get_secret_value() == "geheim" and not access.password.get_secret_value()
    assert access.ca and access.ca.is_absolute()
    with pytest.raises(ConfigError, match="只能设置一个"):
        target_of({**given, "YUJING_TO_PASSWORD": "x"}, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:geheim@es.example:9200",
        "postgresql+psycopg://me@db/x?password=geheim",
        "redis://h?a=1&PassWord=geheim",
        "https://me:geh/eim@es.example",
    ],
)
def test_a_password_on_the_command_line_is_refused(base, url: str) -> None:
    with pytest.raises((UsageError, ConfigError)) as caught:
        target_of(base, url)
    assert "geh" not in str(caught.value)
