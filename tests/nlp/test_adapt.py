"""A team's labels on top of a model: nothing of what is measured on is trained on, and a kill costs nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.errors import InputError
from nlp import adapt, batches, bundle
from nlp.bundle import open_bundle, shipped
from nlp.corpus import ANY, Example, only
from nlp.judgement import Item
from nlp.runtime import Runtime
from nlp.split import LARGEST, Split
from nlp.team_labels import SET

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """The authored posts, worded so that they fall on all sides."""
    folder = tmp_path_factory.mktemp("replay")
    rows = [json.loads(line) for line in (HERE / "authored_eval.jsonl").read_text("utf-8").splitlines()]
    lines = [json.dumps(row | {"text": f"听说，{row['text']}"}, ensure_ascii=False) for row in rows]
    (folder / "authored_posts.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    whole = adapt.replayed(folder)
    assert whole.train and whole.tune and whole.test
    half = len(whole.train) // 2
    return Split(
        train=whole.train[:60],
        tune=[*whole.tune, *whole.train[half:-60]],
        test=[*whole.test, *whole.train[-60:]],  # as many as the gate asks for
    )


def own(count: int, text: str = "我们平台的第{}次提现演练结束，客服答复了所有人") -> list[Example]:
    return [
        Example(
            set=SET,
            key=str(n),
            text=f"{chr(0x5000 + 13 * n) * 9}{text.format(n)}{chr(0x6000 + 7 * n) * 9}",
            sentiment=only("neutral") if n % 2 else ANY,
            topics=None if n % 3 else (0,),
            stance=None if n % 4 else 1,
            ad=None,
        )
        for n in range(count)
    ]


def test_the_packages_posts_are_there_and_parted() -> None:
    parts = adapt.replayed()
    assert len(parts.train) > 2_000 and len(parts.test) > 200 and len(parts.tune) > 200


def test_what_is_measured_on_is_not_trained_on(replay: Split) -> None:
    copies = [
        replace(e, key=f"copy{n}", text=e.text + "。") for n, e in enumerate([*replay.test, *replay.tune])
    ]
    train, test = adapt.own_parts([*own(100), *copies], replay, 0.2)
    assert {e.key for e in [*train, *test]} == {e.key for e in own(100)}
    assert 8 <= len(test) <= 35
    twice = adapt.own_parts([*own(100), *(replace(e, key=f"{e.key}b") for e in own(100))], replay, 0.2)
    sides = [{e.key.removesuffix("b") for e in side} for side in twice]
    assert not sides[0] & sides[1], "copies stay on one side"


def test_a_cluster_of_copies_is_held_out_as_often_as_a_single_post(replay: Split) -> None:
    copies = [
        replace(e, key=f"{e.key}.{copy}", text=f"{e.text}{e.text}{e.text}{chr(0x7000 + copy)}")
        for e in own(100)
        for copy in range(20)
    ]
    train, test = adapt.own_parts(copies, replay, 0.2)
    held_out = {e.key.split(".")[0] for e in test}
    assert 8 <= len(held_out) <= 35 and not held_out & {e.key.split(".")[0] for e in train}
    pasted = [replace(own(1)[0], key=str(n)) for n in range(LARGEST + 1)]
    assert adapt.own_parts(pasted, replay, 1.0)[1] == [], "what is pasted everywhere is always trained on"


def test_a_few_labels_are_repeated_and_many_are_not() -> None:
    chosen = adapt.settings()
    known = own(600, "别的{}")
    known = [replace(e, set="written_posts") for e in known]
    assert adapt.shares(own(20), known, chosen) == {SET: chosen["own_repeat"], "written_posts": 1.0}


def test_many_labels_are_drawn_anew_for_each_pass() -> None:
    many = own(900)
    known = [replace(e, set="written_posts") for e in own(600)]
    times = adapt.shares(many, known, adapt.settings())
    passes = [batches.chosen([*many, *known], times, np.random.default_rng(seed)) for seed in (1, 2)]
    drawn = [{e.key for e in read if e.set == SET} for read in passes]
    assert [len(read) for read in passes] == [1_000, 1_000] and [len(d) for d in drawn] == [400, 400]
    assert drawn[0] != drawn[1]


def test_the_calibration_moves_as_far_as_it_is_trusted() -> None:
    old = open_bundle(shipped()).fusion
    new = replace(
        old,
        sentiment=replace(old.sentiment, encoder=old.sentiment.encoder + 1),
        thresholds=tuple(t + 0.2 for t in old.thresholds),
        alone=replace(old.alone, encoder=9.0),
    )
    drawn = adapt.drawn(old, new, 0.25)
    assert drawn.sentiment.encoder == pytest.approx(old.sentiment.encoder + 0.25)
    assert np.allclose(drawn.thresholds, np.array(old.thresholds) + 0.05)
    assert (drawn.alone, drawn.others) == (old.alone, old.others)
    assert adapt.drawn(old, new, 0.0) == old


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose network is tiny and knows nothing; all else is the shipped one's."""
    pytest.importorskip("torch")
    import torch
    from transformers import BertConfig

    from nlp.batches import windows
    from nlp.export import export
    from nlp.model import Judge

    folder = tmp_path_factory.mktemp("start") / "model"
    shutil.copytree(shipped(), folder)
    tokeniser = open_bundle(folder).tokeniser
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=tokeniser.size, hidden_size=64, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=256,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    export(Judge(config), windows=windows(own(20), tokeniser, rng), out=folder / "encoder.onnx")
    bundle.seal(folder)
    return folder


class Killed(Exception):
    pass


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_adaptation_goes_on_and_other_labels_begin_anew(
    start: Path, replay: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nlp import learn

    monkeypatch.setattr(learn, "SAVE_EVERY_S", 0)
    monkeypatch.setattr(learn, "SAY_EVERY", 1)
    chosen = adapt.settings()
    chosen["encoder"] |= {"tokens": 512, "threads": 1, "passes": 1}
    told: list[str] = []

    def run(labels: list[Example], *, stop_at: str = "") -> adapt.Outcome:
        def say(line: str) -> None:
            told.append(line)
            if stop_at and stop_at in line:
                raise Killed

        return adapt.adapt(
            start=start, floor=start, own=labels, replay=replay, work=tmp_path / "work", chosen=chosen,
            budget_min=1.0, say=say,
        )  # fmt: skip

    for stop_at in ("步 3 ", "导出", "校准", "比较"):
        with pytest.raises(Killed):
            run(own(40), stop_at=stop_at)
        assert not (tmp_path / "work" / "candidate").exists()
    (tmp_path / "work" / "encoder.safetensors").unlink()  # is written again from the checkpoint
    assert any(line.startswith("接着第") for line in told)
    trained = sum("步" in line and "遍" in line for line in told)
    made = run(own(40))
    assert sum("步" in line and "遍" in line for line in told) == trained, (
        "what is trained is not trained again"
    )
    assert made.name == bundle.named(made.candidate) != bundle.named(start)
    assert made.trained_on + made.held_out == 40 and made.compared
    assert len(Runtime.load(made.candidate).judge([Item(text="云桥跑路", entities=("云桥",))])) == 1
    assert open_bundle(made.candidate).card["adapted_from"] == bundle.named(start)
    assert run(own(40)) == made
    with pytest.raises(Killed):
        run(own(41), stop_at="步 1 ")
    assert not (tmp_path / "work" / "candidate").exists(), "other labels are another training"


def test_after_an_upgrade_a_candidate_is_not_taken_with_its_old_verdict(
    start: Path, replay: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(adapt, "_train", stopped)
    work = tmp_path / "work"

    def goes_on(floor: Path, replayed: Split, budget_min: float = 1.0) -> bool:
        """Whether what an earlier call left is still there."""
        with pytest.raises(Killed):
            adapt.adapt(
                start=start, floor=floor, own=own(40), replay=replayed, work=work, chosen=adapt.settings(),
                budget_min=budget_min, say=lambda line: None,
            )  # fmt: skip
        found = (work / "draft").exists()
        (work / "draft").touch()
        return found

    assert not goes_on(start, replay) and goes_on(start, replay)
    assert not goes_on(shipped(), replay) and goes_on(shipped(), replay)
    fewer = replace(replay, test=replay.test[1:])
    assert not goes_on(shipped(), fewer) and goes_on(shipped(), fewer)
    assert not goes_on(shipped(), fewer, budget_min=4.0), "a minute's schedule is not gone on with for four"
    with monkeypatch.context() as killed:
        killed.setattr(shutil, "rmtree", stopped)
        with pytest.raises(Killed):
            adapt.discard(work)
    assert not goes_on(shipped(), fewer, budget_min=4.0), "what is left of a discarded folder is of no use"


def test_too_few_labels_are_refused_before_anything_is_done(
    start: Path, replay: Split, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"雷同 2 条.*至少要 20 条"):
        adapt.adapt(
            start=start, floor=start, own=own(15) * 3 + replay.test[:2], replay=replay, work=tmp_path / "w",
            chosen=adapt.settings(), budget_min=1.0, say=lambda line: None,
        )  # fmt: skip
    assert not (tmp_path / "w").exists()


@pytest.mark.filterwarnings("ignore")
def test_an_advert_that_nobody_labelled_teaches_nothing() -> None:
    torch = pytest.importorskip("torch")
    from nlp.learn import Recipe, losses

    def out() -> dict[str, Any]:
        return {
            "sentiment": torch.zeros(2, 3, 3), "domain": torch.zeros(2, 3), "topics": torch.zeros(2, 17),
            "stance": torch.zeros(2, 4), "ad": torch.tensor([5.0, -5.0]), "events": torch.zeros(2, 23),
            "entity": torch.zeros(0, 3),
        }  # fmt: skip

    def batch(ad: list[float]) -> dict[str, Any]:
        return {
            "weight": torch.ones(2), "domain": torch.tensor([-1, -1]), "topic_weight": torch.zeros(2, 17),
            "topics": torch.zeros(2, 17), "stance": torch.tensor([1, 1]), "ad": torch.tensor(ad),
            "events": -torch.ones(2, 23), "entity": torch.zeros(0, 3), "owner": torch.zeros(0, dtype=torch.int64),
            "sentiment": torch.ones(2, 3), "emotion": torch.tensor([-1, -1]),
        }  # fmt: skip

    rare = torch.ones(17)
    assert "ad" not in losses(out(), batch([-1.0, -1.0]), Recipe(), rare)
    assert float(losses(out(), batch([1.0, -1.0]), Recipe(), rare)["ad"]) < 0.01
