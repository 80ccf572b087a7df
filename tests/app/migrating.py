"""What the migration's tests run in another process: ``migrating.py HOME SOURCE TARGET``, a line each step."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import app.moving
from app.moving import Mover, Notebook
from config.environment import secret_of
from config.settings import Access
from store.posts import open_posts


def main(home: str, source: str, target: str) -> None:
    """Copy in small steps."""
    app.moving.BATCH = 20
    notebook = Notebook(Path(home), source=source, target=target)
    access = Access(password=secret_of(os.environ, "YUJING_TO_PASSWORD"))
    ours, theirs = (open_posts(url, access, segment=str.split) for url in (source, target))

    def say(what: str, done: int, total: int) -> None:
        print(what, done, total, flush=True)

    written, last = Mover(ours, theirs, notebook, tidy=lambda: None, say=say).copy()
    print("done", written, last.posts, last.same, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
