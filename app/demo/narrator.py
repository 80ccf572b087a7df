"""Says what happens as it happens: in colour on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import sys
from datetime import datetime
from types import TracebackType
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from app.printing import plain
from domain.alert import Level
from domain.local_time import SHANGHAI

_COLOURS = {Level.BLUE: "blue", Level.YELLOW: "yellow", Level.ORANGE: "dark_orange", Level.RED: "red"}


class Narrator:
    """Prints lines; texts from outside lose their control characters here."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._console = Console(file=stream or sys.stdout, soft_wrap=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Narrator:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stage(self, words: str) -> None:
        """A new part of the run begins."""
        self._print(Text(f"▶ {plain(words)}", style="bold cyan"))

    def say(self, words: str) -> None:
        """Something happened."""
        self._print(Text(f"  {plain(words)}"))

    def event(self, at: datetime, words: str, level: Level = Level.NONE) -> None:
        """Something happened at a time of the scenario."""
        style = f"bold {_COLOURS[level]}" if level in _COLOURS else ""
        self._print(Text(f"  {at.astimezone(SHANGHAI):%m-%d %H:%M} ").append(plain(words), style=style))

    def warn(self, words: str) -> None:
        """Something is not as it should be."""
        self._print(Text(f"  ! {plain(words)}", style="yellow"))

    def advance(self, words: str, done: float, total: float, note: str = "") -> None:
        """How far the present part has come; shown on a terminal only."""
        if self._task is None:
            self._task = self._progress.add_task(words, total=total, note=note)
        self._progress.update(self._task, description=words, completed=done, total=total, note=note)

    def done(self) -> None:
        """The present part has ended."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def _print(self, text: Text) -> None:
        self._console.print(text)
        self._console.file.flush()
