"""A mail sent to show that mail arrives: by ``yujing init``, and by ``yujing doctor --mail``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import make_msgid

from alerts.channels import ChannelDown
from app.wire import mail_channel
from config.settings import Route, Smtp
from domain.errors import DeliveryError
from store.findings import Finding
from store.ledger import Notification

_REFUSED = "核对 routes.yaml 里的这个地址"
_DOWN = "其余收件人没有再试；按“发信”一项改好后再运行一次"


def send(smtp: Smtp, recipient: str, *, subject: str, text: str, now: datetime) -> None:
    """Hand one mail over. Raises ``DeliveryError``."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"], message["Subject"] = smtp.sender, recipient, subject
    message["Date"], message["Message-ID"] = now, make_msgid(domain=smtp.sender.rpartition("@")[2])
    message.set_content(text)
    mail_channel(smtp).send(
        Notification(
            id="trial",
            channel="email",
            recipient=recipient,
            subject=subject,
            body=message.as_bytes(),
            alert="",
            revision=0,
            incident="",
            route="",
            created_at=now,
            not_before=now,
            message_id=message["Message-ID"],
        )
    )


def to_everybody(routes: Sequence[Route], smtp: Smtp, *, now: datetime) -> Iterator[Finding]:
    """One mail to each recipient of the routes, and what the server said; it ends where none would get through."""
    for recipient in dict.fromkeys(address for route in routes for address in route.to):
        names = "、".join(route.name for route in routes if recipient in route.to)
        text = (
            "这是一封测试邮件，由 yujing doctor --mail 发出。\n\n"
            f"您在这些路由里：{names}。符合它们的预警会发到这个邮箱。\n"
        )
        try:
            send(smtp, recipient, subject="【测试】舆警的预警会发到这里", text=text, now=now)
        except DeliveryError as error:
            down = isinstance(error, ChannelDown)
            yield Finding(
                subject=recipient,
                ok=False,
                text=f"{error}（路由：{names}）",
                remedy=_DOWN if down else _REFUSED,
            )
            if down:
                return
        else:
            yield Finding(subject=recipient, ok=True, text=f"服务器已收下，请到信箱里看（路由：{names}）")
