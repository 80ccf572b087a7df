"""One that leads or waits, as a process: ``leading.py ADDRESS FOLDER NAME PLACE SECONDS``.

Its jobs append ``JOB NAME`` to ``FOLDER/runs``; what it says goes to ``FOLDER/NAME.said``. ``long`` never ends in
a process called ``a``. PLACE ``-``: its own.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from app.stopping import Stop
from monitor.leader import Leader
from monitor.scheduler import Job, Scheduler
from store.ledger import open_ledger


def main(address: str, folder: str, name: str, place: str, seconds: str) -> None:
    ledger = open_ledger(address)

    def append(path: str, line: str) -> None:
        with (Path(folder) / path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def long() -> None:
        append("runs", f"long {name}")
        while name == "a":
            time.sleep(1)

    jobs = [
        Job(name="hourly", run=lambda: append("runs", f"hourly {name}"), every_s=3600),
        Job(name="long", run=long, every_s=3600),
        Job(name="often", run=lambda: append("runs", f"often {name}"), every_s=0.3),
    ]
    Leader(
        ledger.leases,
        say=lambda line: append(f"{name}.said", line),
        place=None if place == "-" else place,
        seconds=float(seconds),
    ).lead(
        lambda may_run: Scheduler(jobs, states=ledger.states, may_run=may_run), wait=Stop.on_signals().wait
    )
    ledger.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
