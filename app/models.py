"""Which model is in use: the one that ships, one that was trained here, or the one that the environment names.

``YUJING_HOME/models/`` holds one folder a model, ``NAME@VERSION``, and the file ``current``: the models that were
in use, one a line, the newest last. Replacing that file by a rename is the switch; taking its last line off is the
way back. ``shipped`` stands for the weights of the package, whichever they are.

The lock beside it is held together by all who judge, count or alert, and by itself by the one who switches: nobody
ever sees posts of one model beside a baseline of another (docs/decisions/026).
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from app.whole_files import sync, write_whole
from config.environment import home_of
from domain.errors import ConfigError, ModelError
from nlp.bundle import named, open_bundle, shipped

SHIPPED = "shipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """A switch that was decided and may have been interrupted."""

    lines: tuple[str, ...]
    """What ``current`` is to hold."""
    staged: str
    """Name of the file of judgements that are to be put first."""
    before: str
    """The model in use until then."""
    by: str
    """Who asked for it."""


class Models:
    """The models of a home. ``given``: the directory that the environment names; it goes before all others."""

    def __init__(self, home: Path, *, given: Path | None = None) -> None:
        self._folder = home / "models"
        self.given = given

    @property
    def folder(self) -> Path:
        """Where they lie; perhaps not made yet."""
        return self._folder

    def lines(self) -> tuple[str, ...]:
        """The models that were switched in, oldest first; the last is in use. Raises ``ModelError``."""
        path = self._folder / "current"
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return (SHIPPED,)
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"读不了 {path}：{error}") from error
        lines = tuple(line for line in text.splitlines() if line)
        if not _names(lines):
            raise ModelError(f"{path} 的内容不对：应是一行一个模型名，最后一行是在用的")
        return lines

    def in_use(self) -> Path:
        """The directory of the model in use. Raises ``ModelError`` when it is gone."""
        return self.given or self.directory(self.lines()[-1])

    def directory(self, name: str) -> Path:
        """The directory of a model of ``lines``. Raises ``ModelError`` when it is gone."""
        if name == SHIPPED:
            return shipped()
        path = self._folder / name
        if not path.is_dir():
            raise ModelError(f"模型目录 {path} 不见了：恢复它，或运行 yujing train --rollback 退回上一个模型")
        return path

    def install(self, made: Path) -> str:
        """Move a finished model directory among the others; it is not in use yet. Returns ``NAME@VERSION``.

        The same model that is there already stays, unless it was damaged: then this one takes its place.
        """
        name = named(made)
        place, damaged = self._folder / name, self._folder / f".{name}.damaged"
        if _is_whole(place):
            shutil.rmtree(made)
        else:
            for path in (*made.iterdir(), made):
                sync(path)
            shutil.rmtree(damaged, ignore_errors=True)
            if place.exists():
                place.rename(damaged)
            made.rename(place)
            sync(self._folder)
        shutil.rmtree(damaged, ignore_errors=True)
        return name

    def switch(self, lines: tuple[str, ...]) -> None:
        """Make the last of these the model in use: all or nothing."""
        write_whole(self._folder / "current", "".join(f"{line}\n" for line in lines))

    # ------------------------------------------------------------------- who may look, who may switch

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Nobody switches meanwhile."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody judges, counts or alerts meanwhile; waits until all others are done."""
        with self._locked(fcntl.LOCK_EX):
            yield

    @contextmanager
    def training(self) -> Iterator[None]:
        """One training at a time. Raises ``ModelError`` when another one runs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "train.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ModelError("另一个 yujing train 正在进行；等它结束再来") from None
            yield

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Whoever waits holds the turn: busy workers that look in overlapping turns would keep a switch out."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            with (self._folder / "turn.lock").open("w") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)
                fcntl.flock(lock, how)
            yield

    # ---------------------------------------------------------------------------- a decided switch

    def pending(self) -> Pending | None:
        """The switch that was decided and not finished. Raises ``ModelError``."""
        path = self._folder / "switching"
        try:
            read = json.loads(path.read_text("utf-8"))
            names = {name: str(read[name]) for name in ("staged", "before", "by")}
            pending = Pending(lines=tuple(map(str, read["lines"])), **names)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"读不了 {path}：{error}") from error
        if not _names((*pending.lines, pending.staged)) or not pending.lines:
            raise ModelError(f"{path} 的内容不对")
        return pending

    def decide(self, pending: Pending) -> None:
        """From here on the switch is finished by whoever comes next."""
        write_whole(self._folder / "switching", json.dumps(asdict(pending), ensure_ascii=False))

    def settled(self) -> None:
        """The decided switch is done."""
        (self._folder / "switching").unlink(missing_ok=True)


def _is_whole(directory: Path) -> bool:
    try:
        open_bundle(directory)
    except ModelError:
        return False
    return True


def _names(lines: Sequence[str]) -> bool:
    """At least one, and each the name of something in the folder: no way out of it."""
    return bool(lines) and not any(not line or "/" in line or line.startswith(".") for line in lines)


def chosen(given: Path | None, variables: Mapping[str, str]) -> Path:
    """The model directory for commands that open no store. Raises ``ModelError``."""
    try:
        home = home_of(variables)
    except ConfigError:  # without a home nothing can have been installed in it
        return given or shipped()
    return Models(home, given=given).in_use()
