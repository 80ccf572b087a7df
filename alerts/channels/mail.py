"""E-mail over SMTP: plain, STARTTLS or TLS, certificates checked, every wait bounded."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from contextlib import closing, suppress
from email.utils import parseaddr
from typing import Literal

from alerts.channels import ChannelDown
from alerts.words import fit, plain
from domain.errors import DeliveryError
from store.ledger import Notification

_AUTH_NEEDED = (530, 534, 535, 538)
"""RFC 4954 §6: authentication required, too weak, refused, or encryption needed for it."""


class MailChannel:
    """Sends finished messages, one connection each."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        sender: str,
        security: Literal["none", "starttls", "tls"] = "none",
        user: str = "",
        password: str = "",
        timeout_s: float = 20.0,
        ca_file: str | None = None,
    ) -> None:
        """``timeout_s`` bounds every wait for the server; ``ca_file`` trusts further certificates (PEM).

        Raises ``DeliveryError`` when ``ca_file`` cannot be read.
        """
        self._host = host
        self._port = port
        self._sender = parseaddr(sender)[1]
        self._security = security
        self._user = user
        self._password = password
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()
        if ca_file:
            try:
                self._tls.load_verify_locations(ca_file)
            except OSError as error:
                raise DeliveryError(f"CA 证书文件 {ca_file} 读不出来：{error}") from error

    def send(self, notification: Notification) -> None:
        """One message to one recipient; see :class:`alerts.channels.Channel`."""
        with closing(self._open()) as server:
            self._hand_over(server, notification)
            with suppress(OSError, smtplib.SMTPException):
                server.quit()

    def check(self) -> None:
        """Connect, greet, encrypt and log in, without sending. Raises ``ChannelDown``."""
        with closing(self._open()) as server, suppress(OSError, smtplib.SMTPException):
            server.quit()

    def _open(self) -> smtplib.SMTP:
        """A connection ready to send; every failure here concerns the server, not the message."""
        server: smtplib.SMTP | None = None
        try:
            server = self._connect()
            if self._security == "starttls":
                server.starttls(context=self._tls)
            server.ehlo_or_helo_if_needed()
            if self._user:
                server.login(self._user, self._password)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            if server is not None:
                server.close()
            raise self._down(error) from error
        return server

    def _connect(self) -> smtplib.SMTP:
        if self._security == "tls":
            return _BoundedTls(self._host, self._port, timeout=self._timeout_s, context=self._tls)
        return _Bounded(self._host, self._port, timeout=self._timeout_s)

    def _down(self, error: Exception) -> ChannelDown:
        where = f"SMTP {self._host}:{self._port}"
        if isinstance(error, ssl.SSLCertVerificationError):
            text = f"{where} 的证书不被信任（{error.verify_message}）"
            return ChannelDown(text)
        if isinstance(error, ssl.SSLError):
            return ChannelDown(
                f"{where} 的 TLS 握手失败，请核对 YUJING_SMTP_URL 的协议和端口：{_said(error)}"
            )
        if isinstance(error, smtplib.SMTPAuthenticationError):
            if error.smtp_code in range(400, 500):
                return ChannelDown(f"{where} 暂时不能登录：{_said(error)}", permanent=False)
            text = (
                f"{where} 拒绝登录，请核对 YUJING_SMTP_URL 里的用户名和 YUJING_SMTP_PASSWORD：{_said(error)}"
            )
            return ChannelDown(text)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return ChannelDown(f"{where} 不支持所要求的 STARTTLS 或登录方式：{_said(error)}")
        if isinstance(error, UnicodeError):
            return ChannelDown(f"{where} 的主机名或用户名不成立：{_said(error)}")
        if _timed_out(error):
            return ChannelDown(f"{where} 在 {self._timeout_s:g} 秒内没有应答", permanent=False)
        if isinstance(error, smtplib.SMTPResponseException) and not 200 <= error.smtp_code < 600:
            return ChannelDown(f"{where} 不是发信服务器，请核对 YUJING_SMTP_URL 的协议和端口")
        return ChannelDown(f"{where} 连不上：{_said(error)}", permanent=False)

    def _hand_over(self, server: smtplib.SMTP, notification: Notification) -> None:
        to = notification.recipient
        try:
            server.sendmail(self._sender, [to], notification.body)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise self._refused(to, code, _decoded(said)) from error
        except smtplib.SMTPSenderRefused as error:
            if error.smtp_code >= 500:
                text = (
                    f"SMTP {self._host} 不接受发件人 {self._sender}，请核对 YUJING_MAIL_FROM：{_said(error)}"
                )
                raise ChannelDown(text) from error
            raise self._refused(to, error.smtp_code, _decoded(error.smtp_error)) from error
        except smtplib.SMTPResponseException as error:
            raise self._refused(to, error.smtp_code, _decoded(error.smtp_error)) from error
        except UnicodeError as error:
            raise DeliveryError(f"收件人 {plain(to)} 的地址只能用 ASCII 字符") from error
        except (OSError, smtplib.SMTPException) as error:
            where = f"SMTP {self._host}:{self._port}"
            if _timed_out(error):
                # The next message would wait as long: the pass ends, and this one goes to the end of the queue.
                text = f"{where} 在 {self._timeout_s:g} 秒内没有应答"
                raise ChannelDown(text, permanent=False) from error
            raise DeliveryError(f"{where} 中途断开：{_said(error)}", permanent=False) from error

    def _refused(self, to: str, code: int, said: str) -> DeliveryError:
        """RFC 5321 §4.2.1: 4yz may be tried again, 5yz may not."""
        if code in _AUTH_NEEDED:
            return ChannelDown(
                f"SMTP {self._host} 要求先登录（{code} {said}），请设置 YUJING_SMTP_URL 的用户名"
            )
        words = "不接受" if code >= 500 else "暂时不接受"
        return DeliveryError(f"SMTP {self._host} {words} {plain(to)}：{code} {said}", permanent=code >= 500)


class _Bounded(smtplib.SMTP):
    """Ends after four waits altogether: a server that sends a byte a second never exceeds a single one.

    Four waits stay well below the lease of a message in ``alerts/outbox.py``.
    """

    def __init__(self, host: str, port: int, *, timeout: float, **options: ssl.SSLContext) -> None:
        self._watchdog = threading.Timer(timeout * 4, self._cut)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._too_slow = False
        try:
            super().__init__(host, port, timeout=timeout, **options)  # type: ignore[arg-type]
        except (OSError, smtplib.SMTPException) as error:
            self._watchdog.cancel()
            if self._too_slow:
                raise TimeoutError from error
            raise

    def _cut(self) -> None:
        self._too_slow = True
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the watchdog has nothing to watch any more."""
        self._watchdog.cancel()
        super().close()


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


def _timed_out(error: Exception) -> bool:
    """Also where smtplib made a disconnection of it while it waited for a reply."""
    return isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)


def _decoded(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return fit(plain(text), 200)


def _said(error: Exception) -> str:
    """What the server or the system said, as one harmless line; never holds what we sent."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_decoded(error.smtp_error)}"
    if isinstance(error, OSError) and error.strerror:
        return fit(plain(str(error.strerror)), 200)
    return fit(plain(str(error)), 200) or type(error).__name__
