"""``yujing analyze``: judge posts from a file or a pipe, without any store."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from domain.errors import InputError

if TYPE_CHECKING:
    from nlp.rows import Pipe

EXAMPLE = "例：yujing analyze posts.jsonl > judged.jsonl"


def command(
    file: Annotated[
        Path | None, typer.Argument(help="JSONL 文件；不给或给 - 则读标准输入", show_default=False)
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", envvar="YUJING_MODEL", help="别的模型目录；默认用在用的", show_default=False),
    ] = None,
) -> None:
    """逐行研判 JSONL（id、text、title、entities），结果逐行写到标准输出；坏行写出 error，继续往下。"""
    from app.models import chosen
    from nlp.rows import analyze_rows, dump, lines
    from nlp.runtime import Runtime
    from nlp.segment import Segmenter
    from nlp.terms import Terms

    with ExitStack() as stack:
        stream = _open(file, stack)
        runtime = Runtime.load(chosen(model, os.environ))
        out = sys.stdout.buffer
        counted = _counted(lines(stream), file, stack)
        for row in analyze_rows(counted, runtime=runtime, terms=Terms(Segmenter())):
            out.write(dump(row))
            out.flush()


def _open(file: Path | None, stack: ExitStack) -> BinaryIO | Pipe:
    if file is None or str(file) == "-":
        return _standard_input()
    if file.is_dir():
        raise InputError(f"{file} 是目录，不是文件")
    try:
        stream = stack.enter_context(file.open("rb"))
    except OSError as error:
        raise InputError(f"打不开 {file}：{os.strerror(error.errno or 0)}") from error
    return _piped(stream)


def _standard_input() -> BinaryIO | Pipe:
    try:
        sys.stdin.fileno()
    except OSError:  # a stand-in, in a test
        return sys.stdin.buffer
    return _piped(sys.stdin.buffer)


def _piped(stream: BinaryIO) -> BinaryIO | Pipe:
    """What somebody may still be writing to is answered line by line."""
    from nlp.rows import Pipe

    descriptor = stream.fileno()
    return stream if stat.S_ISREG(os.fstat(descriptor).st_mode) else Pipe(descriptor)


def _counted(lines: Iterator[bytes], file: Path | None, stack: ExitStack) -> Iterator[bytes]:
    """The lines, with a progress bar by bytes on a terminal when the size is known and the output goes elsewhere."""
    if file is None or str(file) == "-" or not sys.stderr.isatty() or sys.stdout.isatty():
        return lines
    from rich.console import Console
    from rich.progress import Progress

    progress = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
    task = progress.add_task("研判", total=file.stat().st_size or None)

    def moving() -> Iterator[bytes]:
        for line in lines:
            yield line
            progress.advance(task, len(line))

    return moving()
