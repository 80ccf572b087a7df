"""A brand's quiet weeks and its crisis, in the real embedded stores."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.settings import Baselines, Brand, Rules, Topic
from domain.alert import Level
from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.plan import Plan
from domain.post import Author, Engagement, Post, Tier, post_id
from monitor.watch import Watch
from store.ledger import Ledger, open_ledger
from store.posts import Judged, Posts, open_posts

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BRANDS = (Brand(id="yunqiao", name="云桥金融"), Brand(id="other", name="别家", kind="competitor"))
TOPICS = (
    Topic(id="withdrawal_difficulty", name="提现困难", words=("提现",), weight=20, plan="red_plan"),
    Topic(id="service_outage", name="系统宕机", words=("宕机",), weight=10, plan="plain"),
    Topic(id="customer_complaint", name="客服投诉", words=("投诉",), weight=6, plan="plain"),
    Topic(id="rumor", name="谣言", words=("谣言",), weight=6, plan="plain"),
)
PLANS = {
    "red_plan": Plan(id="red_plan", name="提现", level=Level.RED, version="1", goal="", tasks=()),
    "plain": Plan(id="plain", name="一般", level=Level.YELLOW, version="1", goal="", tasks=()),
}


def judged(
    number: int | str,
    at: datetime,
    *,
    brand: str = "yunqiao",
    sentiment: Sentiment = Sentiment.NEGATIVE,
    topics: Sequence[str] = (),
    stance: Stance = Stance.ASSERT,
    author: str = "",
    tier: Tier = Tier.USER,
    verified: bool = False,
    platform: str = "weibo",
    story: str = "",
    text: str = "提现三天没到账",
    engagement: Engagement | None = None,
    coordination: float = 0.0,
    influence: float = 1.0,
) -> Judged:
    """A judged post; what is not said is ordinary."""
    id_ = post_id(platform, str(number))
    post = Post(
        id=id_,
        platform=platform,
        source="test",
        native_id=str(number),
        text=text,
        published_at=at,
        fetched_at=at,
        author=Author(key=author or f"author-{number}", name="某***", tier=tier, verified=verified),
        engagement=engagement or Engagement(),
    )
    negative = float(sentiment is Sentiment.NEGATIVE)
    assessment = Assessment(
        post_id=id_,
        model="test",
        sentiment=sentiment,
        probabilities={each.value: float(each is sentiment) for each in Sentiment},
        topics=tuple(TopicJudgement(id=topic, stance=stance, probability=0.9) for topic in topics),
        entities=(
            EntityJudgement(name=brand, sentiment=sentiment, probability=1.0, negative=negative, brand=brand),
        ),
        story=story or id_,
        coordination=coordination,
        influence=influence,
    )
    return Judged(post=post, assessment=assessment)


def background(until: datetime, *, days: int = 10, per_hour: float = 6, share: float = 0.12) -> list[Judged]:
    """Quiet days: posts at random minutes, some of them complaints."""
    rng = random.Random(7)
    found = []
    for number in range(int(days * 24 * per_hour)):
        at = until - timedelta(seconds=rng.uniform(0, days * 86400))
        bad = rng.random() < share
        found.append(
            judged(
                f"calm-{number}",
                at,
                sentiment=Sentiment.NEGATIVE if bad else Sentiment.NEUTRAL,
                topics=("customer_complaint",) if bad else (),
            )
        )
    return found


def crisis(onset: datetime, *, minutes: int = 60, count: int = 30, tag: str = "crisis") -> list[Judged]:
    """Withdrawals fail: ever more posts that say so, on three platforms."""
    found = []
    for number in range(count):
        at = onset + timedelta(minutes=minutes * (number / count) ** 0.7)
        platform = ("weibo", "guba", "heimao")[number % 3]
        found.append(judged(f"{tag}-{number}", at, topics=("withdrawal_difficulty",), platform=platform))
    return found


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[Posts]:
    """An empty posts store."""
    store = open_posts(f"sqlite:///{tmp_path}/posts.sqlite3", segment=list)
    yield store
    store.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    store = open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite3")
    yield store
    store.close()


@pytest.fixture
def make_watch(posts: Posts, ledger: Ledger) -> Callable[..., Watch]:
    """A fresh watch (as after a restart) over the stores."""

    def make(**changes: object) -> Watch:
        given: dict[str, object] = {
            "posts": posts,
            "ledger": ledger,
            "brands": BRANDS,
            "topics": TOPICS,
            "rules": Rules(baselines=Baselines(rebuild_days=14)),
            "plans": PLANS,
        }
        return Watch(**(given | changes))  # type: ignore[arg-type]

    return make
