from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.errors import InputError, ModelError

pytest.importorskip("torch")

from nlp import pretrain
from nlp.bases import from_pretrained, tokeniser_of
from nlp.pretrain import Course, Packed, masked, plan

TEXTS = [
    "云桥金融昨晚起无法提现,客服电话一直占线",
    "小鹿花分期的催收把我家里人的电话全打了一遍",
    "今天的年化利率又降了,活期还剩百分之二",
    "支付页面一直转圈,扣了两次款,订单还显示没付",
]
COURSE = Course(sets={"unlabelled": 1.0}, tokens=256, threads=1, precision="fp32")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"source": "weibo", "text": text} for text in TEXTS * 2]
    folder = tmp_path / "data"
    folder.mkdir()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "unlabelled.jsonl").write_text(lines, "utf-8")
    return folder


@pytest.fixture
def packed(data: Path, base: Path, tmp_path: Path) -> Packed:
    work = tmp_path / "packed"
    work.mkdir()
    return pretrain.prepare(data, tokeniser_of(base), work, COURSE, lambda _: None)


def test_repeats_are_read_once_and_shares_say_how_often(data: Path) -> None:
    assert [share for _, share in pretrain.texts(data, {"unlabelled/weibo": 2.0})] == [2.0] * len(TEXTS)
    assert not list(pretrain.texts(data, {"unlabelled/headline": 1.0}))
    with pytest.raises(InputError, match="没有 missing"):
        list(pretrain.texts(data, {"missing": 1.0}))


def test_a_row_without_a_text_is_named(data: Path) -> None:
    (data / "unlabelled.jsonl").write_text('{"text": "好好好好"}\n{"source": "weibo"}\n', "utf-8")
    with pytest.raises(InputError, match=r"unlabelled\.jsonl 第 2 行没有 text"):
        list(pretrain.texts(data, {"unlabelled": 1.0}))


def test_words_are_hidden_whole_and_the_same_for_the_same_seed(packed: Packed) -> None:
    rows = np.arange(len(packed.lengths))
    truth, shown, hidden = masked(packed, packed.starts, rows, 0.4, 9_000, seed=3)
    again = masked(packed, packed.starts, rows, 0.4, 9_000, seed=3)
    assert all((a == b).all() for a, b in zip((truth, shown, hidden), again, strict=True))
    assert hidden.any() and (shown[hidden] == packed.marks[2]).mean() > 0.6
    assert (shown[~hidden] == truth[~hidden]).all()
    for row, i in enumerate(rows):
        words = packed.words[packed.starts[i] : packed.starts[i] + packed.lengths[i]]
        mine = hidden[row, 1 : 1 + len(words)]
        for word in np.unique(words):
            assert len(set(mine[words == word])) == 1, "a word is hidden as a whole or not at all"


def test_a_pass_reads_every_sequence_as_often_as_its_share(packed: Packed) -> None:
    doubled = replace(packed, share=np.full_like(packed.share, 2.0))
    groups = plan(doubled, COURSE, seed=1)
    read = np.bincount(np.concatenate(groups), minlength=len(packed.lengths))
    assert (read == 2).all()
    assert all(len(g) * (packed.lengths[g].max() + 2) <= COURSE.tokens for g in groups if len(g) > 1)


def test_a_vocabulary_beyond_two_bytes_is_refused(
    data: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "_MOST_PIECES", 10)
    with pytest.raises(ModelError, match="词片"):
        pretrain.run(
            data=data, base=base, work=tmp_path / "w", course=COURSE, budget_min=0.05, say=lambda _: None
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_pre_training_goes_on_and_leaves_a_base(
    data: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def kill(line: str) -> None:
        if "掩词损失" in line:
            raise Killed

    work = tmp_path / "work"
    monkeypatch.setattr(pretrain, "SAVE_EVERY_S", -1)
    monkeypatch.setattr(pretrain, "SAY_EVERY", 3)
    with pytest.raises(Killed):
        pretrain.run(data=data, base=base, work=work, course=COURSE, budget_min=0.05, say=kill)
    told: list[str] = []
    made = pretrain.run(data=data, base=base, work=work, course=COURSE, budget_min=0.05, say=told.append)
    assert any(line.startswith("接着第") for line in told)
    record = json.loads((made / "pretraining.json").read_text("utf-8"))
    assert record["steps"] > 3 and record["curve"][0][1] > record["curve"][-1][1]
    assert from_pretrained(made).bert.config.hidden_size == 32
    assert tokeniser_of(made).json == tokeniser_of(base).json
