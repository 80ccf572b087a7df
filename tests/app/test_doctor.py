"""``yujing doctor``: what is wrong is found and said, the rest is looked at all the same, and no secret is shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.channels import ChannelDown
from app.cli import cli
from app.doctor import Part, parts
from app.sandbox.mailbox import Mailbox
from app.surroundings import clock, program
from app.trial_mail import to_everybody
from app.wire import App
from config.environment import secrets_given, shipped
from config.load import load
from config.settings import Smtp
from deploy.engines.redis import RedisServer
from domain.errors import DeliveryError, StoreError
from domain.source_run import Outcome, SourceRun
from nlp.bundle import shipped as weights
from store.findings import Finding

SECRET = "geheim-0123456789"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("YUJING_HOME", str(folder))
    return folder


@pytest.fixture
def mailbox(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with Mailbox(tmp_path / "mail") as box:
        monkeypatch.setenv("YUJING_SMTP_URL", box.url)
        yield box


@pytest.fixture
def look(home: Path) -> Iterator[Callable[..., list[Finding]]]:
    """What is found about one part of the installation that the environment describes now."""
    opened: list[App] = []

    def factory() -> App:
        opened.append(App.from_environment(os.environ))
        return opened[-1]

    def examine(name: str, *, fix: bool = False) -> list[Finding]:
        found = parts(factory, variables=os.environ, secrets=secrets_given(os.environ))
        (part,) = [part for part in found if part.name == name]
        return part.examine(fix=fix)

    yield examine
    for each in opened:
        each.close()


def doctor(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["doctor", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def lines(out: str) -> dict[str, dict[str, object]]:
    return {each["subject"]: each for each in map(json.loads, out.splitlines())}


def bad(found: list[Finding]) -> list[str]:
    return [f"{each.text} {each.remedy}" for each in found if not each.ok]


def test_a_sound_installation(home: Path, mailbox: Mailbox) -> None:
    code, out = doctor("--json")
    found = lines(out)
    assert code == 0, out
    assert all(set(each) == {"subject", "ok", "text", "remedy", "mendable"} for each in found.values())
    assert all(each["ok"] for each in found.values())
    for what in (
        "环境",
        "数据目录",
        "配置",
        "模型",
        "收件箱",
        "帖子库",
        "台账",
        "数据源",
        "发信",
        "时钟",
        "程序",
    ):
        assert any(subject.startswith(what) for subject in found), what
    assert "没有发信" in str(found["发信·服务器"]["text"])
    assert not mailbox.mails


def test_words_for_people_come_with_a_mark_a_word_and_a_remedy(home: Path) -> None:
    code, out = doctor()
    assert code == 1, "no mail server"
    assert "✓ 正常 数据目录·读写" in out
    assert "⚠ 注意 配置·法定时限" in out
    assert "✗ 有问题 发信：SMTP 127.0.0.1:25" in out
    assert "\n    → 没有设置 YUJING_SMTP_URL，试的是默认地址" in out
    assert "1 项有问题" in out.splitlines()[-1]


# ------------------------------------------------------------------------------------- the stores


def test_a_store_that_cannot_be_opened_hides_no_other(
    home: Path, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "posts.sqlite3").mkdir()
    (home / "ledger.sqlite3").write_text("亲爱的" * 1000)
    monkeypatch.setenv("YUJING_INBOX_URL", "gopher://inbox.example")
    code, out = doctor("--json")
    found = lines(out)
    assert code == 1
    assert "gopher" in str(found["收件箱"]["text"]) and "YUJING_INBOX_URL" in str(found["收件箱"]["remedy"])
    assert "是一个目录" in str(found["帖子库"]["text"])
    assert "不是 SQLite 数据库" in str(found["台账"]["text"])
    assert not found["数据源"]["ok"], "its outcomes are in the ledger"
    assert found["模型·在用"]["ok"] and found["发信·服务器"]["ok"]


def test_a_damaged_file_is_found(home: Path, look: Callable[..., list[Finding]]) -> None:
    from store.posts import open_posts

    from_store = open_posts(f"sqlite:///{home}/posts.sqlite3", segment=str.split)
    from_store.close()
    path = home / "posts.sqlite3"
    content = bytearray(path.read_bytes())
    content[5 * 4096 : 9 * 4096] = bytes(4 * 4096)
    path.write_bytes(content)
    assert any("损坏" in text for text in bad(look("帖子库")))


def test_a_redis_with_another_password(
    home: Path,
    look: Callable[..., list[Finding]],
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("YUJING_INBOX_URL", f"redis://127.0.0.1:{redis_server.port}/5")
    monkeypatch.setenv("YUJING_INBOX_PASSWORD", SECRET)
    (text,) = bad(look("收件箱"))
    assert "密码" in text and SECRET not in text
    monkeypatch.setenv("YUJING_INBOX_PASSWORD", "engines")
    found = look("收件箱")
    assert found and not [each for each in found if "engines" in each.text + each.remedy]


class Bent:
    """Something that can be put right, once."""

    def __init__(self) -> None:
        self.bent = True

    def look(self) -> list[Finding]:
        return [
            Finding(subject="形状", ok=not self.bent, text="弯了" if self.bent else "直", mendable=self.bent)
        ]

    def mend(self) -> list[Finding]:
        self.bent = False
        return [Finding(subject="形状", ok=True, text="已扳直")]


def test_what_can_be_mended_is_mended_when_asked_and_looked_at_again() -> None:
    bent = Bent()
    part = Part(name="尺", look=bent.look, mend=bent.mend)
    assert [each.text for each in part.examine()] == ["弯了"]
    assert [(each.subject, each.text) for each in part.examine(fix=True)] == [
        ("尺·形状", "已扳直"),
        ("尺·形状", "直"),
    ]
    assert [each.text for each in part.examine(fix=True)] == ["直"]


def test_a_part_that_breaks_while_it_is_looked_at() -> None:
    def refuse() -> list[Finding]:
        raise StoreError("连不上 es.internal")

    def broken() -> list[Finding]:
        raise RuntimeError(f"password={SECRET}")

    (refused,) = Part(name="帖子库", look=refuse, remedy="核对地址").examine()
    assert (refused.ok, refused.text, refused.remedy) == (False, "连不上 es.internal", "核对地址")
    (found,) = Part(name="帖子库", look=broken).examine(fix=True)
    assert not found.ok and "RuntimeError" in found.text and SECRET not in found.text


# -------------------------------------------------------------------------- settings and secrets


def test_an_environment_that_is_wrong_is_a_finding_and_the_configuration_is_checked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUJING_POST_URL", f"elasticsearch://u:{SECRET}@h:9200")
    code, out = doctor("--json")
    found = lines(out)
    assert code == 1
    assert "YUJING_POSTS_URL" in str(found["环境·变量"]["text"]) and SECRET not in out
    assert found["配置·文件"]["ok"] and found["程序·Python"]["ok"]
    assert "帖子库" not in found


def test_every_fault_of_the_configuration_is_a_finding(
    home: Path, look: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(
        shipped(), tmp_path / "config", ignore=shutil.ignore_patterns("*.py", "__pycache__")
    )
    monkeypatch.setenv("YUJING_CONFIG", str(folder))
    (folder / "service.yaml").write_text('retention_days: -1\nretencion: "\x1b[31m x"\n', encoding="utf-8")
    (folder / "rules.yaml").unlink()
    wrong = bad(look("配置"))
    assert (
        len(wrong) >= 2
        and any("service.yaml" in text for text in wrong)
        and any("rules.yaml" in text for text in wrong)
    )
    assert not bad(look("帖子库")), "it needs no configuration to be looked at"
    code, out = doctor()
    assert code == 1 and "\x1b" not in out


def test_no_secret_is_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INBOX_PASSWORD", "POSTS_API_KEY", "LEDGER_PASSWORD", "SMTP_PASSWORD", "SECRET"):
        monkeypatch.setenv(f"YUJING_{name}", f"{SECRET}-{name}")
    monkeypatch.setenv("YUJING_SMTP_URL", "smtp://duty@127.0.0.1:9")
    monkeypatch.setenv("YUJING_INBOX_URL", "redis://worker@127.0.0.1:9/0?prefix=x")
    monkeypatch.setenv("YUJING_POSTS_URL", "elasticsearch://127.0.0.1:9")
    monkeypatch.setenv("YUJING_LEDGER_URL", f"postgresql+psycopg://yujing@127.0.0.1:9/x?password={SECRET}")
    for arguments in (["--fix"], ["--json"]):
        code, out = doctor(*arguments)
        assert code == 1
        assert SECRET not in out
        assert "YUJING_SECRET" in out


def test_a_secret_that_everybody_can_read(
    home: Path, look: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    file.chmod(0o644)
    monkeypatch.setenv("YUJING_POSTS_PASSWORD_FILE", str(file))
    (text,) = bad(look("环境"))
    assert f"chmod o-rwx {file}" in text
    file.chmod(0o640)
    assert not bad(look("环境"))


def test_rights_in_the_home_are_mended(home: Path, look: Callable[..., list[Finding]]) -> None:
    look("数据目录")
    (home / "settings.env").write_text("YUJING_MAIL_FROM=a@example.com\n")
    for path, mode in ((home, 0o755), (home / "secret", 0o644), (home / "settings.env", 0o664)):
        path.chmod(mode)
    found = look("数据目录")
    assert len(bad(found)) == 2 and sum(each.mendable for each in found) == 3
    assert not bad(look("数据目录", fix=True))
    assert [path.stat().st_mode & 0o777 for path in (home, home / "secret", home / "settings.env")] == [
        0o750,
        0o600,
        0o600,
    ]
    assert not any(each.mendable for each in look("数据目录"))


def test_a_home_that_takes_nothing(tmp_path: Path) -> None:
    """A limit of no bytes a file stands in for a full disk."""
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 0; {sys.executable} -m app doctor --json | cat"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "YUJING_HOME": str(tmp_path), "YUJING_SECRET": SECRET},
    )
    found = lines(done.stdout)
    assert not found["数据目录·读写"]["ok"] and "写不了" in str(found["数据目录·读写"]["text"])
    assert found["程序·Python"]["ok"], "and everything after it is looked at"
    assert not done.stderr


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("YUJING_POSTS_URL", "elasticsearch://es.internal:9200", "不加密"),
        ("YUJING_POSTS_URL", "https://es.internal:9200", ""),
        ("YUJING_POSTS_URL", "elasticsearch://127.0.0.1:9200", ""),
    ],
)
def test_a_password_that_would_go_over_the_network_in_the_open(
    home: Path,
    look: Callable[..., list[Finding]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    remedy: str,
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("YUJING_POSTS_PASSWORD", SECRET)
    (found,) = [each for each in look("环境") if each.subject.endswith(name)]
    assert found.ok and (remedy in found.remedy if remedy else not found.remedy)


def test_a_certificate_file_that_is_none(
    home: Path, look: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem", tmp_path):
        monkeypatch.setenv("YUJING_POSTS_CA", str(path))
        (text,) = bad(look("环境"))
        assert str(path) in text


def test_a_cookie_that_a_source_needs(
    home: Path, look: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_source(tmp_path, monkeypatch, "微博\u202e")
    monkeypatch.delenv("YUJING_WEIBO_COOKIE", raising=False)
    (text,) = bad(look("配置"))
    assert "没有设置" in text and "YUJING_WEIBO_COOKIE_FILE" in text
    (home / "settings.env").write_text("YUJING_WEIBO_COOKIE=SUB=1\n")
    assert not bad(look("配置"))
    (home / "settings.env").unlink()
    monkeypatch.setenv("YUJING_WEIBO_COOKIE", "SUB=1")
    assert not bad(look("配置"))
    monkeypatch.delenv("YUJING_WEIBO_COOKIE")
    (tmp_path / "cookie").write_text("SUB=1")
    (tmp_path / "cookie").chmod(0o644)
    monkeypatch.setenv("YUJING_WEIBO_COOKIE_FILE", str(tmp_path / "cookie"))
    (text,) = bad(look("配置"))
    assert "谁都能读" in text and "SUB" not in text


# ----------------------------------------------------------------------- model, sources, mail, clock


def test_a_model_that_was_tampered_with(
    home: Path, look: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(weights(), tmp_path / "model")
    monkeypatch.setenv("YUJING_MODEL", str(folder))
    assert not bad(look("模型"))
    content = bytearray((folder / "encoder.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "encoder.onnx").write_bytes(content)
    (text,) = bad(look("模型"))
    assert "摘要" in text


def _with_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = shutil.copytree(
        shipped(), tmp_path / "config", ignore=shutil.ignore_patterns("*.py", "__pycache__")
    )
    (folder / "sources.yaml").write_text(
        f'sources:\n  - id: w\n    kind: weibo\n    name: "{name}"\n    base_url: https://m.weibo.cn\n'
        "    platform: weibo\n    queries: [云桥]\n    cookie_env: YUJING_WEIBO_COOKIE\n    blind_after_min: 60\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("YUJING_CONFIG", str(folder))
    monkeypatch.setenv("YUJING_WEIBO_COOKIE", "SUB=1")


def test_how_crawls_ended(
    home: Path, look: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_source(tmp_path, monkeypatch, "微博\u202e搜索")
    (found,) = look("数据源")
    assert found.ok and "还没有抓取过" in found.text and found.remedy
    now = datetime.now(UTC)
    app = App.from_environment(os.environ)

    def ran(outcome: Outcome, ago: timedelta, detail: str = "") -> None:
        at = now - ago
        app.ledger.source_runs.record(
            SourceRun(source="w", started_at=at, ended_at=at, outcome=outcome, detail=detail)
        )

    ran(Outcome.RESULTS, timedelta(minutes=30))
    (found,) = look("数据源")
    assert found.ok and "正常" in found.text and not found.remedy
    ran(Outcome.BLOCKED, timedelta(minutes=5), "登录墙 \x1b[2J")
    (found,) = look("数据源")
    assert found.ok and "被拦截" in found.text, "it saw half an hour ago"
    app.close()
    code, out = doctor()
    assert code == 1 and "登录墙" in out
    assert not [c for c in out if not c.isprintable() and c != "\n"]


def test_a_source_that_is_blind(
    home: Path, look: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_source(tmp_path, monkeypatch, "微博")
    app, at = App.from_environment(os.environ), datetime.now(UTC) - timedelta(hours=2)
    app.ledger.source_runs.record(SourceRun(source="w", started_at=at, ended_at=at, outcome=Outcome.RESULTS))
    app.close()
    (text,) = bad(look("数据源"))
    assert "失明" in text and "yujing crawl w" in text


def test_an_installation_without_the_training_libraries_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def left_out(name: str) -> str:
        if name in gone:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", left_out)
    gone = {"torch", "onnx"}
    found = {each.subject: each for each in program()}
    assert all(each.ok for each in found.values())
    assert "onnx、torch" in found["训练"].text and "training" in found["训练"].remedy
    gone = {"torch", "jieba"}
    assert ["没有安装 jieba" in text for text in bad(list(program()))] == [True]


def test_a_mail_server_that_is_none(
    home: Path, look: Callable[..., list[Finding]], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUJING_SMTP_URL", f"smtp://127.0.0.1:{redis_server.port}")
    (text,) = bad(look("发信"))
    assert "YUJING_SMTP_URL" in text


def test_a_test_mail_to_everybody_in_the_routes(home: Path, mailbox: Mailbox) -> None:
    code, out = doctor("--json", "--mail")
    told = {
        each["subject"]: each for each in lines(out).values() if str(each["subject"]).startswith("测试邮件")
    }
    assert code == 0, out
    people = ("pr-duty", "crisis-committee", "security", "ops")
    assert set(told) == {f"测试邮件·{name}@example.com" for name in people}
    assert "公关值班" in str(told["测试邮件·pr-duty@example.com"]["text"])
    assert len(mailbox.mails) == 4


def test_whoever_cannot_be_mailed_is_named(home: Path) -> None:
    def send(*_: object, **__: object) -> None:
        raise error

    smtp, routes = Smtp(), load(shipped()).routes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.trial_mail.send", send)
        error: Exception = DeliveryError("SMTP mail 不接受 x：550 no such user")
        refused = list(to_everybody(routes, smtp, now=datetime.now(UTC)))
        error = ChannelDown("SMTP mail 连不上")
        down = list(to_everybody(routes, smtp, now=datetime.now(UTC)))
    assert len(bad(refused)) == 4 and "routes.yaml" in bad(refused)[0]
    assert len(bad(down)) == 1 and "其余收件人没有再试" in bad(down)[0]


@pytest.mark.parametrize(
    ("now", "ok"), [(datetime(2026, 11, 22, tzinfo=UTC), True), (datetime(1970, 1, 2, tzinfo=UTC), False)]
)
def test_a_clock_that_was_never_set(now: datetime, ok: bool) -> None:
    assert all(each.ok for each in clock(now)) is ok
