"""Which posts are worth reading: doubtful, disputed, new, a few blindly, and no two alike."""

from __future__ import annotations

import random

import pytest

from nlp.judgement import Judgement
from nlp.labelling import BLIND, DISPUTE, DOUBT, NOVEL, Candidate, NewWords, choose
from nlp.labels import TOPICS
from nlp.runtime import Runtime
from nlp.segment import Segmenter

LIMITS = (0.5,) * len(TOPICS)
SURE = (0.98, 0.01, 0.01)


def judgement(sentiment: tuple[float, ...] = SURE, topics: float = 0.001) -> Judgement:
    return Judgement(
        sentiment=sentiment,
        topics=(topics,) * len(TOPICS),
        stance=(1.0, 0.0, 0.0, 0.0),
        ad=0.0,
        entities=(),
        decided=(),
        is_ad=False,
        read="",
    )


def candidate(id_: str, *, story: str = "", **changes: object) -> Candidate:
    given: dict[str, object] = {"judgement": judgement(), "grams": (4.0, -4.0, -4.0)}
    return Candidate(id=id_, story=story or id_, **(given | changes))  # type: ignore[arg-type]


def text_of(id_: str) -> str:
    """Texts that are nothing like one another."""
    rng = random.Random(id_.split("~", maxsplit=1)[0])
    return "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(40))


def ids(candidates: list[Candidate], most: int = 50) -> list[str]:
    return [c.id for c in choose(candidates, thresholds=LIMITS, text_of=text_of, most=most)]


def test_doubt_dispute_and_new_words_come_before_what_is_plain() -> None:
    plain = [candidate(f"plain{n}") for n in range(60)]
    doubtful = candidate("doubtful", judgement=judgement((0.4, 0.35, 0.25)))
    edge = candidate("edge", judgement=judgement(topics=0.49))
    disputed = candidate("disputed", grams=(-4.0, 4.0, -4.0))
    new = [candidate(f"new{n}", words=frozenset({"断直连"})) for n in range(2)]
    chosen = choose([*plain, doubtful, edge, disputed, *new], thresholds=LIMITS, text_of=text_of, most=8)
    why = {c.id: "".join(c.reasons) for c in chosen}
    assert {"doubtful", "edge", "disputed", "new0", "new1"} <= set(why)
    assert DOUBT in why["doubtful"] and DOUBT in why["edge"]
    assert DISPUTE in why["disputed"] and "断直连" in why["new0"]


def test_a_word_of_one_story_is_not_new_usage() -> None:
    one_story = [candidate(f"c{n}", story="s", words=frozenset({"断直连"})) for n in range(5)]
    for chosen in choose(one_story, thresholds=LIMITS, text_of=text_of, most=5):
        assert not any(NOVEL in reason for reason in chosen.reasons)


def test_one_post_a_story_and_none_like_another() -> None:
    copies = [candidate(f"same~{n}", story=f"s{n}") for n in range(5)]
    told = [candidate(f"t{n}", story="one") for n in range(5)]
    assert len(ids(copies)) == 1 and len(ids(told)) == 1


def test_none_is_like_what_a_person_has_read() -> None:
    two = [candidate("known~1"), candidate("fresh")]
    chosen = choose(two, thresholds=LIMITS, text_of=text_of, most=5, labelled=[text_of("known~0")])
    assert [c.id for c in chosen] == ["fresh"]


def test_the_same_for_any_order_and_no_more_than_asked() -> None:
    rng = random.Random(3)
    many = [
        candidate(f"c{n}", judgement=judgement((p := rng.uniform(0.34, 1), 1 - p, 0.0)), grams=(rng.gauss(0, 3), 0, 0))
        for n in range(100)
    ]  # fmt: skip
    first = ids(many, most=20)
    rng.shuffle(many)
    assert first == ids(many, most=20) and len(first) == 20
    assert ids([]) == []


def test_some_are_drawn_blindly() -> None:
    many = [candidate(f"c{n}", judgement=judgement((0.4, 0.35, 0.25))) for n in range(100)]
    sure = [candidate(f"sure{n}") for n in range(100)]
    chosen = choose([*many, *sure], thresholds=LIMITS, text_of=text_of, most=40)
    assert any(c.reasons == (BLIND,) for c in chosen)


@pytest.mark.parametrize("word, new", [("提现", False), ("参与", False), ("三十万", False), ("鹲鹮贷", True)])
def test_new_words_are_unknown_to_training_and_to_everybody(
    runtime: Runtime, segmenter: Segmenter, word: str, new: bool
) -> None:
    finder = NewWords(runtime.wide, lambda text: text.split(), {"云桥金融"})
    assert finder.of(f"{word} 云桥金融 x1") == (frozenset({word}) if new else frozenset())
    assert finder.of("鹲鹮贷 逾期", ["鹲鹮贷款"]) == frozenset()
