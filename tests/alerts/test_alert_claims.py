"""The digest: literal words, honest counts, different claims."""

from __future__ import annotations

from cProfile import Profile
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.claims import LONGEST, READ, RUNS, digest
from alerts.words import plain
from domain.assessment import Sentiment, Stance
from domain.post import Author
from store.posts import Judged
from tests.alerts.sample import AT, crisis, judged

NAMES = ("云桥金融", "云桥")


def posts(*texts: str, **changes: object) -> list[Judged]:
    return [
        judged(text, ident=f"{index}-{text[:9]}", at=AT - timedelta(minutes=index), **changes)
        for index, text in enumerate(texts)
    ]


def negatives() -> list[Judged]:
    return [j for j in crisis() if j.assessment.sentiment is Sentiment.NEGATIVE]


def test_claims_are_literal_and_short_and_say_different_things() -> None:
    claims = digest(negatives(), names=NAMES)
    assert len(claims) == 3
    texts = {j.post.id: plain(j.post.whole) for j in negatives()}
    for claim in claims:
        assert claim.text in texts[claim.post]
        assert len(claim.text) <= LONGEST
    assert len({claim.words for claim in claims}) == 3
    assert [claim.posts for claim in claims] == sorted((claim.posts for claim in claims), reverse=True)


def test_the_count_is_of_posts_that_hold_both_words() -> None:
    found = negatives()
    for claim in digest(found, names=NAMES):
        holding = [
            j
            for j in found
            if all(word in plain(j.post.whole) for word in claim.words)
            and {t.stance for t in j.assessment.topics} <= {Stance.ASSERT, Stance.OTHER}
        ]
        assert claim.posts == len(holding)
        assert claim.accounts == len({j.post.author.key for j in holding})


def test_questions_and_denials_claim_nothing() -> None:
    asked = posts("云桥提现会不会到账？", "提现到账了吗", stance=Stance.ASK)
    denied = posts("我提现到账了", "提现当天到账", stance=Stance.DENY)
    assert digest([*asked, *denied], names=NAMES) == ()
    [claim] = digest(posts("到账了吗？提现三天没到账", "提现一直没有到账"), names=NAMES)
    assert "吗" not in claim.text


def test_the_brand_is_no_word_that_posts_share() -> None:
    claims = digest(posts("云桥真的不行", "云桥让人失望透顶"), names=NAMES)
    assert all("云桥" not in claim.words for claim in claims)


def test_numbers_and_times_are_not_cut() -> None:
    long = "本人于3月11日15:07在云桥金融申请提现人民币31,000元，平台承诺两小时到账，至今没有"
    for claim in digest(posts(long, "提现没到账"), names=NAMES):
        assert not claim.text.startswith(("07", "000"))


def test_copies_of_one_story_are_counted_and_called_so() -> None:
    copies = posts(*["全部停兑明早总部集合速转"] * 4, story="one", decisive=())
    [claim] = digest(copies, names=NAMES)
    assert (claim.posts, claim.words) == (4, ())


def test_unknown_accounts_are_not_counted_as_accounts() -> None:
    [claim] = digest(posts("提现没到账呢，急", "提现没到账，等了三天", author=Author()), names=NAMES)
    assert claim.accounts == 0


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(
        st.text(alphabet=st.sampled_from("提现到账客服，。？！ \n“”31,:云桥\u200b😂#@"), max_size=90),
        max_size=12,
    )
)
def test_any_text_gives_at_most_three_literal_claims(texts: list[str]) -> None:
    found = posts(*texts)
    claims = digest(found, names=NAMES)
    whole = {j.post.id: plain(j.post.whole) for j in found}
    assert len(claims) <= 3
    for claim in claims:
        assert claim.text in whole[claim.post]
        assert 1 <= claim.posts <= len(found)
        assert claim.accounts <= claim.posts


def steps(*texts: str) -> int:
    """Calls made, those of built-in functions among them, for a digest of posts that share two words."""
    found = posts("提现没到账", "提现一直没有到账", *texts)
    profile = Profile()
    profile.runcall(digest, found, names=NAMES)
    return sum(entry.callcount for entry in profile.getstats())


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.sampled_from(("", "提现，", "提现没到账。")),
    st.text(alphabet=st.sampled_from("提现到账啊1 ~～,，、：:。！？…\n\u200b“"), min_size=1, max_size=12),
)
def test_no_text_makes_a_mail_wait(start: str, atom: str) -> None:
    """Whatever its author repeats, a post is read to the same end, and cut into so many runs."""
    text = start + atom * (200_000 // len(atom))
    assert steps(text) <= 20 * READ + 80 * RUNS
    assert steps(text) <= steps(text[: 2 * READ]) + 10


def test_blank_clauses_and_scattered_words_cost_no_more_than_others() -> None:
    hostile = ["云桥金融提现困难，提现到不了账" + atom * 1000 for atom in ("~，", " ，", "、，", "啊，", "~")]
    scattered = "，".join(
        f"{word}{'的事情就是这样了没有什么可说的' * 3}" for word in ("提现", "到账", "客服")
    )
    for text in (*hostile, f"{scattered}。" * 40):
        assert steps(*[text] * 20) <= 20 * (20 * READ + 80 * RUNS)


def test_a_long_post_is_quoted_from_its_beginning_and_never_cut_in_a_clause() -> None:
    for length in range(READ - 12, READ + 3):
        long = "啊" * length + "，提现一直都没有到账，急"
        for claim in digest(posts(long, long + "了", "提现说好到账"), names=NAMES):
            assert claim.text in (
                "提现一直都没有到账，急",
                "提现一直都没有到账",
                "提现一直都没有到账，急了",
                "提现说好到账",
            )
