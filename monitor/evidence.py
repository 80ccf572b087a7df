"""What the posts behind a finding say together: who asserts what, where, and how far it carries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.assessment import Stance
from domain.post import Post, Tier
from monitor.ports import TopPosts
from store.posts import Judged

MOST_POSTS, PER_STORY = 200, 5
_OF_A_TOPIC = 50

COMMON = frozenset({"rumor", "customer_complaint"})
"""Topics that many posts of any crisis carry too: they lead only when no graver one has comparable support."""
_COMPARABLE = 1 / 3
_AUTHOR_SHARE = 0.10
_SUSPECT = 0.5


def author_of(judged: Judged) -> str:
    """Whom a post counts for: its author, else its story (copies of one text are one voice)."""
    return judged.post.author.key or f"story:{judged.story}"


def official(post: Post) -> bool:
    """A verified medium, regulator or court."""
    return post.author.verified and post.author.tier in (Tier.REGIONAL_MEDIA, Tier.CENTRAL_MEDIA)


def asserts(judged: Judged, topic: str) -> bool:
    """The post claims the topic (neither denies nor asks)."""
    return any(t.id == topic and t.stance is Stance.ASSERT for t in judged.assessment.topics)


def concerns(judged: Judged, topic: str, apart: Collection[str]) -> bool:
    """The post may speak of a crisis of ``topic``: it names that, or none of the topics that are ``apart``."""
    named = {each.id for each in judged.assessment.topics}
    return topic in named or not named & {*apart}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Negative posts since the onset, most influential first."""

    posts: tuple[Judged, ...] = ()
    support: dict[str, float] = field(default_factory=dict)
    """Topic id → Σ influence of posts that assert it, one author at most a tenth of all."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """Distinct platforms, sorted."""
        return tuple(sorted({each.post.platform for each in self.posts}))

    @property
    def authors(self) -> int:
        """Distinct voices."""
        return len({author_of(each) for each in self.posts})

    @property
    def suspected(self) -> float:
        """Share of posts with a coordination suspicion of one half or more (疑似水军)."""
        if not self.posts:
            return 0.0
        return sum(each.assessment.coordination >= _SUSPECT for each in self.posts) / len(self.posts)

    @property
    def engagement(self) -> int:
        """Reposts, comments and likes of all posts together."""
        return sum(each.post.engagement.total for each in self.posts)

    def asserting(self, topic: str) -> list[Judged]:
        """Posts that assert a topic."""
        return [each for each in self.posts if asserts(each, topic)]


def sample(
    store: TopPosts, brand: str, topics: Iterable[str], *, since: datetime, until: datetime
) -> list[Judged]:
    """The brand's most influential negative posts, and those of each topic where there are more than these.

    Without the latter a loud crisis would hide a graver one: two hundred well-liked posts of an outage leave no
    place for a hundred people nobody follows who say that the owner has fled.
    """
    found = store.top(brand=brand, since=since, until=until, limit=MOST_POSTS, per_story=PER_STORY)
    if len(found) < MOST_POSTS:
        return found
    unique = {each.post.id: each for each in found}
    for topic in topics:
        told = store.top(
            brand=brand, since=since, until=until, topic=topic, limit=_OF_A_TOPIC, per_story=PER_STORY
        )
        unique |= {each.post.id: each for each in told}
    return sorted(unique.values(), key=lambda each: (-each.assessment.influence, each.post.id))


def gather(posts: Sequence[Judged]) -> Evidence:
    """Evidence of negative posts; adverts say nothing."""
    kept = tuple(each for each in posts if not each.assessment.ad)
    total = sum(min(each.assessment.influence, 20.0) for each in kept)
    # With few voices a tenth each would silence everybody.
    cap = max(_AUTHOR_SHARE, 1 / max(1, len({author_of(each) for each in kept}))) * total
    votes: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for each in kept:
        for topic in each.assessment.topics:
            if topic.stance is Stance.ASSERT:
                voice = votes[topic.id]
                author = author_of(each)
                voice[author] = min(cap, voice[author] + min(each.assessment.influence, 20.0))
    return Evidence(posts=kept, support={topic: sum(voices.values()) for topic, voices in votes.items()})


def ranked_topics(evidence: Evidence, weights: dict[str, float]) -> tuple[str, ...]:
    """Topics by Σ influence × weight, the leading one first; those below a tenth of the first are left out."""
    scored = {t: s * weights[t] for t, s in evidence.support.items() if weights.get(t, 0) > 0}
    if not scored:
        return ()
    order = sorted(scored, key=lambda topic: (-scored[topic], topic))
    graver = [t for t in order if t not in COMMON and scored[t] >= _COMPARABLE * scored[order[0]]]
    if order[0] in COMMON and graver:
        order.remove(graver[0])
        order.insert(0, graver[0])
    least = 0.1 * max(scored.values())
    return tuple(topic for topic in order if scored[topic] >= least)
