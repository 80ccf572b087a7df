"""Two ``yujing watch`` over one ledger: ``status`` says who leads, and one follows the other."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from config.environment import shipped

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The shipped configuration, none of its sources enabled: nobody is asked for a page."""
    folder = tmp_path / "config"
    shutil.copytree(shipped(), folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    yaml, path = YAML(), folder / "sources.yaml"
    document = yaml.load(path.read_text("utf-8"))
    for source in document["sources"]:
        source["enabled"] = False
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return folder


class Hosts:
    """Two homes, one ledger."""

    def __init__(self, ledger: str, folder: Path, config: Path) -> None:
        self._folder = folder
        self._given = {"YUJING_LEDGER_URL": ledger, "YUJING_CONFIG": str(config)}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def _environment(self, host: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("YUJING_")}
        return {**kept, **self._given, "YUJING_HOME": str(self._folder / host)}

    def watch(self, host: str) -> None:
        with (self._folder / f"{host}.said").open("w") as said:
            self.running[host] = subprocess.Popen(
                [sys.executable, "-m", "app", "watch"], env=self._environment(host), stderr=said
            )

    def said(self, host: str) -> str:
        return (self._folder / f"{host}.said").read_text("utf-8")

    def leader(self) -> dict[str, str] | None:
        done = subprocess.run(
            [sys.executable, "-m", "app", "status", "--json"],
            env=self._environment("a"),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)["leader"]

    def until_led_by(self, host: str) -> dict[str, str]:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            found = self.leader()
            if found and found["holder"].endswith(f" {self.running[host].pid}"):
                return found
            assert self.running[host].poll() is None, self.said(host)
            time.sleep(0.5)
        raise AssertionError(f"{host} never led: {self.said(host)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def hosts(request: pytest.FixtureRequest, tmp_path: Path, config: Path) -> Iterator[Hosts]:
    ledger: Callable[[], str] = (
        (lambda: f"sqlite:///{tmp_path}/ledger.sqlite3")
        if request.param == "sqlite"
        else request.getfixturevalue("new_ledger_database")
    )
    made = Hosts(ledger(), tmp_path, config)
    yield made
    for process in made.running.values():
        process.kill()
        process.wait()


def test_one_leads_and_the_other_follows(hosts: Hosts) -> None:
    hosts.watch("a")
    first = hosts.until_led_by("a")
    hosts.watch("b")
    deadline = time.monotonic() + 240
    while "待命" not in hosts.said("b"):
        assert time.monotonic() < deadline, hosts.said("b")
        time.sleep(0.5)
    assert hosts.leader() == first
    hosts.running["a"].send_signal(signal.SIGKILL)
    hosts.running["a"].wait()
    second = hosts.until_led_by("b")
    assert second["since"] >= first["since"]
    assert "开始主持" in hosts.said("b")
    hosts.running["b"].send_signal(signal.SIGTERM)
    assert hosts.running["b"].wait(timeout=120) == 0
    assert hosts.leader() is None
