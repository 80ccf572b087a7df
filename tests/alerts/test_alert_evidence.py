"""What a mail shows is what the stores hold, and what they do not hold is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from alerts.chosen import Pick, pieces, post_line
from alerts.words import clock, followers, moment, plain, span, usual, web_address, when
from domain.alert import Level
from domain.assessment import Sentiment
from domain.incident import Incident, TimelineEvent
from domain.plan import LegalClock, Plan, PlanTask, TaskStatus
from domain.post import Author, Engagement, Tier
from domain.source_run import Outcome, SourceRun
from response.plans import started
from store.ledger import Ledger
from store.posts import Posts
from tests.alerts import sample
from tests.alerts.sample import AT


def collect(posts: Posts, ledger: Ledger, **changes: object):
    ledger.signals.record([sample.signal()])
    return sample.evidence(posts, ledger).collect(sample.alert(**changes), None, now=AT)


def test_the_newest_bar_is_the_number_of_the_subject(crisis_posts: Posts, ledger: Ledger) -> None:
    view = collect(crisis_posts, ledger)
    assert len(view.series.hours) == 24
    assert view.series.end == AT
    assert view.series.hours[-1].negative == view.alert.numbers["negatives"]
    [row] = [
        row
        for row in crisis_posts.counts(
            since=AT - timedelta(hours=1), until=AT, step_s=86400, brands=("yunqiao",)
        )
        if row.topic == sample.TOPIC
    ]
    assert view.series.hours[-1].negative == row.negative


def test_posts_that_came_late_are_said(crisis_posts: Posts, ledger: Ledger) -> None:
    view = collect(crisis_posts, ledger, numbers={"negatives": 40, "per_hour_usual": 6})
    assert any("又收到 3 条迟到的帖子" in line for line in view.unknowns)


def test_a_number_of_an_earlier_hour_is_not_compared_with_the_newest(
    crisis_posts: Posts, ledger: Ledger
) -> None:
    until = (AT - timedelta(minutes=40)).timestamp()
    view = collect(crisis_posts, ledger, numbers={"negatives": 60, "per_hour_usual": 6, "until": until})
    assert not any("图中最近一小时" in line for line in view.unknowns)


def test_spread_counts_posts_stories_authors_and_platforms(crisis_posts: Posts, ledger: Ledger) -> None:
    spread = collect(crisis_posts, ledger).spread
    negative = [j for j in sample.crisis() if j.assessment.sentiment is Sentiment.NEGATIVE]
    assert spread.posts == len(negative) == sum(number for _, number in spread.platforms)
    assert spread.stories == len({j.assessment.story for j in negative})
    assert spread.authors == len({j.post.author.key for j in negative})
    assert spread.first.id == min(negative, key=lambda j: j.post.published_at).post.id


def test_the_water_army_is_suspected_with_its_evidence_only(
    crisis_posts: Posts, posts: Posts, ledger: Ledger
) -> None:
    suspicion = collect(crisis_posts, ledger).spread.suspicion
    assert (suspicion.posts, suspicion.accounts) == (5, 5)
    assert suspicion.minutes == pytest.approx(160 / 60)
    posts.put(
        [
            sample.judged("提现没到账", ident=str(n), at=AT - timedelta(minutes=n), coordination=0.9)
            for n in (1, 2, 3)
        ]
    )
    assert collect(posts, ledger).spread.suspicion is None


def test_five_posts_one_a_story_each_with_its_reason(crisis_posts: Posts, ledger: Ledger) -> None:
    lines = collect(crisis_posts, ledger).posts
    assert len(lines) == 5
    stories = {j.post.id: j.assessment.story for j in sample.crisis()}
    assert len({stories[line.id] for line in lines}) == 5
    reasons = {why: line for line in lines for why in line.why}
    assert reasons["传播最广"].reach.startswith("转 3,406")
    assert reasons["官方媒体"].weight == "认证媒体/机关 · 126.8 万粉"
    assert reasons["最早"].published_at == min(line.published_at for line in lines)


def test_one_text_copied_everywhere_is_one_line(posts: Posts, ledger: Ledger) -> None:
    posts.put(
        [
            sample.judged("提现没到账", ident=str(n), at=AT - timedelta(minutes=n), story="s")
            for n in range(1, 9)
        ]
    )
    first, widest = collect(posts, ledger).posts
    assert (first.copies, widest.copies) == (8, 8)
    assert (first.why[0], widest.why[0]) == ("最早", "传播最广")


def test_a_label_stands_at_the_post_that_earned_it(posts: Posts, ledger: Ledger) -> None:
    """Media copy what a private person wrote: one story, and it is the medium that a reader must see."""
    person = sample.judged(
        "提现没到账", ident="u", at=AT - timedelta(minutes=50), platform="tieba", story="s"
    )
    medium = sample.judged(
        "提现没到账", ident="m", at=AT - timedelta(minutes=30), story="s", **sample.STARS["w3-0035"]
    )
    posts.put([person, medium])
    lines = {line.id: line.why for line in collect(posts, ledger).posts}
    assert lines[person.post.id][0] == "最早"
    assert lines[medium.post.id][:2] == ("传播最广", "官方媒体")


def test_the_earliest_post_is_shown_however_little_influence_it_has(
    posts: Posts, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.evidence.MOST_POSTS", 100)
    loud = Engagement(likes=900)
    first = sample.judged("提现没到账", ident="u", at=AT - timedelta(minutes=40), engagement=Engagement())
    later = [
        sample.judged("提现没到账", ident=str(n), at=AT - timedelta(minutes=5), engagement=loud)
        for n in range(130)
    ]
    posts.put([first, *later])
    view = collect(posts, ledger)
    assert view.posts[0].id == view.spread.first.id == first.post.id
    assert view.spread.posts == 100


def test_an_empty_store_is_said_and_nothing_is_invented(posts: Posts, ledger: Ledger) -> None:
    view = collect(posts, ledger)
    assert (view.claims, view.posts, view.spread) == ((), (), None)
    assert any("没有找到" in line for line in view.unknowns)


def test_doubts_name_blind_sources_thin_data_confidence_and_delay(posts: Posts, ledger: Ledger) -> None:
    posts.put(
        [
            sample.judged(
                "提现没到账", ident=str(n), at=AT - timedelta(minutes=20 + n), certainty=0.5 + n / 10
            )
            for n in range(4)
        ]
    )
    said = "\n".join(collect(posts, ledger, incomplete=("guba_board", "unnamed")).unknowns)
    assert "股吧 从未成功采集过" in said
    assert "unnamed 从未成功采集过" in said
    assert "数据单薄：目前只有 4 条负面帖、4 个已知账号" in said
    assert "均值置信度 0.65，其中 1 条低于 0.60" in said
    assert "从发布到采集，中位" in said


def test_a_source_that_sees_again_is_told_with_the_gap_there_was(posts: Posts, ledger: Ledger) -> None:
    crawls = [(-90, Outcome.RESULTS), (-5, Outcome.BLOCKED), (30, Outcome.RESULTS)]
    said = []
    for minutes, outcome in crawls:
        at = AT + timedelta(minutes=minutes)
        ledger.source_runs.record(SourceRun(source="guba_board", started_at=at, ended_at=at, outcome=outcome))
        found = sample.evidence(posts, ledger).collect(sample.alert(), None, now=AT + timedelta(minutes=40))
        said.append(found.unknowns[0])
    assert said[1:] == [
        "股吧 已 2 小时 10 分看不到（上次成功 11月22日 周日 19:35）：级别可能偏低",
        "股吧 预警时已 1 小时 30 分看不到（上次成功 11月22日 周日 19:35），"
        "后来恢复（最近成功 11月22日 周日 21:35）：级别可能偏低",
    ]


def test_a_refresh_does_not_lengthen_the_delay(posts: Posts, ledger: Ledger) -> None:
    post = sample.judged("提现没到账", ident="1", at=AT - timedelta(minutes=50))
    later = replace(post.post, fetched_at=AT, engagement=Engagement(likes=999))
    posts.put([post])
    posts.put([replace(post, post=later)])
    first = (post.post.fetched_at - post.post.published_at) / timedelta(minutes=1)
    assert any(f"最长 {first:.0f} 分钟" in line for line in collect(posts, ledger).unknowns)


def test_posts_of_a_known_day_only_are_not_evidence(posts: Posts, ledger: Ledger) -> None:
    post = sample.judged("提现没到账", ident="1", at=AT - timedelta(minutes=5))
    posts.put([replace(post, post=replace(post.post, date_only=True))])
    view = collect(posts, ledger)
    assert view.posts == ()
    assert "1 条负面帖只知道日期、不知道时刻，没有算进摘要和传播" in view.unknowns
    assert not any("影响力最高" in line for line in view.unknowns)


def test_posts_too_many_to_read_are_said(
    posts: Posts, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.evidence.MOST_POSTS", 100)
    found = [sample.judged("提现没到账", ident=str(n), at=AT - timedelta(minutes=5)) for n in range(101)]
    posts.put(found)
    assert "共 101 条，摘要和传播只看了影响力最高的 100 条" in collect(posts, ledger).unknowns


def test_thin_history_is_said(crisis_posts: Posts, ledger: Ledger) -> None:
    evidence = sample.evidence(crisis_posts, ledger)
    evidence._band = lambda *_: []
    view = evidence.collect(sample.alert(), None, now=AT)
    assert all(hour.mean is None for hour in view.series.hours)
    assert any("给不出平时区间" in line for line in view.unknowns)


def test_the_plan_proposed_has_no_due_times_and_a_running_one_shows_what_is_open(
    posts: Posts, ledger: Ledger
) -> None:
    incident = sample.incident(ledger, sample.alert())
    evidence = sample.evidence(posts, ledger)
    proposed = evidence.collect(sample.alert(), incident, now=AT).next_step
    assert [(s.title, s.due_at, s.due_min) for s in proposed.steps][:1] == [("接手事件，拉起处置群", None, 5)]
    assert [duty.source for duty in proposed.duties] == ["地方突发事件信息报告规定"]
    start(ledger, incident, sample.PLAN, statuses=[TaskStatus.DONE, *[TaskStatus.OPEN] * 3])
    running = evidence.collect(sample.alert(), incident, now=AT + timedelta(minutes=6)).next_step
    assert running.running
    assert [s.title for s in running.steps] == ["核实 20 条帖子", "核对待付与可用资金", "宣布级别"]


def start(ledger: Ledger, incident: Incident, plan: Plan, *, statuses: Sequence[TaskStatus]) -> None:
    """Start a plan with its tasks in these states."""
    run = started(plan, incident=incident.id, level=Level.ORANGE, actor="王芳", now=AT)
    tasks = tuple(replace(task, status=status) for task, status in zip(run.tasks, statuses, strict=True))
    event = TimelineEvent(incident=incident.id, at=AT, actor="王芳", kind="plan_started")
    assert ledger.plan_runs.start(replace(run, tasks=tasks), event)


def test_clocks_and_tasks_are_those_of_the_plans_that_run(posts: Posts, ledger: Ledger) -> None:
    """The plan that the alert's topic would be proposed is another one, or none."""
    incident = sample.incident(ledger, sample.alert())
    leak = Plan(
        id="data_breach", name="数据泄露处置预案", level=Level.ORANGE, version="1", goal="止损",
        tasks=(PlanTask(id="contain", title="切断泄露源", role="IT/安全", due_min=10),),
        clocks=(LegalClock(name="网络安全事件报告", due_min=240, trigger="发生数据泄露", source="办法第四条"),),
    )  # fmt: skip
    start(ledger, incident, leak, statuses=[TaskStatus.OPEN])
    evidence = sample.evidence(posts, ledger)
    for topics in ((sample.TOPIC,), ("rumor",)):
        step = evidence.collect(sample.alert(topics=topics), incident, now=AT).next_step
        assert step.plan_name == "数据泄露处置预案"
        assert [duty.name for duty in step.duties] == ["网络安全事件报告"]
    start(ledger, incident, sample.PLAN, statuses=[TaskStatus.OPEN] * 4)
    both = evidence.collect(sample.alert(), incident, now=AT).next_step
    assert set(both.plan_name.split("、")) == {"数据泄露处置预案", sample.PLAN.name}
    assert {duty.name for duty in both.duties} == {"网络安全事件报告", "属地突发事件信息报告"}
    assert [s.title for s in both.steps][:2] == ["接手事件，拉起处置群", "切断泄露源"]


def test_no_plan_below_its_level(posts: Posts, ledger: Ledger) -> None:
    assert collect(posts, ledger, level=Level.BLUE, peak=Level.BLUE).next_step is None


@pytest.mark.parametrize(
    ("author", "weight"),
    [
        (Author(name="林***", followers=9_999), "9,999 粉"),
        (Author(name="江城财经", tier=Tier.REGIONAL_MEDIA, verified=True), "认证地方媒体"),
        (Author(name="公司", verified=True), "认证账号"),
        (Author(), ""),
    ],
)
def test_weights_of_authors(posts: Posts, ledger: Ledger, author: Author, weight: str) -> None:
    posts.put([sample.judged("提现没到账", ident="1", at=AT - timedelta(minutes=5), author=author)])
    [line] = collect(posts, ledger).posts
    assert line.weight == weight
    assert line.author == (author.name or "作者未知")


@pytest.mark.parametrize(("tier", "shown"), [(Tier.REGIONAL_MEDIA, "新闻 · 观澜财经"), (Tier.USER, "新闻")])
def test_a_medium_is_named_and_a_reader_of_it_is_not(tier: Tier, shown: str) -> None:
    item = sample.judged(
        "提现没到账", ident="1", at=AT, platform="news", author=Author(name="沈***", tier=tier)
    )
    pick = Pick(judged=item, why=("最早",))
    line = post_line(pick, [item], {"news": "新闻"}, {item.post.source: "观澜财经"})
    assert line.platform == shown


@pytest.mark.parametrize(
    ("text", "marks", "expected"),
    [
        ("提现没到账", ("到账",), [("提现没", False), ("到账", True)]),
        ("提现提现", ("提现",), [("提现提现", True)]),
        ("没有", ("到账", ""), [("没有", False)]),
        ("a<b>提现", ("<b>",), [("a", False), ("<b>", True), ("提现", False)]),
        ("", (), []),
    ],
)
def test_pieces_mark_literal_words(text: str, marks: tuple, expected: list) -> None:
    assert [(piece.text, piece.marked) for piece in pieces(text, marks)] == expected


def test_an_excerpt_begins_near_the_decisive_word_and_shows_that_it_is_cut() -> None:
    found = pieces("铺垫" * 100 + "提现没到账" + "其他" * 100, ("提现",), limit=60)
    whole = "".join(piece.text for piece in found)
    assert whole.startswith("…")
    assert whole.endswith("…")
    assert "提现没到账" in whole
    assert len(whole) <= 62


def test_words_for_numbers_and_times() -> None:
    assert [usual(0.2), usual(0.96), usual(1234.4)] == ["不到 1", "1", "1,234"]
    assert [span(0.2), span(59.4), span(60), span(65)] == ["0 分钟", "59 分钟", "1 小时", "1 小时 5 分"]
    assert [followers(9999), followers(120_000), followers(1_268_000)] == [
        "9,999 粉",
        "12 万粉",
        "126.8 万粉",
    ]
    assert moment(AT) == "11月22日 周日 21:05"
    assert when(AT - timedelta(days=1), beside=AT) == "11月21日 21:05"
    assert clock(AT) == when(AT, beside=AT) == "21:05"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://a.example.com/x?y=1", True),
        ("http://a.example.com", True),
        ("javascript:alert(1)", False),
        ("https://a b", False),
        ("https://a\nb", False),
        ("https://", False),
        ("ftp://a.example.com", False),
        ("https://a.example.com/\u202ecod", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_only_plain_web_addresses_are_linked(url: str, good: bool) -> None:
    assert web_address(url) == (url if good else "")


def test_plain_text_is_one_harmless_line() -> None:
    assert plain("a\r\nb\t\x1b[31m\u202ec\u200b\ud800 d") == "a b [31mc d"
