"""The command line: names, lazy loading, and how failures end.

Exit codes: 0 done, 1 failed, 2 wrong use. An expected failure is one line on stderr, never a traceback.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from domain.errors import UsageError, YujingError

COMMANDS: dict[str, str] = {
    "demo": "demo",
    "init": "init",
    "up": "up",
    "check": "check",
    "crawl": "crawl",
    "import": "import_",
    "work": "work",
    "dead": "dead",
    "watch": "watch",
    "deliver": "deliver",
    "analyze": "analyze",
    "extract": "extract",
    "detect": "detect",
    "backtest": "backtest",
    "label": "label",
    "train": "train",
    "evaluate": "evaluate",
    "status": "status",
    "doctor": "doctor",
    "migrate": "migrate",
    "search": "search",
    "erase": "erase",
    "incident": "incident",
    "plan": "plan",
    "silence": "silence",
    "kibana": "kibana",
}
"""Command name → module in ``app.commands`` that holds a function ``command``, or a typer app ``commands``."""

PATIENCE_S = 3.0
"""How long a person who asks waits for an engine that does not answer: for a moment's trouble, no longer."""
TRAINING = {"torch", "transformers", "onnx", "onnxscript"}
"""Libraries that the service's container image leaves out (``deploy/compose/training-only.txt``)."""


class LazyGroup(TyperGroup):
    """Imports a command's module when it is called, so that ``analyze`` does not wait for Scrapy."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the way of a post."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None (then the caller says that there is none and suggests a near miss)."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"app.commands.{COMMANDS[cmd_name]}")
        group: typer.Typer | None = getattr(module, "commands", None)
        command: Any
        if group is not None:
            command = typer.main.get_group(group)
        else:
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(cmd_name, epilog=getattr(module, "EXAMPLE", None))(module.command)
            command = typer.main.get_command(single)
        command.name = cmd_name
        return command


cli = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Yujing 舆警：互联网金融平台的舆情预警与危机处置。",
)


@cli.callback()
def root(ctx: typer.Context) -> None:
    """Hand every command the factory of the wired application; nothing is opened until it is called."""
    from app.wire import App

    def factory(*, patience_s: float | None = None) -> App:
        app = App.from_environment(os.environ, patience_s=patience_s)
        ctx.call_on_close(app.close)
        return app

    ctx.obj = factory


def main() -> None:
    """Run the command line and exit."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    code = run(lambda: typer.main.get_command(cli).main(prog_name="yujing", standalone_mode=False))
    for stream in (sys.stdout, sys.stderr):
        # What is still held and cannot be written was told already; at exit it would be a traceback.
        if not _flushed(stream):
            _silence(stream)
    sys.exit(code)


def _open_streams() -> None:
    """Stand-ins for streams that were closed before us (``>&-``), on their own descriptors.

    Otherwise a database would be opened as descriptor 1, where whatever a library prints goes.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the end


def run(call: Callable[[], Any]) -> int:
    """Exit code of a call; says expected failures in one line on stderr."""
    try:
        code = call()
        sys.stdout.flush()
    except UsageError as error:
        return _say(str(error), 2)
    except YujingError as error:
        return _say(str(error), 1)
    except KeyboardInterrupt:
        return _say("已中断", 130)
    except BrokenPipeError:  # the reader of our stdout went away (``| head``)
        return 1
    except ModuleNotFoundError as error:
        if error.name not in TRAINING:
            raise
        return _say(f"这个安装没有 {error.name}：训练要用完整的安装，容器里用 training 镜像", 1)
    except OSError as error:
        where = error.filename or ("" if _flushed(sys.stdout) else "标准输出")
        return _say(f"{where}: {error.strerror or error}".lstrip(": "), 1)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without its command: its help, as it is
            with suppress(OSError):
                print(error, file=sys.stderr)
            return 2
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # click's own, vendored or not
            return _say(error.format_message(), int(error.exit_code))
        if type(error).__name__ == "Abort":
            return _say("已取消", 1)
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            return _say("已中断", 130)  # onnxruntime turns one that meets its loading into an ImportError
        raise
    return code if isinstance(code, int) else 0


def _say(message: str, code: int) -> int:
    line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    if line:
        with suppress(OSError):
            print(f"yujing: {line}", file=sys.stderr)
    return code


def _flushed(stream: TextIO) -> bool:
    """Whether everything printed so far could be written."""
    try:
        stream.flush()
    except OSError:
        return False
    return True


def _silence(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
