"""What the ledger's database finds out about itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Table, func, inspect, select, text

from domain.errors import StoreError
from store.findings import Finding
from store.ledger.engine import Handle
from store.ledger.migrate import HEAD, revision
from store.ledger.tables import metadata

CLOCK_S = 5.0
"""Seconds by which the server's clock may differ from ours."""
ROOM = 1 << 30
"""Bytes free on the disk below which a person should know."""
_MB = 1 << 20
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")

Check = Callable[[Connection], Iterable[Finding]]


def examine(handle: Handle) -> list[Finding]:
    """Look at the database; what cannot be looked at is a finding too."""
    checks = _SQLITE if handle.dialect == "sqlite" else _POSTGRESQL
    found: list[Finding] = []
    for subject, check in checks:
        try:
            with handle.read() as connection:
                found += check(connection)
        except StoreError as error:
            found.append(Finding(subject=subject, ok=False, text=str(error)))
    return found if handle.dialect != "sqlite" else [*found, _room(Path(handle.where))]


def mend(handle: Handle) -> list[Finding]:
    """Put numbering that lags behind its table (after a restore by hand) where it belongs."""
    if handle.dialect == "sqlite":
        return []
    try:
        with handle.write() as connection:
            for table in numbered():
                # A number that another transaction was just given must not be given again.
                connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))
            behind = [table for table in numbered() if _behind(connection, table)]
            for table in behind:
                renumber(connection, table)
    except StoreError as error:
        return [Finding(subject="台账编号", ok=False, text=str(error))]
    return [Finding(subject="台账编号", ok=True, text=f"{table.name} 的编号已校正") for table in behind]


def numbered() -> list[Table]:
    """The tables whose rows the database numbers."""
    return [table for table in metadata.sorted_tables if "n" in table.c]


def renumber(connection: Connection, table: Table) -> None:
    """Let the next row's number follow the greatest one there is (SQLite does so by itself)."""
    if connection.dialect.name == "postgresql":
        last = connection.execute(select(func.max(table.c.n))).scalar()
        connection.execute(
            text("SELECT setval(pg_get_serial_sequence(:name, 'n'), :last, :used)"),
            {"name": table.name, "last": last or 1, "used": last is not None},
        )


def _behind(connection: Connection, table: Table) -> bool:
    given = connection.execute(
        text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:name, 'n')::regclass)"),
        {"name": table.name},
    ).scalar_one()
    last = connection.execute(select(func.max(table.c.n))).scalar()
    return int(last or 0) > int(given or 0)


def _file(connection: Connection) -> Iterator[Finding]:
    rows = connection.exec_driver_sql("PRAGMA quick_check(3)").scalars().all()
    whole = rows == ["ok"]
    yield Finding(
        subject="台账文件",
        ok=whole,
        text="SQLite 完整性检查通过" if whole else f"SQLite 文件已损坏：{'；'.join(map(str, rows))[:200]}",
        remedy="" if whole else "停下服务并另存一份，再从备份恢复，或用 sqlite3 的 .recover 抢救",
    )


def _sqlite_size(connection: Connection) -> Iterator[Finding]:
    pages, size, version = (
        connection.exec_driver_sql(question).scalar_one()
        for question in ("PRAGMA page_count", "PRAGMA page_size", "SELECT sqlite_version()")
    )
    yield Finding(subject="台账大小", ok=True, text=f"{pages * size / _MB:.1f} MB，SQLite {version}")


def _room(path: Path) -> Finding:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        return Finding(subject="台账磁盘", ok=False, text=f"{path.parent} 看不了：{error.strerror}")
    enough = free >= ROOM
    return Finding(
        subject="台账磁盘",
        ok=enough,
        text=f"{path.parent} 还有 {free / _MB:.0f} MB",
        remedy="" if enough else "腾出空间，或把 YUJING_HOME 移到更大的磁盘",
    )


def _schema(connection: Connection) -> Iterator[Finding]:
    at, inspector = revision(connection), inspect(connection)
    missing = [
        f"{table.name}.{column}"
        for table in metadata.sorted_tables
        for column in sorted(
            set(table.c.keys()) - {each["name"] for each in inspector.get_columns(table.name)}
            if inspector.has_table(table.name)
            else table.c.keys()
        )
    ]
    fine = at == HEAD and not missing
    words = f"格式 {at or '无'}（本版本 {HEAD}）" + (f"，缺 {'、'.join(missing)[:200]}" if missing else "")
    yield Finding(
        subject="台账格式", ok=fine, text=words, remedy="" if fine else "从备份恢复，或换上写它的那个版本"
    )


def _server(connection: Connection) -> Iterator[Finding]:
    version, name, user, size, standby, lax = connection.exec_driver_sql(
        "SELECT current_setting('server_version'), current_database(), current_user,"
        " pg_database_size(current_database()), pg_is_in_recovery(),"
        " current_setting('fsync') = 'off' OR current_setting('synchronous_commit') = 'off'"
    ).one()
    yield Finding(
        subject="台账服务器",
        ok=True,
        text=f"PostgreSQL {version.split()[0]}，库 {name}，角色 {user}，{size / _MB:.1f} MB",
    )
    if standby:
        yield Finding(subject="台账服务器", ok=False, text="这是备库，只能读", remedy="把地址改成主库")
    if lax:
        yield Finding(
            subject="台账落盘",
            ok=False,
            text="服务器关了 fsync 或 synchronous_commit：断电会丢失已确认的预警和事件",
            remedy="把两者都设回 on",
        )


def _clock(connection: Connection) -> Iterator[Finding]:
    before = datetime.now(UTC)
    theirs = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    after = datetime.now(UTC)
    apart = (theirs - before - (after - before) / 2).total_seconds()
    near = abs(apart) <= CLOCK_S
    yield Finding(
        subject="台账时钟",
        ok=near,
        text=f"服务器的时钟比本机{'快' if apart > 0 else '慢'} {abs(apart):.1f} 秒",
        remedy="" if near else "在两边启用时间同步（chrony 或 systemd-timesyncd）",
    )


def _connections(connection: Connection) -> Iterator[Finding]:
    used, most, encrypted, remote = connection.exec_driver_sql(
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
        " current_setting('max_connections')::int,"
        " (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()),"
        " NOT coalesce(inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1', true)"
    ).one()
    roomy = used < most * 0.8
    yield Finding(
        subject="台账连接",
        ok=roomy,
        text=f"{used}/{most} 个，{'已' if encrypted else '未'}加密",
        remedy="" if roomy else "调大 max_connections，或停掉不用的客户端",
    )
    if remote and not encrypted:
        yield Finding(
            subject="台账加密",
            ok=False,
            text="经网络连接，却没有加密",
            remedy="服务器设 ssl = on，这边设 YUJING_LEDGER_CA，或在地址后加 ?sslmode=require",
        )


def _rights(connection: Connection) -> Iterator[Finding]:
    tables = [*(table.name for table in metadata.sorted_tables), "alembic_version"]
    present = set(inspect(connection).get_table_names())
    lacking = [
        f"{right} {name}"
        for name in tables
        for right in (_RIGHTS if name != "alembic_version" else ("SELECT",))
        if name in present
        and not connection.execute(
            text("SELECT has_table_privilege(:name, :right)"), {"name": name, "right": right}
        ).scalar()
    ]
    lacking += [
        f"USAGE {table.name}_n_seq"
        for table in numbered()
        if table.name in present
        and not connection.execute(
            text("SELECT has_sequence_privilege(pg_get_serial_sequence(:name, 'n'), 'USAGE')"),
            {"name": table.name},
        ).scalar()
    ]
    mighty = connection.exec_driver_sql("SELECT current_setting('is_superuser') = 'on'").scalar()
    yield Finding(
        subject="台账权限",
        ok=not lacking,
        text=f"缺少 {'、'.join(lacking)[:200]}"
        if lacking
        else "读写权限齐全" + ("；角色是超级用户，普通角色就够" if mighty else ""),
        remedy="按 docs/operations.md 为这个角色授权" if lacking else "",
    )


def _numbers(connection: Connection) -> Iterator[Finding]:
    present = set(inspect(connection).get_table_names())
    behind = [table.name for table in numbered() if table.name in present and _behind(connection, table)]
    yield Finding(
        subject="台账编号",
        ok=not behind,
        text=f"{'、'.join(behind)} 的编号落后于已有的行" if behind else "编号接得上",
        remedy="运行 yujing doctor --fix" if behind else "",
        mendable=bool(behind),
    )


_SQLITE: tuple[tuple[str, Check], ...] = (
    ("台账文件", _file),
    ("台账大小", _sqlite_size),
    ("台账格式", _schema),
)
_POSTGRESQL: tuple[tuple[str, Check], ...] = (
    ("台账服务器", _server),
    ("台账格式", _schema),
    ("台账时钟", _clock),
    ("台账连接", _connections),
    ("台账权限", _rights),
    ("台账编号", _numbers),
)
