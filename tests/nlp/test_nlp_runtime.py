from __future__ import annotations

import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from domain.errors import ModelError
from nlp.bundle import FILES, open_bundle, seal, shipped
from nlp.corpus import Example
from nlp.runtime import Item, Judgement, Runtime


def items(authored: list[Example]) -> list[Item]:
    some = [Item(text=e.text, entities=tuple(name for name, _ in e.entities)) for e in authored[:40]]
    long = Item(
        text="。".join(e.text for e in authored[:60]), title="合集", entities=("云桥金融", "不在文中")
    )
    return [*some, long, Item(text=""), Item(text="只有标题时", title="云桥金融提现困难"), some[0]]


def flat(judgement: Judgement) -> list[float]:
    parts = (judgement.sentiment, judgement.topics, judgement.stance, (judgement.ad,), *judgement.entities)
    return [p for part in parts for p in part]


def same(one: Judgement, two: Judgement) -> bool:
    decided = (one.best, one.decided, one.best_stance, one.is_ad) == (
        two.best,
        two.decided,
        two.best_stance,
        two.is_ad,
    )
    return decided and np.allclose(flat(one), flat(two), atol=1e-4)


def test_batch_size_order_and_company_change_nothing(runtime: Runtime, authored: list[Example]) -> None:
    asked = items(authored)
    together = runtime.judge(asked)
    small = Runtime(open_bundle(shipped()), batch_tokens=1, workers=1)
    assert all(map(same, together, small.judge(asked)))
    order = list(range(len(asked)))
    random.Random(3).shuffle(order)
    shuffled = runtime.judge([asked[i] for i in order])
    assert all(same(together[i], j) for i, j in zip(order, shuffled, strict=True))


def test_threads_share_a_runtime(runtime: Runtime, authored: list[Example]) -> None:
    asked = items(authored)
    alone = runtime.judge(asked)
    with ThreadPoolExecutor(3) as pool:
        for got in pool.map(runtime.judge, [asked] * 3):
            assert all(map(same, alone, got))


def test_probabilities_are_probabilities(runtime: Runtime, authored: list[Example]) -> None:
    for judgement in runtime.judge(items(authored)):
        for p in (judgement.sentiment, judgement.stance, *judgement.entities):
            assert sum(p) == pytest.approx(1, abs=1e-5)
        assert all(0 <= p <= 1 for p in flat(judgement))


def test_repeats_are_computed_once(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = runtime.logits
    monkeypatch.setattr(runtime, "logits", lambda texts: seen.append(len(texts)) or real(texts))
    runtime.judge([Item(text="云桥金融跑路了")] * 50 + [Item(text="云桥金融跑路了 ")])
    assert seen == [1]


def test_nothing_said_is_neutral_about_everybody(runtime: Runtime) -> None:
    (judgement,) = runtime.judge([Item(text=" \u200b\n", entities=("甲", "乙"))])
    assert judgement.best == "neutral" and judgement.sentiment[1] > 0.99
    assert len(judgement.entities) == 2 and judgement.decided == () and not judgement.is_ad


def test_hostile_items_come_back(runtime: Runtime) -> None:
    hostile = [
        Item(text="\ud800" * 10 + "跑路"),
        Item(text="\u0301" * 100_000),
        Item(text="提现困难" * 100_000, entities=tuple(f"名{i}" for i in range(3_000))),
        Item(text="\x00", entities=("", "\x00")),
    ]
    judged = runtime.judge(hostile)
    assert [len(j.entities) for j in judged] == [0, 0, 3_000, 2]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(shipped(), tmp_path / "model")
    return tmp_path / "model"


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="不是模型目录"):
        Runtime.load(tmp_path / "none")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ModelError, match=name):
        Runtime.load(copied)


@pytest.mark.parametrize("name", ["encoder.safetensors", "fusion.json"])
def test_a_truncated_file_is_refused(copied: Path, name: str) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-7])
    with pytest.raises(ModelError, match="长度不对"):
        Runtime.load(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(ModelError, match="摘要不符"):
        Runtime.load(copied)


def test_another_format_is_refused(copied: Path) -> None:
    path = copied / "manifest.json"
    path.write_text(path.read_text("utf-8").replace('"format": 1', '"format": 99'), "utf-8")
    with pytest.raises(ModelError, match="格式是 99"):
        Runtime.load(copied)


def test_sealed_rubbish_is_refused_in_one_line(copied: Path) -> None:
    (copied / "fusion.json").write_text("[]", "utf-8")
    seal(copied, heads=4)
    with pytest.raises(ModelError) as caught:
        Runtime.load(copied)
    assert "\n" not in str(caught.value)


def test_the_version_changes_with_what_decides_only(copied: Path) -> None:
    before = open_bundle(copied).name
    (copied / "CARD.md").write_text("other", "utf-8")
    seal(copied, heads=4)
    assert open_bundle(copied).name == before
    fusion = (copied / "fusion.json").read_text("utf-8")
    (copied / "fusion.json").write_text(fusion + "\n", "utf-8")
    seal(copied, heads=4)
    assert open_bundle(copied).name != before


def test_the_shipped_weights_stay_small_and_hold_no_pickle() -> None:
    files = list(shipped().iterdir())
    assert sum(path.stat().st_size for path in files) <= 16_000_000
    assert {path.name for path in files} == {*FILES, "manifest.json"}
