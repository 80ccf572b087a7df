"""Stores on disk, and SMTP servers of every temper on loopback."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from alerts.render import Writer
from store.ledger import Ledger, open_ledger
from store.posts import Posts, open_posts
from tests.alerts import sample
from tests.alerts.servers import Certificates, Mailbox, free_port


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def smtp(mailbox: Mailbox) -> Iterator[Callable[..., int]]:
    """Starts servers that fill the mailbox; gives the port of each."""
    running: list[Controller] = []

    def start(**options: object) -> int:
        controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **options)
        controller.start()
        running.append(controller)
        return controller.port

    yield start
    for controller in running:
        controller.stop()


@pytest.fixture
def closed_port() -> int:
    return free_port()


@pytest.fixture
def web_server() -> Iterator[int]:
    """What answers when the port is another service's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError), listener.accept()[0] as peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


@pytest.fixture
def dripping() -> Iterator[int]:
    """A server whose greeting never ends: a byte ten times a second."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with suppress(OSError), listener.accept()[0] as peer:
                while not over.wait(0.1):
                    peer.sendall(b"2")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join(5)


@pytest.fixture
def hung() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in taken:
            connection.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "ca.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return Certificates(ca=pem, context=context)


@pytest.fixture
def writer() -> Writer:
    return Writer(sender="舆警 <yujing@example.com>")


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with its schema, to be copied: migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("ledger") / "empty.sqlite3"
    open_ledger(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def ledger(tmp_path: Path, empty_ledger: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    path = tmp_path / "ledger.sqlite3"
    shutil.copy(empty_ledger, path)
    opened = open_ledger(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def crisis_posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posts]:
    """The crisis and an ordinary day before it; read only."""
    path = tmp_path_factory.mktemp("posts") / "posts.sqlite3"
    opened = open_posts(f"sqlite:///{path}", segment=sample.segment)
    opened.put(sample.crisis() + sample.usual_day())
    yield opened
    opened.close()


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[Posts]:
    """An empty store."""
    opened = open_posts(f"sqlite:///{tmp_path / 'posts.sqlite3'}", segment=sample.segment)
    yield opened
    opened.close()
