"""The folder of one run of the demo: claimed by one process, cleaned only of what a demo made."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from domain.errors import YujingError

MARK = "demo.json"
_MADE_BY = "yujing demo"


class Folder:
    """A folder that holds everything of one run and is kept after it.

    One that an earlier demo left, and in which nothing else lies, is emptied first. Entering raises
    ``YujingError`` for a folder with anything else in it, one in use by another demo, or one that cannot be
    written.
    """

    def __init__(self, path: Path | None) -> None:
        self._wanted = path
        self.path = Path()
        """Absolute; known once entered."""
        self._lock: IO[str] | None = None

    def __enter__(self) -> Folder:
        try:
            self.path = self._place()
            self._claim()
        except OSError as error:
            self._release()
            raise self._refused(error) from error
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._mark()
        except OSError as failed:
            raise self._refused(failed) from failed
        finally:
            self._release()

    def _place(self) -> Path:
        if self._wanted is None:
            return Path(tempfile.mkdtemp(prefix="yujing-demo-")).resolve()
        path = self._wanted.absolute()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def _claim(self) -> None:
        mark = self.path / MARK
        if not mark.exists() and any(self.path.iterdir()):
            raise YujingError(f"{self.path}：文件夹不是空的，也不是演练留下的；请换一个")
        self._lock = mark.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise YujingError(f"{self.path}：另一个演练正在使用这个文件夹") from None
        self._clean()
        self._write([])

    def _clean(self) -> None:
        """Remove what the last run noted as its own; anything else stops us before a single file is gone."""
        assert self._lock is not None
        self._lock.seek(0)
        made = _made(self._lock.read())
        present = {entry.name for entry in self.path.iterdir()} - {MARK}
        foreign = sorted(present - made)
        if foreign:
            raise YujingError(f"{self.path}：里面有不是演练留下的 {foreign[0]!r}；请换一个文件夹")
        for name in present:
            entry = self.path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _mark(self) -> None:
        self._write(sorted({entry.name for entry in self.path.iterdir()} - {MARK}))

    def _write(self, made: list[str]) -> None:
        assert self._lock is not None
        self._lock.seek(0)
        self._lock.truncate()
        json.dump({"made_by": _MADE_BY, "made": made}, self._lock, ensure_ascii=False)
        self._lock.flush()

    def _release(self) -> None:
        if self._lock is not None:
            with suppress(OSError):  # what a full disk refused before, closing would try again
                self._lock.close()
            self._lock = None

    def _refused(self, error: OSError) -> YujingError:
        return YujingError(f"{self._wanted or tempfile.gettempdir()}：{error.strerror or error}")


def _made(text: str) -> set[str]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        value = {}
    names = value.get("made") if isinstance(value, dict) and value.get("made_by") == _MADE_BY else None
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
