"""``yujing migrate``: an installation moved to other engines without loss."""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.up import running
from app.printing import address, plain
from config.environment import secrets_given, target_of
from config.settings import Access
from domain.errors import InputError, StoreError, UsageError

if TYPE_CHECKING:
    from app.moving import Pass, Say
    from app.wire import App
    from store.ledger import Ledger
    from store.ledger.copying import Copied

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="搬家：把帖子库或台账复制到另一个引擎，可中断、可续传，逐条核对。目标的密码放在 YUJING_TO_PASSWORD。",
    epilog="例：yujing migrate posts --to elasticsearch://yujing@es.example:9200",
)
To = Annotated[str, typer.Option("--to", metavar="URL", help="目标的地址（不带密码）")]
VerifyOnly = Annotated[bool, typer.Option("--verify-only", help="只核对两边是否一致，什么也不写")]


@commands.command("posts", epilog="例：yujing migrate posts --to elasticsearch://yujing@es.example:9200")
def posts(ctx: typer.Context, to: To, verify_only: VerifyOnly = False) -> None:
    """复制帖子库；服务运行时也可以，停下服务后再运行一次就带走剩下的。"""
    from app.moving import Mover, Notebook
    from app.service import forget_old
    from store.posts import open_posts

    app: App = ctx.obj()
    url, access = _target(app.environment.posts_url, to)
    notebook = Notebook(
        app.home / "migrate", source=address(_absolute(app.environment.posts_url)), target=address(url)
    )
    with (
        _alone(app.home),
        closing(open_posts(url, access, segment=app.cut)) as target,
        _bars() as say,
    ):
        mover = Mover(app.posts, target, notebook, tidy=lambda: forget_old(app, target), say=say)
        if verify_only:
            written, last = 0, mover.verify()
        else:
            written, last = mover.copy()
    if verify_only:
        _tell_differences(last)
        return
    print(f"帖子：这次写了 {written} 条，目标 {address(url)}")
    if not last.same:
        print(
            f"服务还在写：最后一遍又有 {last.missing + last.different} 条不同。停下服务后再运行一次，就能核对到一致"
        )
    else:
        print(f"逐条核对一致：两边各 {last.posts} 条，摘要 {last.digests[0][:16]}")
    _tell_next("YUJING_POSTS", url, access, app.home, list(_until_complete(app, to)))


def _until_complete(app: App, to: str) -> Iterator[str]:
    """What is left to do before the target holds everything."""
    depth = app.inbox.depth(now=app.clock.now())
    waiting = depth.waiting + depth.leased
    if running(app.home):
        yield "停下服务（yujing up 的进程，SIGTERM）"
    if waiting:
        yield (
            f"收件箱不搬，里面还有 {waiting} 条：停下抓取，运行 yujing work --once 直到 yujing status 显示待处理 0"
        )
    if depth.dead:
        yield (
            f"死信也不搬，原收件箱里有 {depth.dead} 条（yujing dead 看原因）："
            "修好后运行 yujing dead --retry，再运行 yujing work --once"
        )
    if running(app.home) or waiting or depth.dead:
        yield f"再运行一次 yujing migrate posts --to {shlex.quote(to)}"


@commands.command(
    "ledger", epilog="例：yujing migrate ledger --to postgresql+psycopg://yujing@db.example:5432/yujing"
)
def ledger(ctx: typer.Context, to: To, verify_only: VerifyOnly = False) -> None:
    """复制台账；先停下所有 yujing 进程。"""
    from store.ledger import open_ledger
    from store.ledger.copying import compare

    app: App = ctx.obj()
    url, access = _target(app.environment.ledger_url, to)
    if running(app.home) and not verify_only:
        raise InputError("服务正在运行：先停下 yujing up 和其他 yujing 进程，台账不能边写边搬")
    with _alone(app.home), closing(open_ledger(url, access)) as target, _bars() as say:
        if verify_only:
            same, differing = compare(app.ledger, target, say=say)
        else:
            same, differing = _copied(app.ledger, target, say), []
    if differing:
        raise StoreError(f"两边不一致：{'、'.join(differing)}")
    for table in same:
        print(f"{table.table}：{table.rows} 行，摘要 {table.digest[:16]}")
    print(f"逐表核对一致：{len(same)} 张表，{sum(table.rows for table in same)} 行，目标 {address(url)}")
    if not verify_only:
        _tell_next("YUJING_LEDGER", url, access, app.home, ())


def _copied(source: Ledger, target: Ledger, say: Say) -> list[Copied]:
    """Copy, or find that it was copied before. Raises ``InputError``, ``StoreError``."""
    from store.ledger import SCHEDULER
    from store.ledger.copying import compare, copy

    try:
        return copy(source, target, say=say)
    except InputError:
        # A copy that is done leaves no mark: the target is refused for what it holds, unless that is the same.
        in_use = source.leases.get(SCHEDULER) or target.leases.get(SCHEDULER)
        same, differing = ([], [""]) if in_use else compare(source, target, say=say)
        if differing:
            raise
        return same


def _tell_differences(seen: Pass) -> None:
    """Raises ``StoreError`` when the stores differ."""
    ours, theirs = (each[:16] for each in seen.digests)
    if seen.same:
        print(f"逐条核对一致：两边各 {seen.posts} 条，摘要 {ours}")
        return
    raise StoreError(
        f"两边不一致：目标缺 {seen.missing} 条，不同 {seen.different} 条，多出 {seen.extra} 条"
        f"（例如 {'、'.join(seen.examples)}）；源 {seen.posts} 条，摘要 {ours}，目标摘要 {theirs}"
    )


# ------------------------------------------------------------------------------- what both need


def _target(source: str, to: str) -> tuple[str, Access]:
    """Address and access of the target. Raises ``ConfigError``, ``UsageError``."""
    url, access = target_of(os.environ, _absolute(to))
    if address(url) == address(_absolute(source)):
        raise UsageError("--to 就是正在用的那一个：给出另一个地址")
    return url, access


def _absolute(url: str) -> str:
    """A file's address as it is seen from any folder, by one name."""
    if not url.startswith("sqlite:///"):
        return url
    return f"sqlite:///{Path(url.removeprefix('sqlite:///')).resolve()}"


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One migration at a time. Raises ``StoreError`` when another one runs."""
    with (home / "migrate.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"另一个 yujing migrate 正在使用 {home}：等它结束再来") from None
        yield


@contextmanager
def _bars() -> Iterator[Say]:
    """A progress bar on a terminal; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task("", total=None)
        yield lambda what, done, total: shown.update(
            task, description=what, completed=done, total=max(total, done, 1)
        )


def _tell_next(prefix: str, url: str, access: Access, home: Path, before: Sequence[str]) -> None:
    """The settings that put the target to use, and the steps; ``before``: those until the copy is complete."""
    print(f"\n写进 {home / 'settings.env'}（或环境变量），密码不写在地址里：")
    print(f"  {prefix}_URL={shlex.quote(url)}")
    files = secrets_given(os.environ)
    for ending, secret in (("PASSWORD", access.password), ("API_KEY", access.api_key)):
        if secret.get_secret_value():
            path = files.get(f"YUJING_TO_{ending}") or "存放它的文件（只有运行账号能读）"
            print(f"  {prefix}_{ending}_FILE={shlex.quote(str(path))}")
    if access.ca:
        print(f"  {prefix}_CA={shlex.quote(str(access.ca))}")
    print("\n接着：")
    steps = [*before, "写好上面的设置", "运行 yujing doctor --fix", "启动服务（yujing up）"]
    for number, step in enumerate(steps, start=1):
        print(f"  {number}. {plain(step)}")
