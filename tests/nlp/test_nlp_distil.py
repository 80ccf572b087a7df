"""Distillation: variants of texts, what the teachers think of them, and a base that took it over."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.errors import InputError
from nlp.bundle import shipped
from nlp.corpus import Example
from nlp.encoder import softmax
from nlp.fusion import sigmoid
from nlp.judgement import Item
from nlp.runtime import Runtime
from nlp.segment import Segmenter
from nlp.split import Split

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from nlp import distil  # noqa: E402
from nlp.bases import from_pretrained  # noqa: E402

LOSSES = {"sentiment": 1.0, "domain": 0.2, "topics": 0.6, "stance": 0.5, "ad": 0.3, "entity": 1.0}


@pytest.fixture
def lessons() -> distil.Lessons:
    return distil.Lessons(
        variants={"authored_posts": 1, "unlabelled/weibo": 1},
        tokens=1024,
        threads=1,
        passes=40,
        losses=LOSSES,
    )


@pytest.fixture
def parts(authored: list[Example]) -> Split:
    return Split(train=authored[:60], tune=[], test=[])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [
        {"source": "weibo", "text": "听说桥北财富取不出钱了"},
        {"source": "headline", "text": "今日要闻一览"},
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "unlabelled.jsonl").write_text(lines, "utf-8")
    return folder


def test_a_text_is_read_in_many_variants_that_name_only_what_is_in_them(
    authored: list[Example], lessons: distil.Lessons, segmenter: Segmenter
) -> None:
    def made(seed: int) -> list[Example]:
        varying = distil.Varying(authored, lessons, segmenter)
        return list(varying.all([2.5] * len(authored), np.random.default_rng(seed)))

    first = made(1)
    assert [e.text for e in first] == [e.text for e in made(1)] != [e.text for e in made(2)]
    assert 2.2 * len(authored) < len(first) <= 3 * len(authored)
    assert len({e.text for e in first}) > 0.8 * len(first)
    for example in first:
        assert example.text.strip()
        assert all(name in example.text for name, _ in example.entities)
    assert max(len(e.text) for e in first) < 2 * distil.LONGEST  # other companies have longer names


def test_unlabelled_texts_are_read_where_the_settings_ask_for_them(
    data: Path, parts: Split, lessons: distil.Lessons
) -> None:
    found = distil.readable(data, parts, lessons.variants)
    assert len(found) == len(parts.train) + 1
    text, times = found[-1]
    assert (text.set, times, [name for name, _ in text.entities]) == ("unlabelled/weibo", 1, ["桥北财富"])
    with pytest.raises(InputError, match="没有可供蒸馏的文本"):
        distil.readable(data, parts, {})


def test_a_teacher_says_what_its_whole_model_says_of_a_text(authored: list[Example]) -> None:
    teacher = Runtime.load(shipped())
    some = [e for e in authored if e.entities][:40]
    told = distil.ask([teacher], some)
    judged = teacher.judge([Item(text=e.text, entities=tuple(n for n, _ in e.entities)) for e in some])
    assert np.allclose(softmax(told.sentiment[:, 0].astype(float)), [j.sentiment for j in judged], atol=2e-3)
    assert np.allclose(softmax(told.stance.astype(float)), [j.stance for j in judged], atol=2e-3)
    assert np.allclose(sigmoid(told.topics.astype(float)), [j.topics for j in judged], atol=2e-3)
    assert np.allclose(sigmoid(told.ad.astype(float)), [j.ad for j in judged], atol=2e-3)
    companies = [p for j in judged for p in j.entities]
    assert np.allclose(softmax(told.entity.astype(float)), companies, atol=2e-3)


def test_teachers_say_the_same_of_a_text_whatever_they_are_asked_with(authored: list[Example]) -> None:
    teachers = [Runtime.load(shipped())]
    told = distil.ask(teachers, authored[:40])
    assert len(told.entity) == sum(map(len, told.names))
    for number in (3, 17):
        alone = distil.ask(teachers, authored[number : number + 1])
        assert np.array_equal(alone.topics[0], told.topics[number])
        before = sum(map(len, told.names[:number]))
        assert np.array_equal(alone.entity, told.entity[before : before + len(alone.names[0])])


def test_several_teachers_are_heard_alike(authored: list[Example]) -> None:
    one = Runtime.load(shipped())
    other = Runtime.load(shipped())
    other.fusion = replace(other.fusion, topics=replace(other.fusion.topics, encoder=0.0, grams=0.0))
    some = authored[:20]
    first, second, both = (distil.ask(asked, some) for asked in ([one], [other], [one, other]))
    mean = (sigmoid(first.topics.astype(float)) + sigmoid(second.topics.astype(float))) / 2
    assert not np.allclose(first.topics, second.topics, atol=0.1)
    assert np.allclose(sigmoid(both.topics.astype(float)), mean, atol=2e-3)
    assert np.allclose(both.stance, first.stance, atol=1e-2)


def test_what_teachers_have_said_is_not_asked_again(
    data: Path, parts: Split, lessons: distil.Lessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    asked: list[int] = []
    ask = distil.ask

    def counted(teachers: Sequence[Runtime], examples: Sequence[Example]) -> distil.Told:
        asked.append(len(examples))
        return ask(teachers, examples)

    def stop(_: str) -> None:
        if len(asked) == 2:
            raise Killed

    monkeypatch.setattr(distil, "SHARD", 25)
    monkeypatch.setattr(distil, "ask", counted)
    with pytest.raises(Killed):
        distil.prepare(data, parts, [shipped()], tmp_path, lessons, stop)
    shards = distil.prepare(data, parts, [shipped()], tmp_path, lessons, print)
    assert len(asked) == len(shards) > 2 and sum(asked) == sum(
        len(distil._read(path).texts) for path in shards
    )
    assert distil.prepare(tmp_path / "none", parts, [], tmp_path, lessons, print) == shards


def test_the_loss_is_least_for_who_agrees_with_the_teachers() -> None:
    rng = np.random.default_rng(1)
    shapes = {
        "sentiment": (3, 4, 3),
        "domain": (3, 4),
        "stance": (3, 4),
        "ad": (3,),
        "topics": (3, 17),
        "entity": (5, 3),
    }
    told = {
        name: torch.tensor(rng.normal(size=shape) * 2, dtype=torch.float32) for name, shape in shapes.items()
    }
    least = distil.losses(told, told)
    assert set(least) == set(LOSSES)
    for name, tensor in told.items():
        moved = {**told, name: tensor + torch.tensor(rng.normal(size=tensor.shape), dtype=torch.float32)}
        other = distil.losses(moved, told)
        assert other[name] > least[name] + 1e-3
        assert all(other[rest] == least[rest] for rest in told if rest not in (name, "domain"))
    assert "entity" not in distil.losses(told, {**told, "entity": torch.zeros(0, 3)})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_distillation_goes_on_and_leaves_a_base_with_its_heads(
    data: Path, parts: Split, base: Path, lessons: distil.Lessons, tmp_path: Path,
    killed_and_resumed: Callable[[Callable[..., Path]], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    work = tmp_path / "w"
    reads: list[Path] = []
    readable = distil.readable

    def counted(*given: Any) -> list[tuple[Example, float]]:
        reads.append(work)
        return readable(*given)

    monkeypatch.setattr(distil, "readable", counted)
    out = killed_and_resumed(
        lambda say: distil.distil(
            data=data, parts=parts, teachers=[shipped()], base=base, work=work, lessons=lessons, budget_min=2,
            say=say,
        )
    )  # fmt: skip
    assert len(reads) == 1, "the texts were not varied again"
    curve = json.loads((out / "pretraining.json").read_text("utf-8"))["run"]["curve"]
    assert curve[-1]["sentiment"] < 0.9 * curve[0]["sentiment"]
    kept, trained = from_pretrained(out).state_dict(), load_file(work / "encoder.safetensors")
    assert set(kept) == set(trained)
    assert all(torch.allclose(kept[name], trained[name], atol=2e-3) for name in trained), "half precision"
