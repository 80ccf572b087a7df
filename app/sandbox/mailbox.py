"""A mailbox on this machine: takes mail by SMTP and lays it down as files that can be opened."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from concurrent.futures import Future
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any

LOOPBACK = "127.0.0.1"
MAX_MESSAGE = 20 * 1024 * 1024
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_CID = re.compile(r"""(["'(])\s*cid:([^"')\s]+)\s*(["')])""", re.IGNORECASE)
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)

# A saved mail is hostile text: it may show its own images, and run or load nothing.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
)


class Mailbox:
    """Accepts every message sent to its port and writes it to a folder.

    Each message becomes ``NNN.eml`` as it came, and ``NNN.html`` with its images inside, to be opened in a
    browser. A file is there whole or not at all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        """Set once the mailbox is open."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where to send to, as in ``YUJING_SMTP_URL``."""
        return f"smtp://{LOOPBACK}:{self.port}"

    @property
    def mails(self) -> list[Path]:
        """The messages that came, oldest first."""
        return sorted(self.folder.glob("*.eml"))

    def __enter__(self) -> Mailbox:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        opened: Future[None] = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
        try:
            opened.result(timeout=30)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
        self._stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a message; called by the SMTP server."""
        number = len(self.mails) + 1
        content = envelope.original_content or b""
        try:
            _write(self.folder / f"{number:03d}.html", html_of(content).encode("utf-8", "replace"))
            _write(self.folder / f"{number:03d}.eml", content)
        except OSError as error:
            return f"451 mailbox cannot write: {error.strerror}"
        return "250 kept"

    async def _open(self) -> None:
        from aiosmtpd.smtp import SMTP

        # Port 0: the system picks a free one.
        self._server = await self._loop.create_server(
            lambda: SMTP(
                self, data_size_limit=MAX_MESSAGE, enable_SMTPUTF8=True, hostname="sandbox", loop=self._loop
            ),
            LOOPBACK,
            0,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()


def html_of(content: bytes) -> str:
    """The HTML of a message with its inline images as data; its text, escaped, when it has no HTML.

    Only images of common types get in, by their Content-ID; the page is told to load and run nothing.
    """
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    page = _part(message, "html")
    if page:
        page = _CID.sub(lambda match: _inline(match, _images(message)), page)
    else:
        page = f"<!DOCTYPE html><head></head><pre>{escape(_part(message, 'plain'))}</pre>"
    page, found = _HEAD.subn(lambda match: match[0] + '<meta charset="utf-8">' + _POLICY, page, count=1)
    return page if found else f'<meta charset="utf-8">{_POLICY}{page}'


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body(preferencelist=(kind,))
    if body is None:
        return ""
    try:
        return str(body.get_content())
    except (LookupError, UnicodeError, KeyError):
        return bytes(body.get_payload(decode=True) or b"").decode("utf-8", "replace")


def _images(message: EmailMessage) -> dict[str, str]:
    found = {}
    for part in message.walk():
        name, kind = str(part.get("Content-ID", "")).strip().strip("<>"), part.get_content_type()
        if name and kind in _IMAGES:
            data = base64.b64encode(bytes(part.get_payload(decode=True) or b"")).decode("ascii")
            found[name] = f"data:{kind};base64,{data}"
    return found


def _inline(match: re.Match[str], images: dict[str, str]) -> str:
    return f"{match[1]}{images.get(match[2], '')}{match[3]}"


def _write(path: Path, content: bytes) -> None:
    half = path.with_suffix(path.suffix + ".part")
    half.write_bytes(content)
    half.replace(path)
