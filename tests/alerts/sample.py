"""The withdrawal crisis at 云桥金融 as posts, an alert and an incident: what the mails under test are made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alerts.evidence import Evidence
from config.settings import QuietHours, Route
from domain.alert import Alert, AlertState, Change, Level, Reason
from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.incident import RULE, Incident, IncidentStatus, TimelineEvent
from domain.plan import LegalClock, Plan, PlanTask
from domain.post import Author, Engagement, Post, Tier, post_id
from domain.signal import Signal
from store.ledger import Ledger
from store.posts import Judged, Posts

AT = datetime(2026, 11, 22, 13, 5, tzinfo=UTC)
"""21:05 on a Sunday in Shanghai."""
ONSET = AT - timedelta(minutes=85)
TOPIC = "withdrawal_difficulty"
WORDS = (
    "提现", "到账", "客服", "处理中", "人工审核", "大额", "小额", "打折", "债权", "回款", "兑付", "公告", "通道",
    "升级", "充值", "跑路", "打不进", "排队", "云桥", "出借人", "登记", "同意", "分期", "老板", "实控人", "折",
)  # fmt: skip
PLATFORMS = {
    "weibo": "微博", "tieba": "出借人贴吧", "guba": "股吧", "comment": "新闻评论", "news": "财经新闻",
    "complaint": "投诉平台", "app_review": "应用商店", "zhihu": "问答社区", "notice": "公告",
}  # fmt: skip
SOURCES = {"weibo_search": "微博搜索", "guba_board": "股吧"}
BRANDS = {"yunqiao": "云桥金融", "ansui": "安穗理财"}
TOPICS = {
    TOPIC: "提现困难/兑付逾期", "customer_complaint": "客服投诉/退款难", "absconding": "跑路失联",
    "liquidity_crisis": "资金链断裂/挤兑/爆雷",
}  # fmt: skip
PLAN = Plan(
    id=TOPIC,
    name="提现困难/兑付逾期处置预案",
    level=Level.YELLOW,
    version="1",
    goal="用户知道自己的钱在哪、何时能拿到",
    tasks=(
        PlanTask(id="acknowledge", title="接手事件，拉起处置群", role="值班指挥", due_min=5),
        PlanTask(id="verify-posts", title="核实 20 条帖子", role="舆情分析", due_min=15),
        PlanTask(id="internal-facts", title="核对待付与可用资金", role="资金/业务", due_min=15),
        PlanTask(id="declare-level", title="宣布级别", role="总指挥", due_min=30),
    ),
    clocks=(
        LegalClock(
            name="属地突发事件信息报告",
            due_min=60,
            trigger="出现挤兑、围堵或线下聚集",
            source="地方突发事件信息报告规定",
        ),
    ),
)
ROUTE = Route(
    name="公关值班",
    level="yellow",
    to=("pr-duty@example.com",),
    quiet_hours=QuietHours(start="23:00", end="07:00", from_level="orange"),
    cooldown_min=60,
    group_wait_s=30,
)
OPERATOR_ROUTE = Route(name="运维", level="blue", to=("ops@example.com",), operator=True)


def segment(text: str) -> list[str]:
    """Character pairs: enough for a store under test."""
    return [text[i : i + 2] for i in range(max(1, len(text) - 1))]


def band(
    brand: str, topic: str, since: datetime, until: datetime, step_s: int
) -> list[tuple[datetime, float, float, float]]:
    """A usual day: quiet at night, about six negatives an hour by day."""
    found, at = [], since
    while at < until:
        hour = (at.hour + 8) % 24
        mean = 1.6 if hour < 7 else 4.2 if hour < 10 else 6.0
        found.append((at, mean, max(0.0, mean - 4), mean + 5))
        at += timedelta(seconds=step_s)
    return found


def rows() -> list[dict]:
    """The authored posts of the crisis, in order."""
    path = Path(__file__).with_name("withdrawal.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def judged(
    text: str,
    *,
    ident: str,
    at: datetime,
    platform: str = "weibo",
    sentiment: Sentiment = Sentiment.NEGATIVE,
    stance: Stance = Stance.ASSERT,
    topic: str = TOPIC,
    brand: str = "yunqiao",
    author: Author | None = None,
    engagement: Engagement | None = None,
    url: str | None = None,
    story: str = "",
    coordination: float = 0.0,
    certainty: float = 0.9,
    title: str = "",
    decisive: Sequence[str] | None = None,
) -> Judged:
    """One post with the judgement that the classifier would give."""
    key = post_id(platform, ident)
    post = Post(
        id=key,
        platform=platform,
        source=f"{platform}_search",
        native_id=ident,
        title=title,
        text=text,
        published_at=at,
        fetched_at=at + timedelta(minutes=3 + int(key[:2], 16) % 9),
        url=f"https://{platform}.example.com/p/{ident}" if url is None else url,
        author=author
        or Author(
            key=f"a{key[:12]}", name=f"{'林陈周何许沈'[int(key[0], 16) % 6]}***", followers=int(key[:3], 16)
        ),
        engagement=engagement or Engagement(comments=int(key[2], 16), likes=int(key[3:5], 16) // 4),
    )
    found = [word for word in WORDS if word in text]
    marks = [word for word in found if word in ("提现", "到账", "回款", "兑付", "跑路", "人工审核", "处理中")]
    rest = (1 - certainty) / 2
    probabilities = dict.fromkeys(("negative", "neutral", "positive"), rest) | {sentiment.value: certainty}
    assessment = Assessment(
        post_id=key,
        model="test",
        sentiment=sentiment,
        probabilities=probabilities,
        topics=(TopicJudgement(id=topic, stance=stance, probability=0.9),) if topic else (),
        entities=(
            EntityJudgement(
                name=BRANDS.get(brand, brand),
                sentiment=sentiment,
                probability=certainty,
                negative=probabilities["negative"],
                brand=brand,
            ),
        ),
        keywords=tuple(found[:10]),
        decisive=tuple(marks if decisive is None else decisive),
        story=story or key,
        coordination=coordination,
        influence=1 + float((engagement or post.engagement).total) ** 0.5 / 4,
    )
    return Judged(post=post, assessment=assessment)


STARS = {
    "w3-0035": {
        "author": Author(
            key="media1", name="江城财经", tier=Tier.CENTRAL_MEDIA, verified=True, followers=1_268_000
        ),
        "engagement": Engagement(reposts=1320, comments=684, likes=2210, views=184_000),
    },
    "w3-0041": {
        "author": Author(key="bigv1", name="老***", tier=Tier.BIG_V, followers=122_000),
        "engagement": Engagement(reposts=3406, comments=1187, likes=5122, views=421_000),
    },
    "w3-0033": {"engagement": Engagement(reposts=412, comments=233, likes=905)},
    "w3-0026": {"engagement": Engagement(comments=96, likes=140)},
}
COPY = "云桥金融全额停兑，明早总部集合，不去的等着血本无归，速转"


def crisis(*, at: datetime = AT) -> list[Judged]:
    """The crisis up to ``at``: 52 negative posts from 85 minutes before, denials and questions among them."""
    found: list[Judged] = []
    for index, row in enumerate(rows()[:72]):
        when = at - timedelta(minutes=85) + timedelta(seconds=index * 70)
        negative = row["sentiment"] == "negative"
        found.append(
            judged(
                row["text"].split("\n", 1)[-1] if row["form"] == "news" else row["text"],
                title=row["text"].split("\n", 1)[0] if row["form"] == "news" and "\n" in row["text"] else "",
                ident=row["id"],
                at=when,
                platform=row["form"],
                sentiment=Sentiment(row["sentiment"]),
                stance=Stance(row["stance"]),
                certainty=0.93 - 0.06 * (index % 6) if negative else 0.8,
                **STARS.get(row["id"], {}),
            )
        )
    for index in range(5):
        found.append(
            judged(
                COPY,
                ident=f"copy-{index}",
                at=at - timedelta(minutes=11) + timedelta(seconds=40 * index),
                story="copy-story",
                coordination=0.8,
                url="",
            )
        )
    return found


def usual_day(*, at: datetime = AT) -> list[Judged]:
    """Complaints as every day brings them, over the 24 hours before the onset."""
    lines = (
        "云桥金融客服等了二十分钟才接通",
        "云桥的活动页面说好的券没到",
        "云桥金融短信一天发三条，退订没用",
    )
    found = []
    for index in range(88):
        when = at - timedelta(hours=24) + timedelta(minutes=15 * index + (index * 37) % 13)
        if (when.hour + 8) % 24 < 7 and index % 3:
            continue
        found.append(
            judged(
                lines[index % 3] + "。" * (index % 2),
                ident=f"usual-{index}",
                at=when,
                platform="tieba",
                story=f"usual-{index}",
            )
        )
    return found


def alert(**changes: object) -> Alert:
    """The orange alert of the crisis at its first revision."""
    values: dict = {
        "id": "alert-yunqiao-withdrawal",
        "fingerprint": "yunqiao/withdrawal_difficulty",
        "revision": 1,
        "change": Change.NEW,
        "brand": "yunqiao",
        "topics": (TOPIC, "customer_complaint"),
        "level": Level.ORANGE,
        "score": 73.6,
        "reasons": (
            Reason(rule="volume", points=21, text="过去 1 小时负面 43 条，A = 8.2"),
            Reason(rule="topic", points=20, text="主题「提现困难」敏感度 20 / 20"),
            Reason(rule="share", points=14, text="负面占比 72%，平时 12%"),
            Reason(rule="spread", points=10, text="出现在 9 个平台"),
            Reason(rule="source_tier", points=9, text="1 家认证财经媒体参与"),
            Reason(rule="withdrawal_cluster", points=0, text="38 个不同账号称提现未到账", level=Level.ORANGE),
        ),
        "state": AlertState.FIRING,
        "onset": ONSET,
        "at": AT,
        "first_at": AT,
        "explanation": "过去 1 小时负面 43 条，这个时段平时约 6 条，这种高值千次里不到一次；负面占比由 12% 升到 72%。",
        "signals": ("signal-1",),
        "peak": Level.ORANGE,
        "incomplete": ("guba_board",),
        "numbers": {
            "negatives": 43,
            "per_hour_usual": 6.0,
            "observed": 43,
            "expected": 6.0,
            "share": 0.72,
            "usual_share": 0.12,
        },
    }
    return Alert(**(values | changes))


def blind(**changes: object) -> Alert:
    """An operator alert about a source that sees nothing."""
    values: dict = {
        "id": "alert-blind-guba",
        "fingerprint": "source/guba_board",
        "brand": "",
        "topics": (),
        "level": Level.NONE,
        "score": 0.0,
        "reasons": (),
        "explanation": "股吧已 65 分钟没有一次成功采集，期间的帖子看不到。",
        "signals": (),
        "peak": Level.NONE,
        "incomplete": (),
        "source": "guba_board",
        "numbers": {},
    }
    return alert(**(values | changes))


def signal() -> Signal:
    """The lead signal of :func:`alert`."""
    return Signal(
        id="signal-1", at=AT, brand="yunqiao", topic=TOPIC, detector="negative_tail", window_min=60, observed=43,
        expected=6, tail=8.2, share=0.72, usual_share=0.12, share_z=9.0, explanation="",
    )  # fmt: skip


def incident(ledger: Ledger, found: Alert, *, at: datetime = AT) -> Incident:
    """Open the incident as the response room does before the mails are written."""
    new = Incident(
        id="",
        brand=found.brand,
        topic=found.lead_topic,
        level=found.level,
        status=IncidentStatus.TRIAGE,
        opened_at=at,
        onset=found.onset,
        plan=TOPIC,
        alerts=(found.id,),
    )
    after = {"alert": found.id, "revision": str(found.revision)}
    event = TimelineEvent(incident="", at=at, actor=RULE, kind="opened", after=after)
    return ledger.incidents.open(new, event)


def evidence(posts: Posts, ledger: Ledger) -> Evidence:
    """Evidence over stores under test."""
    return Evidence(
        posts=posts,
        ledger=ledger,
        band=band,
        plan_for=lambda topic, level: PLAN if topic == TOPIC and level >= Level.YELLOW else None,
        brands=BRANDS,
        brand_words={"yunqiao": ("云桥", "云桥金融")},
        topics=TOPICS,
        sources=SOURCES,
        platforms=PLATFORMS,
    )
