"""E-mail against real SMTP servers on loopback: good, refusing, hanging, cutting off, with and without TLS."""

from __future__ import annotations

import email
import email.policy
import time
from collections.abc import Callable

import pytest

from alerts.channels import ChannelDown
from alerts.channels.mail import MailChannel
from alerts.envelope import Envelope
from alerts.render import Writer
from alerts.view import AlertView
from domain.errors import DeliveryError
from store.ledger import Notification
from tests.alerts import sample
from tests.alerts.servers import Certificates, Mailbox


def notification(
    body: bytes = b"Subject: x\r\n\r\nhello\r\n", *, to: str = "pr-duty@example.com"
) -> Notification:
    return Notification(
        id="n1", channel="email", recipient=to, subject="x", body=body, alert="a", revision=1, incident="",
        route="r", created_at=sample.AT, not_before=sample.AT,
    )  # fmt: skip


def channel(port: int, **changes: object) -> MailChannel:
    values = {"host": "127.0.0.1", "port": port, "sender": "舆警 <yujing@example.com>", "timeout_s": 5.0}
    return MailChannel(**(values | changes))


def test_a_written_mail_arrives_whole(smtp: Callable[..., int], mailbox: Mailbox, writer: Writer) -> None:
    alert = sample.alert()
    view = AlertView(
        alert=alert, incident=None, brand="云桥金融", topic="提现困难", topics=(), since=sample.ONSET
    )
    envelope = Envelope(
        alert=alert, incident=None, route=sample.ROUTE, recipient="pr-duty@example.com", not_before=sample.AT
    )
    letter = writer.write(view, envelope, now=sample.AT)
    channel(smtp()).send(notification(letter.body))
    [(to, content)] = mailbox.arrived
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert to == "pr-duty@example.com"
    assert message["Subject"] == "【橙色预警】云桥金融 · 提现困难 · 负面 43 条/时（平时 6）"
    assert message["Message-ID"] == letter.message_id
    assert "过去 1 小时负面 43 条" in message.get_body(("plain",)).get_content()


def test_an_unknown_recipient_is_permanent_and_told_in_one_harmless_line(smtp: Callable[..., int]) -> None:
    with pytest.raises(DeliveryError) as caught:
        channel(smtp()).send(notification(to="nobody@example.com"))
    assert caught.value.permanent
    assert not isinstance(caught.value, ChannelDown)
    assert "550" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_busy_server_is_transient(smtp: Callable[..., int]) -> None:
    with pytest.raises(DeliveryError) as caught:
        channel(smtp()).send(notification(to="busy@example.com"))
    assert not caught.value.permanent
    assert "451" in str(caught.value)


def test_a_cut_after_data_is_transient_and_concerns_the_message(
    smtp: Callable[..., int], mailbox: Mailbox
) -> None:
    mailbox.drops = 1
    with pytest.raises(DeliveryError) as caught:
        channel(smtp()).send(notification())
    assert not caught.value.permanent
    assert not isinstance(caught.value, ChannelDown)
    assert mailbox.arrived == []


def test_a_hung_server_costs_the_timeout_and_no_more(hung: int) -> None:
    started = time.monotonic()
    with pytest.raises(ChannelDown) as caught:
        channel(hung, timeout_s=0.3).send(notification())
    assert not caught.value.permanent
    assert "没有应答" in str(caught.value)
    assert time.monotonic() - started < 3


def test_a_server_that_drips_costs_four_timeouts_and_no_more(dripping: int) -> None:
    started = time.monotonic()
    with pytest.raises(ChannelDown, match="没有应答") as caught:
        channel(dripping, timeout_s=0.4).send(notification())
    assert not caught.value.permanent
    assert time.monotonic() - started < 5


def test_a_web_server_is_told_from_a_mail_server(web_server: int) -> None:
    with pytest.raises(ChannelDown, match="不是发信服务器") as caught:
        channel(web_server).send(notification())
    assert str(caught.value).isprintable()


def test_a_refused_connection_is_transient(closed_port: int) -> None:
    with pytest.raises(ChannelDown) as caught:
        channel(closed_port).send(notification())
    assert not caught.value.permanent
    assert f"127.0.0.1:{closed_port}" in str(caught.value)


def secured(port: int, certificates: Certificates, **login: str) -> MailChannel:
    return channel(port, host="localhost", security="starttls", ca_file=str(certificates.ca), **login)


def test_login_works(smtp: Callable[..., int], mailbox: Mailbox, certificates: Certificates) -> None:
    secured(smtp(**certificates.asking()), certificates, user="duty", password="right").send(notification())
    assert len(mailbox.arrived) == 1


def test_a_wrong_password_names_the_setting_and_never_itself(
    smtp: Callable[..., int], certificates: Certificates
) -> None:
    with pytest.raises(ChannelDown) as caught:
        secured(smtp(**certificates.asking()), certificates, user="duty", password="wrong-secret").send(
            notification()
        )
    assert caught.value.permanent
    assert "YUJING_SMTP_PASSWORD" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


def test_a_missing_login_is_a_setting_too(smtp: Callable[..., int], certificates: Certificates) -> None:
    with pytest.raises(ChannelDown) as caught:
        secured(smtp(**certificates.asking()), certificates).send(notification())
    assert caught.value.permanent
    assert "530" in str(caught.value)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_trusted_certificate_is_used(
    smtp: Callable[..., int], mailbox: Mailbox, certificates: Certificates, security: str
) -> None:
    option = (
        {"tls_context": certificates.context}
        if security == "starttls"
        else {"ssl_context": certificates.context}
    )
    port = smtp(**option)
    channel(port, host="localhost", security=security, ca_file=str(certificates.ca)).send(notification())
    assert len(mailbox.arrived) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_untrusted_certificate_is_refused(
    smtp: Callable[..., int], mailbox: Mailbox, certificates: Certificates, security: str
) -> None:
    option = (
        {"tls_context": certificates.context}
        if security == "starttls"
        else {"ssl_context": certificates.context}
    )
    with pytest.raises(ChannelDown) as caught:
        channel(smtp(**option), host="localhost", security=security).send(notification())
    assert caught.value.permanent
    assert "证书" in str(caught.value)
    assert mailbox.arrived == []


def test_a_certificate_for_another_host_is_refused(
    smtp: Callable[..., int], certificates: Certificates
) -> None:
    port = smtp(tls_context=certificates.context)
    with pytest.raises(ChannelDown, match="证书"):
        channel(port, security="starttls", ca_file=str(certificates.ca)).send(notification())


def test_starttls_is_never_skipped(smtp: Callable[..., int], mailbox: Mailbox) -> None:
    with pytest.raises(ChannelDown) as caught:
        channel(smtp(), security="starttls").send(notification())
    assert caught.value.permanent
    assert mailbox.arrived == []


def test_tls_to_a_plain_port_says_so(smtp: Callable[..., int]) -> None:
    with pytest.raises(ChannelDown, match="TLS"):
        channel(smtp(), security="tls", timeout_s=1.0).send(notification())


def test_an_address_outside_ascii_is_permanent(smtp: Callable[..., int]) -> None:
    with pytest.raises(DeliveryError) as caught:
        channel(smtp()).send(notification(to="值班@example.com"))
    assert caught.value.permanent


def test_check_tells_whether_the_server_would_take_us(
    smtp: Callable[..., int], certificates: Certificates, mailbox: Mailbox
) -> None:
    port = smtp(**certificates.asking())
    secured(port, certificates, user="duty", password="right").check()
    with pytest.raises(ChannelDown):
        secured(port, certificates, user="duty", password="no").check()
    assert mailbox.arrived == []


def test_an_unreadable_ca_file_is_named() -> None:
    with pytest.raises(DeliveryError, match="/nowhere/ca"):
        channel(25, ca_file="/nowhere/ca.pem")
