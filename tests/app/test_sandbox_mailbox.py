"""The local mailbox: real SMTP in, files that can be opened out."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from pathlib import Path

import pytest

from app.sandbox.mailbox import Mailbox, html_of

PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d494844520000000100000001")


def message(html: str = "", text: str = "纯文本", image: tuple[str, str] | None = None) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = (
        "yujing@example.test",
        "pr@example.test",
        "【橙色预警】云桥金融",
    )
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    if image:
        kind, subtype = image
        mail.get_payload()[1].add_related(PIXEL, kind, subtype, cid="<chart@yujing>")  # type: ignore[union-attr,index]
    return mail


def send(port: int, mail: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.send_message(mail)


def test_keeps_each_message_and_a_page_of_it(tmp_path: Path) -> None:
    with Mailbox(tmp_path / "mail") as box:
        for number in range(3):
            send(box.port, message(f"<html><head></head><body>第 {number} 封</body></html>"))
        assert [path.name for path in box.mails] == ["001.eml", "002.eml", "003.eml"]
        assert b"Subject" in box.mails[0].read_bytes()
        assert "第 2 封" in (tmp_path / "mail" / "003.html").read_text(encoding="utf-8")
    assert not list((tmp_path / "mail").glob("*.part"))


def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    with Mailbox(tmp_path / "a") as one, Mailbox(tmp_path / "b") as two:
        assert one.port != two.port
        send(one.port, message())
        assert (len(one.mails), len(two.mails)) == (1, 0)


def test_closed_mailbox_refuses(tmp_path: Path) -> None:
    with Mailbox(tmp_path) as box:
        port = box.port
        idle = smtplib.SMTP("127.0.0.1", port, timeout=10)  # a client that stays does not keep it open
    with pytest.raises(OSError, match=r"refused|reset|closed"):
        send(port, message())
    idle.close()


def test_folder_that_cannot_be_written_is_a_transient_refusal(tmp_path: Path) -> None:
    with Mailbox(tmp_path / "mail") as box:
        (tmp_path / "mail" / "001.html.part").mkdir()
        with pytest.raises(smtplib.SMTPDataError, match="451"):
            send(box.port, message())
        assert box.mails == []


def test_images_come_inside_and_nothing_else_is_loaded() -> None:
    page = html_of(
        message(
            '<html><head></head><body><img src="cid:chart@yujing"></body></html>', image=("image", "png")
        ).as_bytes()
    )
    assert 'src="data:image/png;base64,iVBORw0KGgo' in page
    assert "cid:" not in page
    assert "default-src 'none'" in page


def test_a_page_that_calls_itself_an_image_stays_outside() -> None:
    page = html_of(
        message('<html><body><img src="cid:chart@yujing"></body></html>', image=("text", "html")).as_bytes()
    )
    assert 'src=""' in page
    assert "data:text" not in page


def test_plain_text_is_escaped() -> None:
    page = html_of(message(text="<script>alert(1)</script>").as_bytes())
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"Content-Type: text/html; charset=nonsense\n\n<b>x</b>"]
)
def test_broken_messages_still_become_a_page(content: bytes) -> None:
    assert "Content-Security-Policy" in html_of(content)
