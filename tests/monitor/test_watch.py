"""The watch over real stores: a crisis is told once, calm is not, and nothing depends on luck."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from config.settings import Baselines, Brand, LevelThresholds, Limits, Rules, Source
from domain.alert import Alert, AlertState, Change, Level
from domain.assessment import Sentiment
from domain.errors import StoreError
from domain.post import Engagement, Tier
from domain.source_run import Outcome, SourceRun
from monitor.series import bucket_of
from monitor.watch import Tick, Watch
from store.ledger import Ledger
from store.posts import Posts

_spec = importlib.util.spec_from_file_location("monitor_scene", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
scene = importlib.util.module_from_spec(_spec)
sys.modules["monitor_scene"] = scene
_spec.loader.exec_module(scene)

NOW = scene.NOW
Make = Callable[..., Watch]


def run(watch: Watch, *, hours: float, start=NOW, step: int = 5) -> list[Alert]:
    """Tick every ``step`` minutes; all revisions."""
    found: list[Alert] = []
    for minute in range(0, int(hours * 60) + 1, step):
        found += watch.tick(start + timedelta(minutes=minute)).alerts
    return found


def everything(ledger: Ledger) -> list[Alert]:
    return ledger.alerts.find(limit=1000)


class TestCrisis:
    def test_is_told_once_with_its_topic_level_and_onset(
        self, posts: Posts, ledger: Ledger, make_watch: Make
    ) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=2)), *scene.crisis(NOW)])
        revisions = run(make_watch(), hours=2)
        born = [each for each in revisions if each.change is Change.NEW]
        assert len(born) == 1
        assert len(everything(ledger)) == 1
        first = born[0]
        assert first.brand == "yunqiao"
        assert first.lead_topic == "withdrawal_difficulty"
        assert (first.at - NOW) <= timedelta(minutes=30)
        assert abs(first.onset - NOW) <= timedelta(minutes=20)
        assert everything(ledger)[0].level >= Level.ORANGE
        assert "过去" in first.explanation
        assert "负面" in first.explanation

    def test_numbers_of_the_alert_are_counts_of_stored_posts(self, posts: Posts, make_watch: Make) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=2)), *scene.crisis(NOW)])
        for alert in run(make_watch(), hours=1):
            rows = posts.counts(
                since=alert.at - timedelta(hours=1), until=alert.at, step_s=3600, topics=False
            )
            hour = posts.counts(since=alert.at - timedelta(hours=1), until=alert.at, step_s=300, topics=False)
            assert rows
            assert alert.numbers["negatives"] == sum(row.negative for row in hour if row.brand == "yunqiao")

    def test_recovers_after_six_quiet_hours_and_not_before(
        self, posts: Posts, ledger: Ledger, make_watch: Make
    ) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=14)), *scene.crisis(NOW)])
        revisions = run(make_watch(), hours=14, step=15)
        last = revisions[-1]
        assert last.change is Change.RECOVERED
        assert last.state is AlertState.RESOLVED
        assert last.at - NOW >= timedelta(hours=6)
        assert [each.state for each in everything(ledger)] == [AlertState.RESOLVED]

    def test_says_no_more_quiet_hours_than_there_were(self, posts: Posts, make_watch: Make) -> None:
        """The second hour is lower than the first and no news, yet it was not quiet."""
        second = NOW + timedelta(hours=13)
        posts.put(scene.background(NOW + timedelta(hours=42), days=12))
        posts.put([*scene.crisis(NOW, tag="first"), *scene.crisis(second, count=28, tag="second")])
        levels = LevelThresholds(downgrade_after_hours=24)
        watch = make_watch(rules=Rules(baselines=Baselines(rebuild_days=10), levels=levels))
        assert run(watch, hours=2, step=15)
        assert run(watch, hours=1, start=second, step=15) == []
        over = run(watch, hours=24, start=NOW + timedelta(hours=17), step=60)
        assert [each.change for each in over] == [Change.RECOVERED]
        assert "已连续 24 小时" in over[0].explanation
        assert over[0].at - second >= timedelta(hours=24)

    def test_levels_never_fall_while_it_is_open(self, posts: Posts, make_watch: Make) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=6)), *scene.crisis(NOW)])
        levels = [each.level for each in run(make_watch(), hours=6, step=15)]
        assert levels == sorted(levels)

    def test_an_acknowledged_alert_stays_acknowledged(
        self, posts: Posts, ledger: Ledger, make_watch: Make
    ) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=3)), *scene.crisis(NOW, minutes=120, count=80)])
        watch = make_watch()
        first = run(watch, hours=0.5)[0]
        assert ledger.alerts.set_state(first.id, AlertState.ACKNOWLEDGED, expect=[AlertState.FIRING])
        later = run(watch, hours=2, start=NOW + timedelta(minutes=35))
        assert later
        assert {each.id for each in later} == {first.id}
        assert {each.state for each in later} == {AlertState.ACKNOWLEDGED}

    def test_a_second_surge_is_told_when_a_blind_source_has_kept_the_alert_open(
        self, posts: Posts, ledger: Ledger, make_watch: Make
    ) -> None:
        posts.put(scene.background(NOW + timedelta(hours=32), days=12))
        posts.put([*scene.crisis(NOW, tag="first"), *scene.crisis(NOW + timedelta(hours=28), tag="second")])
        ledger.source_runs.record(crawl("blind", NOW - timedelta(hours=3), Outcome.RESULTS))
        watch = make_watch(sources=[source("blind")])
        first = [each for each in run(watch, hours=3, step=15) if each.brand]
        between = run(watch, hours=24, start=NOW + timedelta(hours=3), step=120)
        second = run(watch, hours=2, start=NOW + timedelta(hours=28), step=15)
        assert [each for each in between if each.brand] == []
        assert {each.id for each in second} == {first[0].id}
        assert second[0].change is Change.UPDATE

    def test_the_same_height_again_is_no_news_on_the_same_day(self, posts: Posts, make_watch: Make) -> None:
        posts.put(scene.background(NOW + timedelta(hours=8)))
        posts.put([*scene.crisis(NOW, tag="first"), *scene.crisis(NOW + timedelta(hours=4), tag="second")])
        watch = make_watch()
        assert run(watch, hours=3, step=15)
        assert run(watch, hours=3, start=NOW + timedelta(hours=4), step=15) == []


class TestCalm:
    def test_quiet_days_raise_nothing(self, posts: Posts, ledger: Ledger, make_watch: Make) -> None:
        posts.put(scene.background(NOW + timedelta(hours=24), days=14))
        assert run(make_watch(), hours=24, step=10) == []

    def test_a_positive_campaign_raises_nothing(self, posts: Posts, ledger: Ledger, make_watch: Make) -> None:
        posts.put(scene.background(NOW + timedelta(hours=4), days=14))
        rng = random.Random(3)
        posts.put(
            [
                scene.judged(
                    f"praise-{n}",
                    NOW + timedelta(minutes=rng.uniform(0, 180)),
                    sentiment=Sentiment.NEGATIVE if rng.random() < 0.04 else Sentiment.POSITIVE,
                )
                for n in range(120)
            ]
        )
        assert run(make_watch(), hours=4) == []
        assert {signal.detector for signal in ledger.signals.since(NOW, brand="yunqiao")} == {"volume"}

    def test_a_competitor_is_counted_not_alerted(self, posts: Posts, make_watch: Make) -> None:
        posts.put([replace_brand(each, "other") for each in [*scene.background(NOW), *scene.crisis(NOW)]])
        assert run(make_watch(), hours=2, step=15) == []


class TestColdStart:
    @pytest.mark.parametrize(("count", "alerts"), [(2, 0), (4, 0), (9, 1)])
    def test_a_brand_without_history(self, posts: Posts, make_watch: Make, count: int, alerts: int) -> None:
        posts.put(scene.crisis(NOW, minutes=40, count=count))
        found = [each for each in run(make_watch(), hours=1) if each.change is Change.NEW]
        assert len(found) == alerts
        assert all("数据不足" in each.explanation for each in found)

    @pytest.mark.parametrize("edit", ["none", "topic", "brand", "model", "long pause"])
    def test_silence_that_was_listened_to_is_history_whatever_is_edited(
        self, posts: Posts, make_watch: Make, edit: str
    ) -> None:
        neutral = {"brand": "other", "sentiment": Sentiment.NEUTRAL}
        posts.put([scene.judged(f"o{n}", NOW - timedelta(minutes=30 * n), **neutral) for n in range(400)])
        watch = make_watch()
        ago = timedelta(days=30 if edit == "long pause" else 0)
        run(watch, hours=96, start=NOW - timedelta(days=4) - ago, step=60)
        if edit == "topic":
            fraud = scene.Topic(id="fraud", name="诈骗", words=("骗",), weight=10, plan="plain")
            watch = make_watch(topics=(*scene.TOPICS, fraud))
        elif edit == "brand":
            watch = make_watch(brands=(*scene.BRANDS, Brand(id="third", name="第三家")))
        elif edit == "model":
            watch.recount(NOW, why="model")
        posts.put(scene.crisis(NOW, minutes=50, count=5))
        raised = [each for each in run(watch, hours=1) if each.change is Change.NEW]
        # After a pause longer than what is rebuilt nobody has listened to anything that is.
        assert len(raised) == (edit != "long pause")

    def test_copies_of_one_text_do_not_alarm_a_brand_without_history(
        self, posts: Posts, make_watch: Make
    ) -> None:
        posts.put(
            [scene.judged(n, NOW + timedelta(minutes=n), story="same", author="one") for n in range(20)]
        )
        assert run(make_watch(), hours=1) == []


class TestLate:
    def test_a_post_that_arrives_after_the_crawl_still_counts(self, posts: Posts, make_watch: Make) -> None:
        posts.put(scene.background(NOW + timedelta(hours=2)))
        watch = make_watch(sources=[source("s", every_min=20)])
        assert run(watch, hours=0.5) == []
        posts.put(scene.crisis(NOW - timedelta(minutes=10), minutes=30, count=20))
        assert [each.change for each in watch.tick(NOW + timedelta(minutes=45)).alerts] == [Change.NEW]

    def test_of_a_burst_that_was_crawled_late_the_whole_is_told(self, posts: Posts, make_watch: Make) -> None:
        posts.put(scene.background(NOW))
        watch = make_watch(sources=[source("s", every_min=60)])
        watch.tick(NOW - timedelta(minutes=5))
        burst = (NOW - timedelta(minutes=80) + timedelta(seconds=20 * n) for n in range(40))
        posts.put([scene.judged(f"b{n}", at) for n, at in enumerate(burst)])
        told = next(each for each in watch.tick(NOW).alerts if each.brand)
        assert told.numbers["negatives"] >= 40
        assert told.numbers["until"] < told.at.timestamp()

    def test_what_arrives_hours_late_corrects_history_and_never_alerts(
        self, posts: Posts, make_watch: Make
    ) -> None:
        posts.put(scene.background(NOW + timedelta(hours=6)))
        watch = make_watch(sources=[source("s", every_min=20)])
        run(watch, hours=3, step=30)
        posts.put(scene.crisis(NOW - timedelta(hours=1), minutes=60, count=60))
        assert run(watch, hours=2, start=NOW + timedelta(hours=3)) == []


class TestAgain:
    def test_a_tick_run_twice_changes_nothing(self, posts: Posts, ledger: Ledger, make_watch: Make) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=2)), *scene.crisis(NOW)])
        once = run(make_watch(), hours=1)
        signals = ledger.signals.since(NOW)
        assert run(make_watch(), hours=1) == []
        assert ledger.signals.since(NOW) == signals
        assert everything(ledger)[0] == once[-1]

    def test_two_watchers_raise_one_alert(self, posts: Posts, ledger: Ledger, make_watch: Make) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=2)), *scene.crisis(NOW)])
        one, two = make_watch(), make_watch()
        found: list[Alert] = []
        for minute in range(0, 65, 5):
            now = NOW + timedelta(minutes=minute)
            found += [*one.tick(now).alerts, *two.tick(now).alerts]
        assert len({each.id for each in found}) == 1
        assert [each.revision for each in found] == list(range(1, len(found) + 1))

    @pytest.mark.parametrize("repository", ["states", "signals", "alerts"])
    @pytest.mark.parametrize("after", [False, True])
    def test_killed_at_a_write_it_ends_where_it_would_have(
        self, posts: Posts, ledger: Ledger, make_watch: Make, tmp_path: Path, repository: str, after: bool
    ) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=2)), *scene.crisis(NOW)])
        minute = 0
        watch = make_watch(ledger=Dying(ledger, repository, after=after))
        deaths = 0
        while minute <= 60:
            try:
                watch.tick(NOW + timedelta(minutes=minute))
            except StoreError:
                deaths += 1
                watch = make_watch(ledger=Dying(ledger, repository, after=after, lives=deaths))
                continue
            minute += 5
        assert deaths > 0
        from store.ledger import open_ledger

        calm = open_ledger(f"sqlite:///{tmp_path}/undisturbed.sqlite3")
        run(make_watch(ledger=calm), hours=1)
        assert everything(ledger) == everything(calm)
        calm.close()

    def test_order_of_arrival_does_not_matter(self, tmp_path: Path, make_watch: Make) -> None:
        from store.ledger import open_ledger
        from store.posts import open_posts

        rows = [*scene.background(NOW + timedelta(hours=1)), *scene.crisis(NOW)]
        found = []
        for seed in (1, 2):
            random.Random(seed).shuffle(rows)
            store = open_posts(f"sqlite:///{tmp_path}/p{seed}.sqlite3", segment=list)
            book = open_ledger(f"sqlite:///{tmp_path}/l{seed}.sqlite3")
            for start in range(0, len(rows), 400):
                store.put(rows[start : start + 400])
            found.append(run(make_watch(posts=store, ledger=book), hours=1, step=15))
            store.close()
            book.close()
        assert found[0] == found[1]
        assert found[0]


class TestLimits:
    def test_limits_alert_without_the_learned_gate(self, posts: Posts, make_watch: Make) -> None:
        posts.put(scene.background(NOW + timedelta(hours=1)))
        posts.put([scene.judged(n, NOW + timedelta(minutes=n * 5)) for n in range(4)])
        limited = Brand(id="yunqiao", name="云桥金融", limits=Limits(volume=3))
        found = run(make_watch(brands=[limited]), hours=0.5)
        assert [each.change for each in found][:1] == [Change.NEW]
        assert "超过设定上限 3 条" in found[0].explanation

    def test_one_verified_post_on_a_red_topic(self, posts: Posts, make_watch: Make) -> None:
        posts.put(scene.background(NOW + timedelta(hours=1)))
        said = scene.judged(
            "media",
            NOW,
            topics=("withdrawal_difficulty",),
            tier=Tier.CENTRAL_MEDIA,
            verified=True,
            platform="news",
        )
        posts.put([said])
        limited = Brand(id="yunqiao", name="云桥金融", limits=Limits(verified_red=True))
        found = run(make_watch(brands=[limited]), hours=0.25)
        assert [each.change for each in found] == [Change.NEW]
        assert found[0].level >= Level.ORANGE
        assert run(make_watch(brands=[Brand(id="yunqiao", name="云桥金融")]), hours=0.25) == []


class TestSources:
    def test_a_blind_source_alerts_its_operator_and_marks_alerts(
        self, posts: Posts, ledger: Ledger, make_watch: Make
    ) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=2)), *scene.crisis(NOW)])
        watch = make_watch(sources=[source("seeing"), source("blind")])
        ledger.source_runs.record(crawl("seeing", NOW, Outcome.RESULTS))
        ledger.source_runs.record(crawl("blind", NOW - timedelta(hours=2), Outcome.RESULTS))
        ledger.source_runs.record(crawl("blind", NOW, Outcome.BLOCKED))
        found = run(watch, hours=0.5)
        operator = [each for each in found if each.source]
        assert [(each.source, each.brand, each.level) for each in operator] == [("blind", "", Level.NONE)]
        assert "被拦截" in operator[0].explanation
        assert all(each.incomplete == ("blind",) for each in found if each.brand)
        ledger.source_runs.record(crawl("blind", NOW + timedelta(minutes=31), Outcome.EMPTY))
        ledger.source_runs.record(crawl("seeing", NOW + timedelta(minutes=31), Outcome.RESULTS))
        after = watch.tick(NOW + timedelta(minutes=35))
        assert [(each.source, each.change) for each in after.alerts if each.source] == [
            ("blind", Change.RECOVERED)
        ]

    def test_an_alert_does_not_recover_while_a_source_is_blind(
        self, posts: Posts, ledger: Ledger, make_watch: Make
    ) -> None:
        posts.put([*scene.background(NOW + timedelta(hours=14)), *scene.crisis(NOW)])
        ledger.source_runs.record(crawl("blind", NOW, Outcome.RESULTS))
        found = run(make_watch(sources=[source("blind")]), hours=14, step=30)
        assert not [each for each in found if each.brand and each.change is Change.RECOVERED]

    def test_a_crawl_dated_ahead_does_not_make_a_blind_source_see(
        self, ledger: Ledger, make_watch: Make
    ) -> None:
        ledger.source_runs.record(crawl("blind", NOW - timedelta(hours=3), Outcome.RESULTS))
        ledger.source_runs.record(crawl("blind", NOW + timedelta(days=60), Outcome.RESULTS))
        ledger.source_runs.record(crawl("blind", NOW, Outcome.BLOCKED))
        tick = make_watch(sources=[source("blind")]).tick(NOW)
        assert [each.source for each in tick.alerts] == ["blind"]
        assert "被拦截" in tick.alerts[0].explanation

    def test_a_flatline_is_blind_a_quiet_source_is_not(self, ledger: Ledger, make_watch: Make) -> None:
        for number in range(180):
            at = NOW - timedelta(minutes=10 * (180 - number))
            silent = number >= 160
            ledger.source_runs.record(crawl("busy", at, Outcome.RESULTS, new=0 if silent else 5))
            ledger.source_runs.record(
                crawl("quiet", at, Outcome.RESULTS, new=int(number % 15 == 0 and not silent))
            )
        tick = make_watch(sources=[source("busy"), source("quiet")]).tick(NOW)
        assert [each.source for each in tick.alerts] == ["busy"]
        assert "没有一条新帖" in tick.alerts[0].explanation


def test_a_new_topic_of_the_same_brand_joins_by_posts_or_stands_alone(
    posts: Posts, ledger: Ledger, make_watch: Make
) -> None:
    posts.put([*scene.background(NOW + timedelta(hours=2)), *scene.crisis(NOW)])
    both = [
        scene.judged(
            f"both-{n}", NOW + timedelta(minutes=30 + n), topics=("withdrawal_difficulty", "service_outage")
        )
        for n in range(12)
    ]
    posts.put(both)
    run(make_watch(), hours=1.5)
    assert len(everything(ledger)) == 1


def test_band_is_the_usual_and_empty_where_unknown(posts: Posts, make_watch: Make) -> None:
    posts.put([*scene.background(NOW + timedelta(hours=2), days=14), *scene.crisis(NOW)])
    watch = make_watch()
    assert list(watch.band("yunqiao", "", NOW, NOW + timedelta(hours=3), 3600)) == []
    watch.tick(NOW + timedelta(hours=2))
    band = watch.band("yunqiao", "", NOW - timedelta(hours=22), NOW + timedelta(hours=2), 3600)
    assert len(band) == 24
    assert all(low <= mean <= high and low >= 0 for _, mean, low, high in band)
    assert 0.2 < sum(mean for _, mean, _, _ in band) / 24 < 1.5  # 6 posts an hour, 12 % negative: 0.72
    assert watch.band("other", "", NOW, NOW + timedelta(hours=3), 3600) == []
    assert watch.band("nobody", "", NOW, NOW + timedelta(hours=3), 3600) == []


def test_an_open_alert_escalates_on_reach_alone(posts: Posts, ledger: Ledger, make_watch: Make) -> None:
    posts.put(scene.background(NOW + timedelta(hours=4)))
    posts.put([scene.judged(f"c{n}", NOW + timedelta(minutes=n * 3), author="two") for n in range(12)])
    watch = make_watch()
    assert run(watch, hours=1)[-1].level < Level.ORANGE
    far = scene.judged("far", NOW + timedelta(minutes=61), engagement=Engagement(reposts=20_000))
    posts.put([far])
    after = run(watch, hours=0.25, start=NOW + timedelta(minutes=65))
    assert [each.change for each in after] == [Change.ESCALATED]
    assert after[0].level is Level.ORANGE


def test_a_loud_outage_does_not_hide_few_who_speak_of_something_graver(
    posts: Posts, make_watch: Make
) -> None:
    posts.put(scene.background(NOW + timedelta(hours=2)))
    loud = {"topics": ("service_outage",), "text": "App崩了", "influence": 3.0}
    posts.put([scene.judged(f"o{n}", NOW + timedelta(seconds=9 * n), **loud) for n in range(600)])
    fail = {"topics": ("withdrawal_difficulty",), "text": "提现不到账"}
    posts.put([scene.judged(f"w{n}", NOW + timedelta(minutes=40 + n), **fail) for n in range(6)])
    highest = max(run(make_watch(), hours=1), key=lambda each: each.level)
    assert highest.level is Level.ORANGE
    assert "withdrawal_cluster" in {reason.rule for reason in highest.reasons}


@pytest.mark.parametrize(("usually", "orange"), [(True, False), (False, True)])
def test_a_trickle_is_orange_where_nobody_says_so_on_other_days(
    posts: Posts, make_watch: Make, usually: bool, orange: bool
) -> None:
    """Five in five hours beside an outage; every hour of every day, or never before."""
    posts.put(scene.background(NOW + timedelta(hours=7)))
    outage = {"topics": ("service_outage",), "text": "App打不开了"}
    posts.put([scene.judged(f"o{n}", NOW + timedelta(minutes=2 * n), **outage) for n in range(30)])
    fail = {"topics": ("withdrawal_difficulty",), "text": "提现不到账"}
    hours = range(-220 if usually else 1, 6)
    posts.put([scene.judged(f"w{n}", NOW + timedelta(hours=n, minutes=20), **fail) for n in hours])
    found = run(make_watch(), hours=6, step=10)
    assert found
    assert (max(each.level for each in found) is Level.ORANGE) is orange


def after_an_outage(posts: Posts, watch: Watch, *, reposts: int = 12_000) -> Alert:
    """An outage alert, and a withdrawal crisis that begins two hours after it."""
    posts.put(scene.background(NOW + timedelta(hours=5), days=12))
    outage = {"topics": ("service_outage",), "text": "App打不开了"}
    posts.put([scene.judged(f"o{n}", NOW + timedelta(minutes=4 * n), **outage) for n in range(15)])
    far = Engagement(reposts=reposts)
    posts.put([scene.judged("far", NOW + timedelta(minutes=9), engagement=far, influence=10, **outage)])
    first = run(watch, hours=1, step=10)[-1]
    assert first.lead_topic == "service_outage"
    posts.put(scene.crisis(NOW + timedelta(hours=3), minutes=120, count=60))
    return first


def test_a_false_alarm_swallows_no_crisis_of_another_topic(
    posts: Posts, ledger: Ledger, make_watch: Make
) -> None:
    watch = make_watch()
    first = after_an_outage(posts, watch)
    assert ledger.alerts.set_state(first.id, AlertState.ACKNOWLEDGED, expect=[AlertState.FIRING])
    later = run(watch, hours=2, start=NOW + timedelta(hours=3), step=10)
    assert {each.id for each in later if each.topics == first.topics} <= {first.id}
    crisis = [each for each in later if each.lead_topic == "withdrawal_difficulty"]
    assert crisis[0].change is Change.NEW
    assert crisis[-1].level is Level.ORANGE
    assert len({each.id for each in crisis}) == 1


def test_a_graver_topic_with_a_hard_trigger_is_an_alert_of_its_own(posts: Posts, make_watch: Make) -> None:
    """The plan, and whoever muted the other topic, hang on the name."""
    watch = make_watch()
    first = after_an_outage(posts, watch, reposts=0)
    assert first.level < Level.ORANGE
    later = run(watch, hours=2, start=NOW + timedelta(hours=3), step=10)
    assert max(each.level for each in later) is Level.ORANGE
    assert {each.lead_topic for each in later if each.id != first.id} == {"withdrawal_difficulty"}
    assert [each.change for each in later if each.id == first.id] == []


def test_what_people_acknowledged_takes_the_topics_that_accompany_any_crisis(
    posts: Posts, ledger: Ledger, make_watch: Make
) -> None:
    posts.put(scene.background(NOW + timedelta(hours=5), days=12))
    both = {"topics": ("service_outage", "customer_complaint"), "text": "App打不开了"}
    posts.put([scene.judged(f"o{n}", NOW + timedelta(minutes=4 * n), **both) for n in range(15)])
    watch = make_watch()
    first = run(watch, hours=1, step=10)[-1]
    assert ledger.alerts.set_state(first.id, AlertState.ACKNOWLEDGED, expect=[AlertState.FIRING])
    angry = {"topics": ("customer_complaint",), "text": "客服不理人"}
    posts.put([scene.judged(f"c{n}", NOW + timedelta(minutes=120 + n), **angry) for n in range(60)])
    later = run(watch, hours=1, start=NOW + timedelta(hours=2), step=10)
    assert {each.id for each in later} == {first.id}
    assert {each.topics for each in later} == {first.topics}


@pytest.mark.parametrize(
    "brands", [[Brand(id="yunqiao", name="云桥金融", alert=False)], [Brand(id="new", name="云桥金融")]]
)
def test_an_alert_ends_with_the_alerting_of_its_brand(
    posts: Posts, ledger: Ledger, make_watch: Make, brands: list[Brand]
) -> None:
    posts.put([*scene.background(NOW + timedelta(hours=2)), *scene.crisis(NOW, count=60, minutes=120)])
    assert run(make_watch(), hours=0.5)
    over = run(make_watch(brands=brands), hours=1, start=NOW + timedelta(minutes=35))
    assert [each.change for each in over] == [Change.RECOVERED]
    assert over[0].explanation == "这个品牌已停止预警；这不表示已经恢复。"
    assert [each.state for each in everything(ledger)] == [AlertState.RESOLVED]


def test_what_burns_on_is_not_over(posts: Posts, make_watch: Make) -> None:
    """The slow burn fires for hours in which no single one is too high; then one tick in which it does not."""
    end = NOW + timedelta(hours=24)
    posts.put(scene.background(end, days=14, per_hour=40, share=0.15))
    rng = random.Random(11)
    more = (NOW + timedelta(seconds=rng.uniform(0, 24 * 3600)) for _ in range(24 * 7))
    posts.put([scene.judged(f"burn{n}", at) for n, at in enumerate(more)])
    watch = make_watch()
    spoken, voices = [], watch._listener.voices

    def heard(window, seen):
        found = voices(window, seen)
        spoken.extend(seen.end for each in found.get(0, []) if each.finding.detector != "volume")
        return found

    watch._listener.voices = heard  # type: ignore[method-assign]
    revisions = run(watch, hours=24, step=15)
    assert spoken
    for over in (each for each in revisions if each.change is Change.RECOVERED):
        quiet = bucket_of(over.at) - 6 * 12
        assert not [when for when in spoken if when >= quiet]


def test_a_limit_that_is_passed_again_and_again_is_not_over(posts: Posts, make_watch: Make) -> None:
    for hour in range(9 * 24):
        count, begins = (10, 8)[hour % 2], NOW - timedelta(days=8) + timedelta(hours=hour)
        posts.put([scene.judged(f"{hour}-{n}", begins + timedelta(minutes=6 * n)) for n in range(count)])
    limited = [Brand(id="yunqiao", name="云桥金融", limits=Limits(volume=9))]
    revisions = run(make_watch(brands=limited), hours=10, step=5)
    assert [each.change for each in revisions] == [Change.NEW]


def test_a_clock_that_was_ahead_is_forgotten(posts: Posts, ledger: Ledger, make_watch: Make) -> None:
    posts.put(scene.background(NOW + timedelta(hours=2), days=14, per_hour=60, share=0.3))
    watch = make_watch()
    watch.tick(NOW)
    usual = watch.band("yunqiao", "", NOW, NOW + timedelta(hours=1), 3600)
    watch.tick(NOW + timedelta(days=60))
    again = make_watch()
    run(again, hours=1, start=NOW + timedelta(minutes=5), step=10)
    after = again.band("yunqiao", "", NOW, NOW + timedelta(hours=1), 3600)
    assert after[0][1:] == pytest.approx(usual[0][1:], rel=0.05)


def test_a_topics_alert_speaks_of_its_topic_when_it_rises_and_when_it_ends(
    posts: Posts, make_watch: Make
) -> None:
    posts.put(scene.background(NOW + timedelta(hours=10), days=8, per_hour=40, share=0.25))
    outage = {"topics": ("service_outage",), "text": "宕机"}
    posts.put([scene.judged(f"t{n}", NOW - timedelta(minutes=40 - 5 * n), **outage) for n in range(7)])
    far = Engagement(reposts=20_000)
    posts.put([scene.judged("far", NOW + timedelta(minutes=185), engagement=far, **outage)])
    watch = make_watch()
    first = run(watch, hours=0, start=NOW)[0]
    assert "「系统宕机」负面 7 条" in first.explanation
    risen = run(watch, hours=0, start=NOW + timedelta(minutes=190))[0]
    assert risen.change is Change.ESCALATED
    assert "升到橙色：单条转发 20000" in risen.explanation
    assert "过去 1 小时「系统宕机」负面 1 条，平时不到 1 条" in risen.explanation
    assert risen.numbers["negatives"] == 1
    assert risen.score == pytest.approx(sum(reason.points for reason in risen.reasons), abs=0.5)
    assert "tail_gate" not in {reason.rule for reason in risen.reasons}
    over = run(watch, hours=0, start=NOW + timedelta(minutes=590))[0]
    assert over.change is Change.RECOVERED
    assert "过去 1 小时「系统宕机」负面 0 条" in over.explanation
    assert over.numbers["negatives"] == 0


# ------------------------------------------------------------------------------------ pieces


def replace_brand(judged, brand: str):
    entities = tuple(replace(each, brand=brand, name=brand) for each in judged.assessment.entities)
    return replace(judged, assessment=replace(judged.assessment, entities=entities))


def source(id_: str, *, every_min: int = 10) -> Source:
    return Source(
        id=id_,
        kind="feed",
        name=f"来源{id_}",
        base_url="http://127.0.0.1",
        platform="news",
        every_min=every_min,
    )


def crawl(id_: str, at, outcome: Outcome, new: int = 1) -> SourceRun:
    return SourceRun(
        source=id_, started_at=at - timedelta(minutes=1), ended_at=at, outcome=outcome, new=new, found=new
    )


class Dying:
    """A ledger one of whose repositories dies at its next write, before or after doing it."""

    def __init__(self, ledger: Ledger, repository: str, *, after: bool, lives: int = 0) -> None:
        self.states, self.signals, self.alerts = ledger.states, ledger.signals, ledger.alerts
        self.source_runs = ledger.source_runs
        if lives < 3:
            setattr(self, repository, _Mortal(getattr(ledger, repository), after=after))


class _Mortal:
    WRITES = ("save", "replace", "record", "put")

    def __init__(self, inner: object, *, after: bool) -> None:
        self._inner, self._after = inner, after

    def __getattr__(self, name: str):
        method = getattr(self._inner, name)
        if name not in self.WRITES:
            return method

        def die(*args: object, **kwargs: object) -> object:
            if self._after:
                method(*args, **kwargs)
            raise StoreError("killed")

        return die


def test_tick_is_a_value() -> None:
    assert Tick(signals=(), alerts=()) == Tick(signals=(), alerts=())
