"""Imitation: two encoders that cut differently, what belongs together, and a base that took it over."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.errors import InputError, ModelError

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tokenizers import BertWordPieceTokenizer  # noqa: E402

from nlp import imitate, learn  # noqa: E402
from nlp.bases import from_pretrained, origin, tokeniser_of  # noqa: E402
from nlp.batches import plan  # noqa: E402
from nlp.bundle import shipped  # noqa: E402
from nlp.corpus_files import digest  # noqa: E402
from nlp.imitate import LONGEST, MOST_PIECES, Guide, Practice, means, pair, passages  # noqa: E402
from nlp.tokens import Tokeniser  # noqa: E402
from nlp.train import shipped_base  # noqa: E402

TEXTS = [
    "云桥金融昨晚起无法提现,客服电话一直占线",
    "小鹿花分期的催收把我家里人的电话全打了一遍",
    "今天的年化利率又降了,活期还剩百分之二",
    "支付页面一直转圈,扣了两次款,订单还显示没付 app",
]
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PRACTICE = Practice(sets={"unlabelled": 1.0}, tokens=128, threads=1, learning_rate=3e-3, head_rate=1e-2)


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder of random weights that reads single characters."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("guide")
    pieces = [*SPECIAL, *sorted({c for text in TEXTS for c in text if c.strip()})]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(pieces) + "\n", "utf-8")
    BertWordPieceTokenizer(str(vocabulary)).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizerFast"}', "utf-8")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    lines = "".join(
        json.dumps({"source": "weibo", "text": text}, ensure_ascii=False) + "\n" for text in TEXTS * 2
    )
    (folder / "unlabelled.jsonl").write_text(lines, "utf-8")
    return folder


@pytest.fixture(scope="module")
def own() -> Tokeniser:
    return tokeniser_of(shipped_base())


@given(st.lists(st.text("提现取钱云桥金融app 12,。🙂é", min_size=1, max_size=40), min_size=1, max_size=4))
def test_what_belongs_together_shares_characters(guide: Path, own: Tokeniser, some: list[str]) -> None:
    mine, theirs = own.pieces(some), tokeniser_of(guide).pieces(some)
    both = pair(mine, theirs)
    assert (both.first[:, 0] == 0).all() and (both.last[:, 0] == 1).all(), "[CLS] belongs to [CLS]"
    for row, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        for place, (start, end) in enumerate(a.offsets, 1):
            shared = {i for i, (left, right) in enumerate(b.offsets, 1) if left < end and right > start}
            assert set(range(both.first[row, place], both.last[row, place])) == shared
        assert (both.first[row, len(a.ids) + 1 :] == both.last[row, len(a.ids) + 1 :]).all(), (
            "padding is nothing"
        )


def test_means_are_those_of_the_states_in_between() -> None:
    states = torch.randn(2, 9, 5)
    first, last = torch.tensor([[0, 2, 8], [4, 4, 0]]), torch.tensor([[1, 5, 9], [4, 6, 9]])
    found = means(states, first, last)
    for row in range(2):
        for place in range(3):
            part = states[row, first[row, place] : last[row, place]]
            wanted = part.mean(0) if len(part) else torch.zeros(5)
            torch.testing.assert_close(found[row, place], wanted, atol=1e-5, rtol=1e-5)


def test_what_the_guide_tells_has_mean_0_and_spread_1(guide: Path, own: Tokeniser) -> None:
    leader = Guide(guide)
    both = pair(leader.tokeniser.pieces(TEXTS), leader.tokeniser.pieces(TEXTS))
    leader.measure([both])
    told = leader.tells(both)
    assert told.shape == (len(TEXTS), both.own.ids.shape[1], 2 * 48)
    inside = told[:, :-1][both.last[:, :-1] > both.first[:, :-1]]
    assert abs(inside.mean()) < 0.1 and abs(inside.std() - 1) < 0.1
    alone = pair(own.pieces(TEXTS[:1]), leader.tokeniser.pieces(TEXTS[:1]))
    beside = pair(own.pieces(TEXTS), leader.tokeniser.pieces(TEXTS))
    np.testing.assert_allclose(
        leader.tells(alone)[0], leader.tells(beside)[0, : alone.own.ids.shape[1]], atol=2e-3
    )


def test_long_texts_are_read_in_passages_and_every_one_as_often_as_its_share(data: Path) -> None:
    long = "".join(f"第{n}天还是没到账," for n in range(200))
    (data / "unlabelled.jsonl").write_text(json.dumps({"source": "weibo", "text": long}) + "\n", "utf-8")
    read, shares = passages(data, {"unlabelled/weibo": 2.0})
    assert "".join(read) == long and set(shares) == {2.0} and max(map(len, read)) == LONGEST
    lengths = np.array([len(text) for text in read])
    groups = plan(lengths, 500, np.random.default_rng(1), shares=shares)
    assert (np.bincount(np.concatenate(groups)) == 2).all()
    assert all(len(g) * lengths[g].max() <= 500 for g in groups)
    with pytest.raises(InputError, match="可供模仿"):
        passages(data, {"unlabelled/headline": 1.0})


@pytest.mark.parametrize(("kind", "least"), [("bert", MOST_PIECES + 2), ("roberta", MOST_PIECES + 4)])
def test_an_encoder_that_reads_too_little_at_once_is_refused(
    guide: Path, tmp_path: Path, kind: str, least: int
) -> None:
    from transformers import AutoConfig, AutoModel

    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((guide / name).read_bytes())

    def of(places: int) -> Guide:
        small: dict[str, Any] = {"hidden_size": 8, "intermediate_size": 8, "max_position_embeddings": places}
        layers = {"num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 99, "pad_token_id": 1}
        AutoModel.from_config(AutoConfig.for_model(kind, **small, **layers)).save_pretrained(tmp_path)
        return Guide(tmp_path)

    with pytest.raises(ModelError, match="读不了 254"):
        of(least - 1)
    leader = of(least)
    cut = leader.tokeniser.pieces([(TEXTS[0] * 20)[:LONGEST] + "提" * 40, TEXTS[1]])
    both = pair(cut, cut)
    assert both.own.ids.shape[1] == MOST_PIECES + 2 and np.isfinite(leader.tells(both)).all()


def test_a_model_directory_may_be_the_guide(own: Tokeniser) -> None:
    leader = Guide(shipped())
    told = leader.tells(pair(own.pieces(TEXTS), leader.tokeniser.pieces(TEXTS)))
    assert told.shape[2] == 2 * from_pretrained(shipped()).bert.config.hidden_size and told.std() > 0


def test_the_guide_reads_where_the_base_learns(
    guide: Path, own: Tokeniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Seen(Exception):
        pass

    def stop(network: Any, _: object, fed: dict[str, Any]) -> None:
        read = (fed["input_ids"], fed["attention_mask"], *network.parameters())
        raise Seen(*{each.device.type for each in read})

    monkeypatch.setattr(imitate, "device", lambda: torch.device("meta"))  # no GPU, but another place
    monkeypatch.setattr(imitate, "mixed", lambda *_: nullcontext())
    leader = Guide(guide)
    leader._model.register_forward_pre_hook(stop, with_kwargs=True)
    with pytest.raises(Seen, match=r"^meta$"):
        leader.tells(pair(own.pieces(TEXTS), leader.tokeniser.pieces(TEXTS)))


def test_passages_without_a_piece_known_to_both_teach_nothing_of_words(guide: Path, own: Tokeniser) -> None:
    leader = Guide(guide)
    for some, learnt in ((["\ue000" * 8], False), (TEXTS, True)):  # what is for private use has no piece
        seen = learn.tensors(leader.sight(pair(own.pieces(some), leader.tokeniser.pieces(some))))
        assert seen["known"][:, 1:].any() == learnt
        word = torch.zeros_like(seen["told"], requires_grad=True)
        loss = imitate.losses({"word": word, "post": word[:, 0]}, seen)["word"]
        loss.backward()
        assert bool(loss) == learnt and torch.isfinite(word.grad).all()
    known = seen["known"][:, 1:]
    torch.testing.assert_close(loss, (seen["told"][:, 1:][known] ** 2).mean())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_imitation_goes_on_and_the_base_explains_more_and_more(
    data: Path, guide: Path, base: Path, tmp_path: Path,
    killed_and_resumed: Callable[[Callable[..., Path]], Path],
) -> None:  # fmt: skip
    def training(say: Callable[[str], None], guide: Path = guide) -> Path:
        return imitate.imitate(
            data=data, guide=guide, base=base, work=tmp_path / "w", practice=PRACTICE, budget_min=0.1, say=say
        )

    made = killed_and_resumed(training)
    record = json.loads((made / "pretraining.json").read_text("utf-8"))
    assert record["guide"] == digest(guide / "model.safetensors")
    assert record["base"] == {"identity": digest(base / "model.safetensors")}
    assert origin(made) == {"identity": digest(made / "model.safetensors"), "record": record}
    curve = record["run"]["curve"]
    assert curve[-1]["word"] < 0.8 * curve[0]["word"]
    assert from_pretrained(made).bert.config.hidden_size == 32
    cut = [[pieces.ids for pieces in tokeniser_of(folder).pieces(TEXTS)] for folder in (made, base)]
    assert cut[0] == cut[1]
    assert training(print, guide=tmp_path / "none") == made, "what is done needs neither texts nor guide"
