"""The written mail: golden text, order, threads, and nothing that a hostile post or brand can do to it."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import pytest

from alerts.envelope import Cause, Envelope
from alerts.headings import GROUNDS, OPERATOR, RECOVERED
from alerts.render import Writer
from alerts.view import AlertView
from domain.alert import RETIRED, Alert, AlertState, Change, Level, Reason
from domain.errors import DeliveryError
from domain.incident import Incident, IncidentStatus
from domain.post import Author
from domain.source_run import Outcome, SourceRun
from store.ledger import Ledger, Notification
from store.posts import Judged, Posts
from tests.alerts import sample
from tests.alerts.sample import AT

GOLDEN = Path(__file__).with_name("orange.golden.txt")
EVIL = (
    "云桥金融提现</td></style><script>alert(1)</script>不到账\"'><img src=x onerror=alert(2)>"
    "\u202e\u0000\ud800{{ 7*7 }}"
)


def write(
    view: AlertView,
    *,
    cause: Cause = Cause.NEW,
    was: Level = Level.NONE,
    recipient: str = "pr-duty@example.com",
    told: tuple[Notification, ...] = (),
    chart: bool = False,
) -> EmailMessage:
    draw = {} if chart else {"draw_chart": lambda *_, **__: b"\x89PNG"}
    route = sample.ROUTE if view.alert.brand else sample.OPERATOR_ROUTE
    envelope = Envelope(
        alert=view.alert, incident=view.incident, route=route, recipient=recipient, not_before=AT, cause=cause,
        was=was, told=told,
    )  # fmt: skip
    letter = Writer(sender="舆警 <yujing@example.com>", **draw).write(view, envelope, now=AT)
    return email.message_from_bytes(letter.body, policy=email.policy.default)


def text_of(message: EmailMessage) -> str:
    return message.get_body(("plain",)).get_content().replace("\r\n", "\n")


def html_of(message: EmailMessage) -> str:
    return message.get_body(("html",)).get_content()


class Tags(HTMLParser):
    """What a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def look(crisis_posts: Posts, ledger: Ledger) -> Iterator[Callable[..., AlertView]]:
    """Views of alerts over the crisis, with an incident and a blind source."""
    yield looker(crisis_posts, ledger)


def looker(posts: Posts, ledger: Ledger) -> Callable[..., AlertView]:
    ledger.signals.record([sample.signal()])
    seen = AT - timedelta(minutes=73)
    run = SourceRun(source="guba_board", started_at=seen, ended_at=seen, outcome=Outcome.RESULTS)
    ledger.source_runs.record(run)
    ledger.source_runs.record(
        replace(run, started_at=AT, ended_at=AT, outcome=Outcome.BLOCKED, detail="HTTP 403，要求登录")
    )

    def view(alert: Alert | None = None, *, incident: bool = True) -> AlertView:
        alert = alert or sample.alert()
        case: Incident | None = sample.incident(ledger, alert) if incident and alert.brand else None
        return sample.evidence(posts, ledger).collect(alert, case, now=AT)

    return view


def test_the_text_part_is_golden(look: Callable[..., AlertView]) -> None:
    """To renew after a wanted change: delete the file, run the test twice, read the difference."""
    text = text_of(write(look()))
    if not GOLDEN.exists():
        GOLDEN.write_text(text, encoding="utf-8")
        pytest.fail("wrote a new golden mail: read it, then run again")
    assert text == GOLDEN.read_text(encoding="utf-8")


ORDER = (
    "橙色预警 · 重大", "过去 1 小时负面 43 条", "他们在说", "现在可以做", "近 24 小时", "值得看的帖子", "传播",
    "下一步", "我们还不知道", "你收到这封邮件",
)  # fmt: skip


@pytest.mark.parametrize("part", [text_of, html_of])
def test_both_parts_hold_everything_in_the_order_of_the_reader(
    look: Callable[..., AlertView], part: Callable[[EmailMessage], str]
) -> None:
    body = part(write(look()))
    body = body[body.index("<body") :] if "<body" in body else body
    places = [body.index(words) for words in ORDER]
    assert places == sorted(places)


def test_every_word_of_the_text_part_is_in_the_html_part_too(look: Callable[..., AlertView]) -> None:
    message = write(look())
    shown = "".join("".join(Tags(html_of(message)).words).split())
    for line in text_of(message).splitlines():
        words = re.sub(r"^\s*((\d+\.|--?|逐时：.*|https?:.*|\[.*?\])\s*)*", "", line).strip()
        for bit in re.split(r"[　【】：（）]", words):
            assert "".join(bit.split()) in shown, bit


def test_the_chart_is_inline_with_its_numbers_as_text(look: Callable[..., AlertView]) -> None:
    message = write(look(), chart=True)
    [image] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    [tag] = [attrs for tag, attrs in Tags(html_of(message)).found if tag == "img"]
    assert tag["src"] == f"cid:{image['Content-ID'][1:-1]}"
    assert "43 条" in tag["alt"]
    assert "平时约 6 条" in tag["alt"]
    assert image.get_content().startswith(b"\x89PNG")
    assert image.get_content_disposition() == "inline"


def test_nothing_is_fetched_from_anywhere(look: Callable[..., AlertView]) -> None:
    for tag, attrs in Tags(html_of(write(look(), chart=True))).found:
        assert tag not in {"script", "iframe", "link", "object", "form", "video", "base"}
        assert not any(name.startswith("on") for name in attrs)
        if "src" in attrs:
            assert attrs["src"].startswith("cid:")
        if "href" in attrs:
            assert re.match(r"https?://[a-z_]+\.example\.com/", attrs["href"])
            assert set(attrs["rel"].split()) == {"noreferrer", "noopener"}
        assert "url(" not in (attrs.get("style") or "")


def test_decisive_words_are_marked(look: Callable[..., AlertView]) -> None:
    assert re.search(r"<mark[^>]*>提现</mark>", html_of(write(look())))


def evil(**changes: object) -> Judged:
    values = {
        "ident": "evil",
        "at": AT - timedelta(minutes=5),
        "decisive": ("<script>alert(1)</script>", "提现"),
    }
    return sample.judged(EVIL, **(values | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"author": Author(key="k", name='<b onmouseover="x">坏</b>')},
        {"title": "</style><svg onload=alert(3)>"},
        {"platform": "<i>平台</i>"},
        {"url": "javascript:alert(1)"},
        {"url": 'https://ok.example.com/" onclick="alert(1)'},
        {"url": "data:text/html,<script>1</script>"},
        {"url": "//evil.example/x"},
        {"url": "https://a.example.com\r\n/x"},
        {"url": "http://[bad"},
    ],
)
def test_hostile_posts_are_shown_and_never_run(posts: Posts, ledger: Ledger, changes: dict) -> None:
    posts.put([evil(**changes)])
    message = write(looker(posts, ledger)(sample.alert(explanation=EVIL)))
    tags = Tags(html_of(message))
    assert {tag for tag, _ in tags.found} <= {
        "html", "head", "meta", "title", "style", "body", "table", "tr", "td", "h1", "h2", "div", "p", "span", "b",
        "mark", "a", "img", "br",
    }  # fmt: skip
    for tag, attrs in tags.found:
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        assert not (attrs.get("href") or "https://").startswith(("javascript", "data", "//"))
    assert "<script>alert(1)</script>" in "".join(tags.words)
    assert "{{ 7*7 }}" in "".join(tags.words)
    for part in (text_of(message), html_of(message)):
        assert "\u202e" not in part
        assert "\x00" not in part


@pytest.mark.parametrize(
    "name", ["云桥\r\nBcc: victim@example.com", "云桥\nX: y", "云桥\u2028Bcc: a@b", "a" * 4000]
)
def test_a_brand_name_cannot_write_headers(look: Callable[..., AlertView], name: str) -> None:
    message = write(replace(look(), brand=name, topic=name))
    assert message["Bcc"] is None
    assert message["X"] is None
    assert len(message["Subject"]) < 120
    assert message["To"] == "pr-duty@example.com"


@pytest.mark.parametrize(
    "address", ["", "nobody", "a@b\r\nBcc: c@d", "值班@example.com", "a b@c", "a@b, c@d", "<a@b>", "@b"]
)
def test_an_address_that_cannot_be_one_is_refused(look: Callable[..., AlertView], address: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        write(look(), recipient=address)
    assert caught.value.permanent
    assert "\n" not in str(caught.value)


def test_a_sender_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(DeliveryError):
        Writer(sender="nobody")


@pytest.mark.parametrize(
    ("cause", "was", "level", "subject", "bar"),
    [
        (Cause.NEW, Level.NONE, Level.ORANGE, "【橙色预警】", "橙色预警 · 重大"),
        (Cause.UPDATE, Level.ORANGE, Level.ORANGE, "【橙色预警·更新】", "橙色预警 · 重大（更新）"),
        (Cause.ESCALATED, Level.ORANGE, Level.RED, "【升级 橙→红】", "升级 橙→红 · 特别重大"),
        (Cause.LOWERED, Level.RED, Level.ORANGE, "【降级 红→橙】", "降级 红→橙 · 重大"),
        (Cause.RECOVERED, Level.RED, Level.BLUE, "【恢复】", "恢复 · 最高到过红色（特别重大）"),
    ],
)
def test_subject_and_bar_use_the_same_words(
    look: Callable[..., AlertView], cause: Cause, was: Level, level: Level, subject: str, bar: str
) -> None:
    over = {"change": Change.RECOVERED, "state": AlertState.RESOLVED} if cause is Cause.RECOVERED else {}
    message = write(look(sample.alert(level=level, **over)), cause=cause, was=was)
    assert message["Subject"].startswith(f"{subject}云桥金融 · 提现困难 · 负面 43 条/时（平时 6）")
    assert text_of(message).startswith(f"{bar}　云桥金融 · 提现困难\n")


def test_the_end_of_a_brand_that_nobody_watches_any_more_is_no_recovery(
    look: Callable[..., AlertView],
) -> None:
    retired = (Reason(rule=RETIRED, points=0.0, text="这个品牌已停止预警；这不表示已经恢复。"),)
    over = sample.alert(change=Change.RECOVERED, state=AlertState.RESOLVED, reasons=retired)
    message = write(look(over), cause=Cause.RECOVERED, was=Level.ORANGE)
    assert message["Subject"].startswith("【停止预警】云桥金融")
    assert text_of(message).startswith("停止预警 · 最高到过橙色（重大）　云桥金融")
    assert "预警已结束。" in text_of(message) and "再次升高" not in text_of(message)


def test_numbers_of_another_topic_than_the_lead_are_said_to_be_its(posts: Posts, ledger: Ledger) -> None:
    other = replace(sample.signal(), id="signal-2", topic="customer_complaint")
    ledger.signals.record([other])
    view = looker(posts, ledger)(sample.alert(signals=("signal-2",)))
    assert write(view)["Subject"].startswith("【橙色预警】云桥金融 · 提现困难 · 「客服投诉」负面 43 条/时")


def test_a_recovery_asks_for_closing_and_shows_no_plan(look: Callable[..., AlertView]) -> None:
    text = text_of(
        write(look(sample.alert(level=Level.BLUE, change=Change.RECOVERED)), cause=Cause.RECOVERED)
    )
    assert "yujing incident close INC-" in text
    assert "若现在启动" not in text


def test_a_recovery_after_the_close_offers_no_closing(look: Callable[..., AlertView]) -> None:
    view = look(sample.alert(level=Level.BLUE, change=Change.RECOVERED))
    closed = replace(view, incident=replace(view.incident, status=IncidentStatus.CLOSED, closed_at=AT))
    text = text_of(write(closed, cause=Cause.RECOVERED))
    assert "incident close" not in text and "incident show" in text


@pytest.mark.parametrize("part", [text_of, html_of])
def test_only_the_gravest_hard_triggers_are_told(
    look: Callable[..., AlertView], part: Callable[[EmailMessage], str]
) -> None:
    """The posts must not be pushed off the screen by what decided nothing."""
    alert = sample.alert()
    lower = Reason(rule="detector", points=0, text="A = 31.2", level=Level.BLUE)
    body = part(write(look(replace(alert, reasons=(*alert.reasons, lower)))))
    assert "触发橙色硬条件：38 个不同账号称提现未到账" in body
    assert "A = 31.2" not in body
    assert "数量 +21：过去 1 小时负面 43 条，A = 8.2；主题 +20" in body


def test_what_lowers_the_score_is_told_with_its_points(look: Callable[..., AlertView]) -> None:
    alert = sample.alert(score=51.8)
    army = Reason(rule="suspected", points=-22.2, text="疑似水军占 60%，总分折减 30%")
    text = text_of(write(look(replace(alert, reasons=(*alert.reasons, army)))))
    assert "评分 51 / 100" in text
    assert "来源 +9：1 家认证财经媒体参与；疑似水军 -22：疑似水军占 60%，总分折减 30%" in text


@pytest.mark.parametrize("part", [text_of, html_of])
def test_a_task_due_on_another_day_says_which(
    look: Callable[..., AlertView], part: Callable[[EmailMessage], str]
) -> None:
    view = look()
    steps = tuple(replace(each, due_at=AT + timedelta(days=1)) for each in view.next_step.steps)
    running = replace(view.next_step, running=True, steps=steps)
    assert "11月23日 21:05 前" in part(write(replace(view, next_step=running)))


def test_whoever_took_it_is_named_and_is_not_asked_again(look: Callable[..., AlertView]) -> None:
    view = look()
    taken = replace(view.incident, owner="王芳", acknowledged_at=AT + timedelta(minutes=2))
    text = text_of(write(replace(view, incident=taken)))
    assert "王芳 已接手，21:07" in text
    assert "incident ack" not in text


def test_an_operator_mail_says_what_the_source_said(look: Callable[..., AlertView]) -> None:
    text = text_of(write(look(sample.blind())))
    assert "被拦截，HTTP 403，要求登录" in text
    assert "上次看得见：11月22日 周日 19:52" in text
    assert "yujing crawl guba_board" in text
    assert "silence" not in text


def test_without_numbers_the_subject_has_none(look: Callable[..., AlertView]) -> None:
    assert write(look(sample.alert(numbers={})))["Subject"] == "【橙色预警】云桥金融 · 提现困难"
    assert (
        "（平时 不到 1）"
        in write(look(sample.alert(numbers={"negatives": 9, "per_hour_usual": 0.4})))["Subject"]
    )


def test_the_same_mail_is_the_same_bytes(look: Callable[..., AlertView]) -> None:
    view = look()
    assert write(view).as_bytes() == write(view).as_bytes()


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("pair", [*GROUNDS.values(), RECOVERED, OPERATOR])
def test_bars_are_legible(pair: tuple[str, str]) -> None:
    light, dark = sorted(map(luminance, pair), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
