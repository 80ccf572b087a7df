"""What every inbox promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import StoreError
from domain.post import Author, Engagement, Post, Tier
from store.inbox import Depth, Inbox

LEASE = timedelta(minutes=5)


def test_a_post_comes_back_as_it_was_put(inbox: Inbox, post, now) -> None:
    full = post(
        title="标题",
        url="https://example.com/1",
        author=Author(key="k", name="张***", tier=Tier.BIG_V, verified=True, followers=12),
        engagement=Engagement(reposts=1, comments=2, likes=3, views=4),
        date_only=True,
        repost_of="x",
    )
    assert inbox.put([full], now=now) == 1
    (leased,) = inbox.lease(10, now=now, lease=LEASE)
    assert (leased.post, leased.tries) == (full, 1)


def test_the_oldest_are_leased_first_and_only_once(inbox: Inbox, post, now) -> None:
    inbox.put([post(str(n)) for n in range(5)], now=now)
    first = inbox.lease(2, now=now, lease=LEASE)
    rest = inbox.lease(10, now=now, lease=LEASE)
    assert [each.post.native_id for each in first + rest] == ["0", "1", "2", "3", "4"]
    assert inbox.lease(10, now=now, lease=LEASE) == []


def test_what_is_acknowledged_is_gone(inbox: Inbox, post, now) -> None:
    inbox.put([post("1"), post("2")], now=now)
    tokens = [each.token for each in inbox.lease(10, now=now, lease=LEASE)]
    assert inbox.acknowledge(tokens[:1]) == 1
    assert inbox.acknowledge(tokens) == 1
    assert inbox.acknowledge([*tokens, "", "no-token", "7-", "-x", "9" * 40 + "-x"]) == 0
    assert inbox.lease(10, now=now + LEASE, lease=LEASE) == []


def test_a_lease_that_ran_out_is_leased_again_and_its_token_is_void(inbox: Inbox, post, now) -> None:
    inbox.put([post()], now=now)
    (old,) = inbox.lease(1, now=now, lease=LEASE)
    assert inbox.lease(1, now=now + LEASE - timedelta(microseconds=1), lease=LEASE) == []
    (new,) = inbox.lease(1, now=now + LEASE, lease=LEASE)
    assert (new.tries, new.post) == (2, old.post)
    assert inbox.acknowledge([old.token]) == 0
    inbox.bury(old.token, reason="late", now=now)
    assert inbox.dead() == []
    assert inbox.acknowledge([new.token]) == 1


def test_what_is_given_back_waits_as_if_it_had_not_been_leased(inbox: Inbox, post, now) -> None:
    inbox.put([post(str(n)) for n in range(4)], now=now)
    leased = inbox.lease(4, now=now, lease=LEASE)
    inbox.acknowledge([leased[0].token])
    inbox.give_back(leased[:3])
    inbox.give_back([])
    again = inbox.lease(4, now=now, lease=LEASE)
    assert [(each.post.native_id, each.tries) for each in again] == [("1", 1), ("2", 1)]
    assert inbox.acknowledge([each.token for each in leased]) == 1
    assert inbox.acknowledge([each.token for each in again]) == 2


def test_posts_of_several_leases_that_ran_out_come_in_their_old_order(inbox: Inbox, post, now) -> None:
    inbox.put([post(str(n)) for n in range(2)], now=now - 2 * LEASE)
    inbox.put([post(str(n)) for n in range(2, 14)], now=now)
    inbox.lease(2, now=now, lease=2 * LEASE)
    inbox.lease(9, now=now, lease=LEASE)
    assert inbox.depth(now=now + 2 * LEASE).oldest == now - 2 * LEASE
    later = inbox.lease(12, now=now + 2 * LEASE, lease=LEASE)
    assert [int(each.post.native_id) for each in later] == list(range(12))
    assert [each.tries for each in later] == [2] * 11 + [1]
    assert inbox.depth(now=now + 2 * LEASE) == Depth(waiting=2, leased=12, dead=0, oldest=now)


def test_an_identical_copy_is_added_once(inbox: Inbox, post, now) -> None:
    newer = post(fetched_at=now + timedelta(hours=1), engagement=Engagement(likes=1))
    assert inbox.put([post(), post(), newer], now=now) == 2
    (first, _) = leased = inbox.lease(10, now=now, lease=LEASE)
    assert inbox.put([post()], now=now) == 0
    inbox.acknowledge([each.token for each in leased])
    assert inbox.put([first.post], now=now) == 1


def test_poison_goes_to_the_dead_letters_with_its_reason(inbox: Inbox, post, now) -> None:
    inbox.put([post("1"), post("2")], now=now)
    one, two = inbox.lease(2, now=now, lease=LEASE)
    inbox.bury(one.token, reason="bad\x00one", now=now)
    inbox.bury(two.token, reason="bad two", now=now + timedelta(seconds=1))
    assert [(letter.post, letter.reason) for letter in inbox.dead()] == [
        (two.post, "bad two"),
        (one.post, "bad\ufffdone"),
    ]
    assert len(inbox.dead(limit=1)) == 1
    assert inbox.depth(now=now) == Depth(waiting=0, leased=0, dead=2, oldest=None)
    assert inbox.lease(10, now=now + 2 * LEASE, lease=LEASE) == []


def test_dead_letters_can_be_put_back(inbox: Inbox, post, now) -> None:
    inbox.put([post(str(n)) for n in range(3)], now=now)
    for each in inbox.lease(2, now=now, lease=LEASE):
        inbox.bury(each.token, reason="毒", now=now)
    assert (inbox.revive(now=now), inbox.dead(), inbox.revive(now=now)) == (2, [], 0)
    leased = inbox.lease(10, now=now, lease=LEASE)
    assert sorted((each.post.native_id, each.tries) for each in leased) == [("0", 1), ("1", 1), ("2", 1)]


def test_the_newest_letter_is_the_last_that_was_buried_whatever_the_clocks_say(
    inbox: Inbox, post, now
) -> None:
    inbox.put([post("1"), post("2")], now=now)
    one, two = inbox.lease(2, now=now, lease=LEASE)
    inbox.bury(one.token, reason="r", now=now)
    inbox.bury(two.token, reason="r", now=now - timedelta(hours=1))
    assert [letter.at for letter in inbox.dead()] == [now - timedelta(hours=1), now]
    assert inbox.dead(limit=0) == []


def test_depth_tells_waiting_from_leased(inbox: Inbox, post, now) -> None:
    assert inbox.depth(now=now) == Depth(waiting=0, leased=0, dead=0, oldest=None)
    inbox.put([post("1")], now=now - timedelta(hours=1))
    inbox.put([post("2")], now=now)
    assert inbox.depth(now=now).oldest == now - timedelta(hours=1)
    inbox.lease(1, now=now, lease=LEASE)
    assert inbox.depth(now=now) == Depth(waiting=1, leased=1, dead=0, oldest=now)
    assert inbox.depth(now=now + LEASE).waiting == 2


def test_what_no_store_can_hold_is_replaced(inbox: Inbox, post, now) -> None:
    hostile = post("1", "a\x00b\ud800c \\u0000 \udfff", title="\x00")
    inbox.put([hostile, post("2")], now=now)
    first, second = inbox.lease(2, now=now, lease=LEASE)
    assert (first.post.text, first.post.title) == ("a\ufffdb\ufffdc \\u0000 \ufffd", "\ufffd")
    assert second.post == post("2")


def test_a_batch_is_stored_wholly_or_not_at_all(inbox: Inbox, post, now) -> None:
    beyond = datetime.max.replace(tzinfo=timezone(timedelta(hours=-8)))
    with pytest.raises(StoreError):
        inbox.put([post("1"), post("2", published_at=beyond)], now=now)
    assert inbox.depth(now=now).waiting == 0


def test_threads_share_an_inbox(inbox: Inbox, post, now) -> None:
    taken: list[str] = []

    def put(part: int) -> None:
        for n in range(10):
            inbox.put([post(f"{part}-{n}-{k}") for k in range(5)], now=now)

    def work() -> None:
        while leased := inbox.lease(7, now=now, lease=LEASE):
            taken.extend(each.post.id for each in leased)
            inbox.acknowledge([each.token for each in leased])

    for target, args in ((put, [(n,) for n in range(4)]), (work, [()] * 4)):
        threads = [Thread(target=target, args=each) for each in args]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(taken) == len(set(taken)) == 200


def test_it_finds_itself_well_and_has_nothing_to_mend(inbox: Inbox, post, now) -> None:
    inbox.put([post(str(n)) for n in range(700)], now=now)
    leased = inbox.lease(3, now=now, lease=LEASE)
    inbox.bury(leased[0].token, reason="bad", now=now)
    found = inbox.examine()
    assert found
    assert [finding for finding in found if not finding.ok or finding.remedy] == []
    assert all(finding.ok for finding in inbox.mend())
    assert inbox.put([post("5")], now=now) == 0
    assert inbox.acknowledge([each.token for each in leased]) == 2


class Model:
    """An inbox in forty lines: a list of [post, put_at, leased_until, token, tries]."""

    def __init__(self) -> None:
        self.rows: list[list] = []
        self.dead: list[Post] = []

    def put(self, posts: list[Post], now: datetime) -> int:
        before = len(self.rows)
        for each in posts:
            if all(row[0] != each for row in self.rows):
                self.rows.append([each, now, None, None, 0])
        return len(self.rows) - before

    def lease(self, limit: int, now: datetime, tokens: list[str]) -> list[tuple[Post, int]]:
        free = [row for row in self.rows if row[2] is None or row[2] <= now][:limit]
        for row, token in zip(free, tokens, strict=True):
            row[2], row[3], row[4] = now + LEASE, token, row[4] + 1
        return [(row[0], row[4]) for row in free]

    def acknowledge(self, tokens: list[str]) -> int:
        good = [row for row in self.rows if row[3] in tokens]
        self.rows = [row for row in self.rows if row not in good]
        return len(good)


MINUTE = timedelta(minutes=1)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.integers(0, 6), max_size=4)),
        st.tuples(st.just("lease"), st.integers(0, 4)),
        st.tuples(st.just("acknowledge"), st.lists(st.integers(0, 12), max_size=4)),
        st.tuples(st.just("bury"), st.integers(0, 12)),
    ),
    max_size=14,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(operations=OPERATIONS)
def test_it_behaves_like_the_model(new_inbox: Callable[[], Inbox], post, operations) -> None:
    inbox, model, tokens = new_inbox(), Model(), []
    now = datetime(2026, 11, 22, tzinfo=UTC)
    for name, value in operations:
        now += 2 * MINUTE
        if name == "put":
            batch = [replace(post(str(n % 4)), text=f"v{n}") for n in value]
            assert inbox.put(batch, now=now) == model.put(batch, now)
        elif name == "lease":
            leased = inbox.lease(value, now=now, lease=LEASE)
            new = [each.token for each in leased]
            tokens += new
            assert [(each.post, each.tries) for each in leased] == model.lease(value, now, new)
        elif name == "acknowledge":
            chosen = list({tokens[n] for n in value if n < len(tokens)})
            assert inbox.acknowledge(chosen) == model.acknowledge(chosen)
        elif value < len(tokens):
            buried = [row[0] for row in model.rows if row[3] == tokens[value]]
            inbox.bury(tokens[value], reason="r", now=now)
            model.acknowledge([tokens[value]])
            model.dead = buried + model.dead
    assert [letter.post for letter in inbox.dead()] == model.dead
    waiting = [row for row in model.rows if row[2] is None or row[2] <= now]
    assert inbox.depth(now=now) == Depth(
        waiting=len(waiting),
        leased=len(model.rows) - len(waiting),
        dead=len(model.dead),
        oldest=min((row[1] for row in waiting), default=None),
    )
    inbox.close()
