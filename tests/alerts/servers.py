"""SMTP servers as they are met, for the fixtures."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, Session


@dataclass
class Mailbox:
    """What arrived; refuses some recipients as real servers do."""

    arrived: list[tuple[str, bytes]] = field(default_factory=list)
    drops: int = 0
    """How many more messages are cut off after DATA."""

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user\r\n\x1b[31mhere"
        if address.startswith("busy"):
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        if self.drops:
            self.drops -= 1
            server.transport.abort()
            return "250 never seen"
        self.arrived.append((envelope.rcpt_tos[0], envelope.content))
        return "250 OK"


@dataclass(frozen=True)
class Certificates:
    """A self-signed authority and a server certificate for 127.0.0.1."""

    ca: Path
    context: ssl.SSLContext

    def asking(self) -> dict:
        """Options of a server that asks for a name and a password after STARTTLS."""
        return {"tls_context": self.context, "authenticator": authenticator, "auth_required": True}


def authenticator(
    server: object, session: object, envelope: object, mechanism: str, data: object
) -> AuthResult:
    """Takes duty with the password right."""
    good = getattr(data, "login", b"") == b"duty" and getattr(data, "password", b"") == b"right"
    return AuthResult(success=good, handled=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
