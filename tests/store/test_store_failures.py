"""What the embedded stores do when the disk, the file or the address is wrong."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import store.embedded
from domain.errors import ConfigError, StoreError
from store.inbox import open_inbox
from store.ledger import open_ledger
from store.posts import open_posts

OPENERS: dict[str, Callable[[str], object]] = {
    "inbox": open_inbox,
    "posts": lambda url: open_posts(url, segment=str.split),
    "ledger": open_ledger,
}


@pytest.fixture(params=list(OPENERS))
def opener(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    return lambda path: OPENERS[request.param](f"sqlite:///{path}")


def refused(opener: Callable[[Path], object], path: Path) -> StoreError:
    with pytest.raises(StoreError) as caught:
        opener(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return caught.value


@pytest.mark.parametrize("kind", list(OPENERS))
@pytest.mark.parametrize(
    "url",
    [
        "mongodb://:secret@host/0",
        "mysql://u:secret@host/db",
        "secret",
        "",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
    ],
)
def test_an_unsupported_address_is_a_config_error(kind: str, url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///") as caught:
        OPENERS[kind](url)
    assert "secret" not in str(caught.value)


def test_a_folder_is_made_and_strange_names_are_fine(opener, tmp_path: Path) -> None:
    path = tmp_path / "a b%20?#" / "文件.db"
    opener(path).close()
    assert path.is_file()
    opener(path).close()


def test_a_directory_in_place_of_the_file(opener, tmp_path: Path) -> None:
    assert refused(opener, tmp_path).permanent


def test_a_file_in_place_of_the_folder(opener, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert refused(opener, tmp_path / "file" / "x.db").permanent


def test_a_file_of_something_else_is_not_touched(opener, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("亲爱的" * 1000)
    assert refused(opener, path).permanent
    assert path.read_text() == "亲爱的" * 1000


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody needs root")
@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_without_permission(opener, exists: bool) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        if exists:
            opener(folder / "x.db").close()
        folder.chmod(0o555)
        os.seteuid(65534)
        try:
            assert refused(opener, folder / "x.db").permanent
        finally:
            os.seteuid(0)
    finally:
        shutil.rmtree(folder)


def test_a_truncated_file(opener, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    opener(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 - 100])
    assert refused(opener, path).permanent


def test_an_emptied_file_beside_its_log_is_not_taken_for_new(opener, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    opener(path).close()
    path.write_bytes(b"")
    log = path.with_name("x.db-wal")
    log.write_bytes(b"what was acknowledged")
    assert refused(opener, path).permanent
    assert log.read_bytes() == b"what was acknowledged"


@pytest.mark.parametrize("kind", list(OPENERS))
def test_a_schema_of_a_newer_version(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    OPENERS[kind](f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    newer = {"ledger": "UPDATE alembic_version SET version_num = '9999'"}
    connection.execute(newer.get(kind, "PRAGMA user_version = 99"))
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="升级"):
        OPENERS[kind](f"sqlite:///{path}")


def test_flipped_bytes_are_noticed_and_the_rest_is_read(tmp_path: Path, post, judged, now) -> None:
    path = tmp_path / "posts.db"
    posts = OPENERS["posts"](f"sqlite:///{path}")
    posts.put([judged(post(str(n), "词 " * 200)) for n in range(300)])
    posts.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 3 * 4096] = bytes(255 - byte for byte in content[middle : middle + 3 * 4096])
    path.write_bytes(content)
    posts = OPENERS["posts"](f"sqlite:///{path}")
    found, errors = 0, []
    for n in range(300):
        try:
            found += posts.get(post(str(n)).id) is not None
        except StoreError as error:
            errors.append(error)
    posts.close()
    assert errors
    assert found > 200
    assert all("损坏" in str(error) and str(path) in str(error) and error.permanent for error in errors)


def test_a_damaged_ledger_is_found_out(tmp_path: Path, notification) -> None:
    path = tmp_path / "ledger.db"
    ledger = open_ledger(f"sqlite:///{path}")
    ledger.outbox.enqueue([notification(str(n), body=b"x" * 3000) for n in range(99)])
    ledger.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4 * 4096] = bytes(255 - byte for byte in content[middle : middle + 4 * 4096])
    path.write_bytes(content)
    ledger = open_ledger(f"sqlite:///{path}")
    found = {finding.subject: finding for finding in ledger.examine()}
    assert not found["台账文件"].ok
    assert "损坏" in found["台账文件"].text
    assert found["台账格式"].ok
    ledger.close()


def test_a_full_database_refuses_and_keeps_what_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, post, judged, notification, now
) -> None:
    monkeypatch.setattr(store.embedded, "PRAGMAS", (*store.embedded.PRAGMAS, "PRAGMA max_page_count=200"))
    inbox, posts, ledger = (opener(f"sqlite:///{tmp_path}/{name}.db") for name, opener in OPENERS.items())
    text = "提现 " * 2000

    def until_full(put: Callable[[int], object]) -> int:
        for n in range(1000):
            try:
                put(n)
            except StoreError as error:
                assert "磁盘已满" in str(error)
                assert not error.permanent
                return n
        raise AssertionError("never full")

    waiting = until_full(lambda n: inbox.put([post(str(n), text)], now=now))
    stored = until_full(lambda n: posts.put([judged(post(str(n), text + str(n)))]))
    queued = until_full(lambda n: ledger.outbox.enqueue([notification(str(n), body=text.encode())]))
    assert inbox.depth(now=now).waiting == waiting > 0
    assert posts.size() == stored > 0
    assert len(ledger.outbox.find(limit=1000)) == queued > 0
    # Leasing writes too: the inbox goes on when there is room again, with all that it took.
    inbox.close()
    monkeypatch.setattr(store.embedded, "PRAGMAS", (*store.embedded.PRAGMAS, "PRAGMA max_page_count=400"))
    inbox = OPENERS["inbox"](f"sqlite:///{tmp_path}/inbox.db")
    leased = inbox.lease(1000, now=now, lease=timedelta(minutes=1))
    assert len(leased) == waiting
    assert inbox.acknowledge([each.token for each in leased]) == waiting
    # Deleting makes room, and the same connection goes on.
    assert posts.forget(before=now + timedelta(hours=1)) == stored
    posts.put([judged(post("new", text))])
    for each in (inbox, posts, ledger):
        each.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", folder], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_loses_nothing(
    opener, small_disk: Path, tmp_path: Path, post, judged, notification, now
) -> None:
    opened = opener(small_disk / "x.db")
    text = "提现 " * 2000

    def put(n: int) -> None:
        if hasattr(opened, "lease"):
            opened.put([post(str(n), text)], now=now)
        elif hasattr(opened, "outbox"):
            opened.outbox.enqueue([notification(str(n), body=text.encode())])
        else:
            opened.put([judged(post(str(n), text + str(n)))])

    def count() -> int:
        if hasattr(opened, "lease"):
            return opened.depth(now=now).waiting
        return len(opened.outbox.find(limit=9999)) if hasattr(opened, "outbox") else opened.size()

    with pytest.raises(StoreError, match="磁盘已满") as caught:
        for n in range(1000):
            put(n)
            taken = n + 1
    assert str(small_disk / "x.db") in str(caught.value)
    assert not caught.value.permanent
    assert count() == taken
    opened.close()
    # The same file on a larger disk goes on where it stopped.
    shutil.copytree(small_disk, tmp_path / "larger")
    opened = opener(tmp_path / "larger" / "x.db")
    assert count() == taken
    put(taken)
    assert count() == taken + 1
    opened.close()


def test_a_short_disk_is_not_promised_room_by_deleting_posts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.embedded, "SCARCE_SPACE", 1 << 62)
    opened = open_posts(f"sqlite:///{tmp_path}/x.db", segment=str.split)
    (room,) = [each for each in opened.examine() if not each.ok]
    opened.close()
    assert "腾出空间" in room.remedy and "只让文件不再变大" in room.remedy


def test_a_busy_file_is_a_transient_error(opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.embedded, "BUSY_S", 0.05)
    monkeypatch.setattr("store.ledger.engine.BUSY_S", 0.05)
    path = tmp_path / "x.db"
    other = store.embedded.connect(path)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert not refused(opener, path).permanent
    finally:
        other.close()


def test_a_closed_store_says_so(tmp_path: Path, now) -> None:
    inbox = open_inbox(f"sqlite:///{tmp_path}/x.db")
    inbox.close()
    inbox.close()
    with pytest.raises(StoreError, match="关闭"):
        inbox.depth(now=now)
