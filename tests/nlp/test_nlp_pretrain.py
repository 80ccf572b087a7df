from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from domain.errors import InputError, ModelError

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from transformers import BertForMaskedLM, RobertaConfig, RobertaForMaskedLM  # noqa: E402

from nlp import learn, pretrain  # noqa: E402
from nlp.bases import from_pretrained, tokeniser_of  # noqa: E402
from nlp.batches import plan  # noqa: E402
from nlp.pretrain import Cloze, Course, Guesser, Packed, cloze  # noqa: E402

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
    rows = range(len(packed.lengths))

    def made() -> Cloze:
        return cloze(packed, rows, 0.4, 9_000, np.random.default_rng(3))

    one = made()
    assert all((a == b).all() for a, b in zip(vars(one).values(), vars(made()).values(), strict=True))
    assert one.hidden.any() and (one.ids[one.hidden] == packed.marks[2]).mean() > 0.6
    assert (one.ids[~one.hidden] == one.truth[~one.hidden]).all()
    for row in rows:
        at = slice(packed.starts[row], packed.starts[row] + packed.lengths[row])
        words = packed.words[at]
        assert one.mask[row].sum() == len(words) + 2 and not one.truth[row, len(words) + 2 :].any()
        before, after, _ = packed.marks
        assert one.truth[row, : len(words) + 2].tolist() == [before, *packed.ids[at], after]
        assert not one.hidden[row, [0, *range(len(words) + 1, len(one.hidden[row]))]].any()
        mine = one.hidden[row, 1 : 1 + len(words)]
        for word in np.unique(words):
            assert len(set(mine[words == word])) == 1, "a word is hidden as a whole or not at all"


def test_a_pass_reads_every_sequence_as_often_as_its_share(packed: Packed) -> None:
    def made(share: float, seed: int = 1) -> list[list[int]]:
        shares = np.full_like(packed.share, share)
        return plan(packed.lengths, 64, np.random.default_rng(seed), shares=shares, pool=6)

    groups = made(2.0)
    assert groups == made(2.0) != made(2.0, seed=2)
    assert (np.bincount(np.concatenate(groups)) == 2).all()
    assert all(len(g) * packed.lengths[g].max() <= 64 for g in groups if len(g) > 1)
    read = [sum(map(len, made(0.5, seed))) for seed in range(40)]
    assert max(read) <= len(packed.lengths) and 0.3 < np.mean(read) / len(packed.lengths) < 0.7


def test_a_step_in_which_nothing_is_hidden_teaches_nothing(packed: Packed, base: Path) -> None:
    network = Guesser(BertForMaskedLM.from_pretrained(base))
    for share in (0.0, 0.5):
        made = cloze(packed, range(len(packed.lengths)), share, 9_000, np.random.default_rng(3))
        batch = learn.tensors(made)
        out = network(batch["ids"], batch["mask"], batch["hidden"])
        assert len(out["masked"]) == made.hidden.sum()
        loss = pretrain.losses(out, batch)["masked"]
        loss.backward()
        moved = any(p.grad.any() for p in network.parameters() if p.grad is not None)
        assert torch.isfinite(loss) and bool(loss) == moved == bool(share)


@pytest.mark.filterwarnings("ignore")
def test_a_base_that_is_no_bert_is_refused_before_anything_is_read(base: Path, tmp_path: Path) -> None:
    config = RobertaConfig(
        vocab_size=99, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    RobertaForMaskedLM(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((base / name).read_bytes())

    def refused() -> str:
        with pytest.raises(ModelError) as caught:
            pretrain.pretrain(
                data=tmp_path / "none",
                base=tmp_path,
                work=tmp_path / "w",
                course=COURSE,
                budget_min=1,
                say=print,
            )
        assert not list((tmp_path / "w").iterdir())
        return str(caught.value)

    assert "是 roberta" in refused()
    (tmp_path / "config.json").unlink()
    (tmp_path / "model.safetensors").unlink()
    assert "不是能再预训练的编码器" in refused()


def test_a_vocabulary_beyond_two_bytes_is_refused(
    data: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "_MOST_PIECES", 10)
    with pytest.raises(ModelError, match="词片"):
        pretrain.pretrain(
            data=data, base=base, work=tmp_path / "w", course=COURSE, budget_min=0.05, say=lambda _: None
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_pre_training_goes_on_and_leaves_a_base(
    data: Path, base: Path, tmp_path: Path, killed_and_resumed: Callable[[Callable[..., Path]], Path]
) -> None:
    work = tmp_path / "work"
    made = killed_and_resumed(
        lambda say: pretrain.pretrain(
            data=data, base=base, work=work, course=COURSE, budget_min=0.05, say=say
        )
    )
    record = json.loads((made / "pretraining.json").read_text("utf-8"))
    curve = record["run"]["curve"]
    assert record["run"]["steps"] > 3 and curve[0]["masked"] > curve[-1]["masked"]
    assert record["course"]["masked"] == COURSE.masked
    assert from_pretrained(made).bert.config.hidden_size == 32
    assert tokeniser_of(made).json == tokeniser_of(base).json
    kept = BertForMaskedLM.from_pretrained(made, dtype=torch.float32).state_dict()
    averaged = load_file(work / "encoder.safetensors")
    assert set(kept) == set(averaged), "the head for masked words is kept"
    assert all(torch.allclose(kept[name], averaged[name], atol=2e-3) for name in averaged), "half precision"
