"""Crawls what a JSON file says and prints the outcomes: a process of its own, since a reactor starts only once.

Not a test; ``test_crawl.py`` runs it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

from config.settings import Source
from crawlers.run import crawl
from domain.errors import StoreError
from store.inbox import open_inbox
from store.ledger import open_ledger

warnings.simplefilter("error")


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    home = Path(spec["home"])
    inbox = open_inbox(f"sqlite:///{home}/inbox.sqlite3")
    ledger = open_ledger(f"sqlite:///{home}/ledger.sqlite3")
    now = datetime.fromisoformat(spec["now"]) if spec.get("now") else None
    try:
        runs = crawl(
            [Source.model_validate(source) for source in spec["sources"]],
            inbox=inbox,
            ledger=ledger,
            secret=b"k",
            now=lambda: now or datetime.now(UTC),
            rejects=home / "rejects",
            cookies=spec.get("cookies", {}),
            backoff_s=spec.get("backoff_s", 0.05),
        )
    except StoreError as error:
        print(json.dumps({"source": "", "error": str(error)}))
        runs = []
    finally:
        inbox.close()
        ledger.close()
    for run in runs:
        print(json.dumps(dataclasses.asdict(run), default=str))


main()
