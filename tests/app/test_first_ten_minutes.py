"""The first ten minutes of a real user: init, import, up, and a mail about their own brand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.sandbox.mailbox import Mailbox
from app.sandbox.rows import Row
from app.sandbox.scenario import build
from app.sandbox.sites import Directory
from app.sandbox.web import Web

BRAND = "海棠金服"
COMPLAINTS = (
    "{}提现四天了还不到账，客服只会让等",
    "在{}的钱取不出来，打电话没人接，急用钱",
    "{}限制提现了，说是系统升级，谁信啊",
    "{}到期三天不兑付，我的血汗钱",
    "有人在{}提现成功吗，我这边一直处理中，投诉也没用",
    "{}又逾期了，群里都在说兑付不了，准备报警",
    "朋友圈都在传{}提不出钱，我试了真的提不出来",
    "{}客服失联，提现申请被驳回三次",
)


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    with Mailbox(tmp_path / "mail") as box:
        yield box


@pytest.fixture
def web() -> Iterator[Web]:
    rows = [
        Row(text=f"{BRAND}的界面改版了，第{n}次打开觉得还行", brand=BRAND, platform="weibo")
        for n in range(30)
    ]
    now = datetime.now(UTC)
    scenario = build(brand=BRAND, event=rows[:1], calm=rows, ends=now, names={BRAND: (BRAND,)})
    with Web(scenario, Directory(codes={BRAND: "own"}), lambda: datetime.now(UTC)) as served:
        yield served


class Home:
    """A user's machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("YUJING_")},
            "YUJING_HOME": str(folder),
        }

    def yujing(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            capture_output=True,
            text=True,
            timeout=180,
            env=self.environment,
            stdin=subprocess.DEVNULL,
        )

    def up(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "app", "up"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )

    def status(self) -> dict[str, object]:
        return json.loads(self.yujing("status", "--json").stdout)  # type: ignore[no-any-return]


def until(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.5)


def history(path: Path) -> None:
    """Two weeks of quiet talk, and an hour of a withdrawal crisis that is going on."""
    now = datetime.now(UTC)
    lines = [
        {
            "id": f"calm-{n}",
            "text": f"{BRAND}的利息第{n}次到账，活动页面也清楚，先用着看看",
            "published_at": (now - timedelta(hours=3 * n + 3)).isoformat(),
        }
        for n in range(110)
    ]
    lines += [
        {
            "id": f"crisis-{n}",
            "text": COMPLAINTS[n % len(COMPLAINTS)].format(BRAND) + f"，都第{n}天了",
            "author": f"用户{n}",
            "published_at": (now - timedelta(minutes=8 + 2 * (n % 24))).isoformat(),
        }
        for n in range(32)
    ]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


@pytest.mark.slow
def test_from_init_to_the_first_mail_about_the_own_brand(tmp_path: Path, mailbox: Mailbox, web: Web) -> None:
    home = Home(tmp_path / "home")
    done = home.yujing(
        *("init", "--name", BRAND, "--alias", "海棠", "--competitor", "北屿银行", "--to", "pr@example.test"),
        *("--smtp", mailbox.url, "--source", f"weibo@{web.urls['weibo']}"),
    )
    assert done.returncode == 0, done.stderr
    until(lambda: mailbox.mails, "the test mail")
    assert home.yujing("check").returncode == 0

    history(tmp_path / "history.jsonl")
    imported = home.yujing("import", str(tmp_path / "history.jsonl"))
    assert json.loads(imported.stdout.splitlines()[-1])["imported"] == 142, imported.stderr
    assert home.yujing("work", "--once").returncode == 0

    service = home.up()
    try:
        until(lambda: len(mailbox.mails) >= 2, "the alert mail")
        until(lambda: home.status()["sources"][0]["outcome"] == "results", "the crawl")  # type: ignore[index]
    finally:
        service.send_signal(signal.SIGTERM)
        output, _ = service.communicate(timeout=60)
    assert service.returncode == 0, output
    assert "全部部件已停止" in output

    alert = mailbox.mails[1].with_suffix(".html").read_text(encoding="utf-8")
    assert BRAND in alert and "提现" in alert
    incidents = home.yujing("incident", "list", "--json").stdout
    assert json.loads(incidents.splitlines()[0])["topic"] == "withdrawal_difficulty"


def test_init_says_what_is_missing(tmp_path: Path) -> None:
    done = Home(tmp_path).yujing("init", "--name", BRAND)
    assert (done.returncode, done.stderr) == (2, "yujing: 缺少 --to\n")


def test_init_keeps_what_it_wrote_when_the_mail_server_is_down(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    done = home.yujing("init", "--name", BRAND, "--to", "pr@example.test", "--smtp", "smtp://127.0.0.1:9")
    assert done.returncode == 1
    assert "配置已写好，但测试邮件没有发出" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(home.folder / "settings.env") in done.stderr, "where to put it right"
    assert home.yujing("check").returncode == 0
    assert home.yujing("deliver", "--once").returncode == 0, "nothing waits: a dead server is no failure"
