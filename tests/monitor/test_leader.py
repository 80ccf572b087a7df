"""Several schedulers, as processes: one runs the jobs, the others wait for it to end, to die or to fall silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.engines.postgresql import OWNER, PostgresqlServer
from monitor.leader import LEASE_S, LOOK_S, RENEW_S, gone, this_place
from monitor.scheduler import KIND
from store.ledger import open_ledger

ROOT = Path(__file__).parents[2]
FOREVER = 3600.0


class Crew:
    """Processes over one ledger, and what they did."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *, place: str = "-", seconds: float = LEASE_S) -> None:
        self._processes[name] = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("leading.py"), self.address, self._folder, name, place,
             str(seconds)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def tell(self, name: str, number: signal.Signals) -> None:
        self._processes[name].send_signal(number)

    def wait(self, name: str) -> int:
        return self._processes[name].wait(timeout=120)

    def _lines(self, file: str) -> list[str]:
        path = self._folder / file
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def runs(self) -> list[str]:
        return self._lines("runs")

    def said(self, name: str) -> str:
        return "\n".join(self._lines(f"{name}.said"))

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 150
        while not condition():
            assert time.monotonic() < deadline, (self.runs()[-9:], self.said("a"), self.said("b"))
            time.sleep(0.05)

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


@pytest.fixture(params=["sqlite", "postgresql"])
def crew(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crew]:
    address = (
        f"sqlite:///{tmp_path}/ledger.db"
        if request.param == "sqlite"
        else request.getfixturevalue("new_ledger_database")()
    )
    made = Crew(address, tmp_path)
    yield made
    made.end()


def test_a_leader_killed_on_another_host_is_followed_within_half_a_minute(crew: Crew) -> None:
    """Its hourly job, done and noted, does not run again; the one that it was in the middle of does."""
    assert LEASE_S + LOOK_S < 30
    crew.start("a", place="boot-a pid:[1] 7 7")
    crew.until(lambda: {"hourly a", "long a", "often a"} <= set(crew.runs()))
    ledger = open_ledger(crew.address)
    crew.until(lambda: "hourly" in ledger.states.load(KIND))
    ledger.close()
    crew.start("b", place="boot-b pid:[1] 7 7")
    crew.until(lambda: "待命" in crew.said("b"))
    crew.tell("a", signal.SIGKILL)
    crew.until(lambda: "often b" in crew.runs())
    counts = Counter(crew.runs())
    assert (counts["hourly a"], counts["hourly b"], counts["long a"], counts["long b"]) == (1, 0, 1, 1)
    assert "often a" not in crew.runs()[crew.runs().index("often b") :]


def test_a_leader_killed_on_this_host_is_followed_at_once(crew: Crew) -> None:
    crew.start("a", seconds=FOREVER)
    crew.until(lambda: "often a" in crew.runs())
    crew.tell("a", signal.SIGKILL)
    crew.wait("a")
    crew.start("b", seconds=FOREVER)
    crew.until(lambda: "often b" in crew.runs())


def test_a_leader_that_ends_hands_over_at_once(crew: Crew) -> None:
    crew.start("x", place="boot-x pid:[1] 7 7", seconds=FOREVER)
    crew.until(lambda: "often x" in crew.runs())
    crew.start("b", place="boot-b pid:[1] 7 7", seconds=FOREVER)
    crew.until(lambda: "待命" in crew.said("b"))
    crew.tell("x", signal.SIGTERM)
    assert crew.wait("x") == 0
    crew.until(lambda: "often b" in crew.runs())
    assert "often x" not in crew.runs()[crew.runs().index("often b") :]
    assert "hourly b" not in crew.runs()


def test_a_leader_that_slept_too_long_runs_nothing_any_more(crew: Crew) -> None:
    crew.start("x", place="boot-x pid:[1] 7 7", seconds=6)
    crew.until(lambda: "often x" in crew.runs())
    crew.start("b", place="boot-b pid:[1] 7 7", seconds=FOREVER)
    crew.until(lambda: "待命" in crew.said("b"))
    crew.tell("x", signal.SIGSTOP)
    crew.until(lambda: "often b" in crew.runs())
    crew.tell("x", signal.SIGCONT)
    crew.until(lambda: "待命" in crew.said("x"))
    assert "often x" not in crew.runs()[crew.runs().index("often b") :]


@pytest.mark.slow
def test_a_leader_without_its_database_stops_and_takes_up_again(
    own_server: Callable[[Callable[[], PostgresqlServer]], PostgresqlServer], tmp_path: Path
) -> None:
    server = own_server(lambda: PostgresqlServer(tmp_path / "postgresql"))
    crew = Crew(server.url().replace(f"{OWNER}@", f"{OWNER}:{server.password}@"), tmp_path)
    try:
        crew.start("x", seconds=6)
        ledger = open_ledger(crew.address)
        crew.until(lambda: {"hourly", "often"} <= set(ledger.states.load(KIND)))
        ledger.close()
        server.kill()
        crew.until(lambda: "续不上" in crew.said("x"))
        before = len(crew.runs())
        time.sleep(2)
        assert len(crew.runs()) == before
        server.start()
        crew.until(lambda: len(crew.runs()) > before)
        assert Counter(crew.runs())["hourly x"] == 1
    finally:
        crew.end()


def test_a_holder_renews_several_times_before_its_lease_ends() -> None:
    assert 3 * RENEW_S < LEASE_S


def test_only_a_process_of_this_machine_can_be_seen_to_be_gone() -> None:
    mine = this_place()
    boot, space, pid, birth = mine.split()
    assert not gone(mine)
    assert gone(f"{boot} {space} {pid} {int(birth) + 1}"), "the number was given to another process"
    assert not gone(f"other {space} {pid} 1")
    assert not gone(f"{boot} pid:[1] {pid} 1")
    assert not gone("")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert gone(f"{boot} {space} {process.pid} 1")
