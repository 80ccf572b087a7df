"""Any encoder of the BERT family can take the place of ours: tiny random ones, each with a tokeniser of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
import transformers
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer

from domain.errors import ModelError
from nlp.bases import FAMILIES, from_pretrained, identity, save_encoder, save_pretrained, tokeniser_of
from nlp.batches import pad, windows
from nlp.bundle import shipped
from nlp.corpus import Example, only
from nlp.encoder import Encoder
from nlp.export import export, restore
from nlp.model import Judge
from nlp.processor import quicken
from nlp.tokens import Tokeniser

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TEXTS = [
    "云桥金融昨晚起无法提现,客服电话一直占线",
    "小鹿花分期没有爆通讯录,打电话的是冒充的",
    "QPay 的利率是 7.2% 吗?",
    "优豆白卡真香",
]
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
}  # fmt: skip


def pieces(folder: Path, kind: str) -> int:
    """A WordPiece tokeniser in the files that such checkpoints have; returns its size."""
    own = BertWordPieceTokenizer(lowercase=True)
    own.train_from_iterator(TEXTS, vocab_size=300, show_progress=False)
    own.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}), "utf-8")
    own.save(str(folder / "tokenizer.json"))
    return int(own.get_vocab_size())


def bytes_of(folder: Path) -> int:
    """A byte-level BPE tokeniser, as RoBERTa has; padding is not number 0."""
    own = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    own.train_from_iterator(TEXTS, vocab_size=400, special_tokens=special, show_progress=False)
    own.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "RobertaTokenizerFast"}), "utf-8"
    )
    return int(own.get_vocab_size())


def bert(folder: Path) -> Any:
    return transformers.BertForMaskedLM(
        transformers.BertConfig(vocab_size=pieces(folder, "BertTokenizerFast"), **SMALL)
    )


def roberta(folder: Path) -> Any:
    config = transformers.RobertaConfig(
        vocab_size=bytes_of(folder), max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, **SMALL
    )
    return transformers.RobertaForMaskedLM(config)


def electra(folder: Path) -> Any:
    config = transformers.ElectraConfig(
        vocab_size=pieces(folder, "ElectraTokenizerFast"), embedding_size=16, **SMALL
    )
    return transformers.ElectraForPreTraining(config)


def ernie(folder: Path) -> Any:
    config = transformers.ErnieConfig(
        vocab_size=pieces(folder, "BertTokenizerFast"), use_task_id=True, **SMALL
    )
    return transformers.ErnieForMaskedLM(config)


MAKERS: dict[str, Callable[[Path], Any]] = {
    "bert": bert,
    "roberta": roberta,
    "electra": electra,
    "ernie": ernie,
}


def test_every_family_is_tried() -> None:
    assert set(MAKERS) == set(FAMILIES)


@pytest.fixture(params=MAKERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(3)
    MAKERS[request.param](tmp_path).save_pretrained(tmp_path)
    return tmp_path


def test_each_is_quick_to_train_and_says_what_it_said(checkpoint: Path) -> None:
    judge = from_pretrained(checkpoint).eval()
    ids = torch.randint(5, 60, (3, 20))
    with torch.inference_mode():
        wanted = judge.bert(input_ids=ids).last_hidden_state
        quicken(judge, judge.bert, "bf16")
        assert torch.allclose(judge.bert(input_ids=ids).last_hidden_state, wanted, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            halved = judge.bert(input_ids=ids, output_hidden_states=True)
    assert {states.dtype for states in halved.hidden_states} == {torch.bfloat16}
    assert halved.last_hidden_state.dtype == torch.float32
    assert torch.allclose(halved.last_hidden_state, wanted, atol=0.15)
    assert not any(
        part.p for layer in judge.bert.modules() if hasattr(layer, "query") for part in [layer.dropout]
    )


def judged(judge: Judge, cut: list[Any]) -> dict[str, np.ndarray[Any, Any]]:
    with torch.no_grad():
        return {k: v.numpy() for k, v in judge.eval()(*map(torch.from_numpy, pad(cut))).items()}


def test_a_checkpoint_is_read_exported_and_trained_on(checkpoint: Path, tmp_path: Path) -> None:
    tokeniser, judge = tokeniser_of(checkpoint), from_pretrained(checkpoint)
    examples = [
        Example(set="authored_posts", key=str(i), text=text, entities=((text[:4], only("neutral")),))
        for i, text in enumerate(TEXTS)
    ]
    cut = windows(examples, tokeniser, np.random.default_rng(0))
    assert all(window.spans[0] for window in cut), "the company is found among the pieces"
    assert len({piece for window in cut for piece in window.ids[1:-1]}) > 20, "characters are told apart"
    one_by_one = [judged(judge, [window]) for window in cut]
    together = judged(judge, cut)
    for name, value in together.items():
        np.testing.assert_allclose(value, np.concatenate([one[name] for one in one_by_one]), atol=1e-4)
    out = tmp_path / "encoder.onnx"
    export(judge, windows=cut, out=out)
    network = Encoder(out.read_bytes())
    for window, wanted in zip(cut, one_by_one, strict=True):
        got = network.read([window])
        np.testing.assert_allclose(got.sentiment, wanted["sentiment"], atol=0.05)
        np.testing.assert_allclose(np.concatenate(got.entity), wanted["entity"], atol=0.05)
    again = judged(restore(out), cut)
    np.testing.assert_allclose(again["topics"], together["topics"], atol=0.05)


def test_what_is_saved_cuts_texts_as_its_base_does(checkpoint: Path, tmp_path: Path) -> None:
    lower, encoder = tokeniser_of(checkpoint).json, from_pretrained(checkpoint).bert
    for own in (lower, lower.replace('"lowercase":true', '"lowercase":false')):
        saved = save_encoder(encoder, tokeniser=Tokeniser(own), out=tmp_path / "saved", record={})
        assert tokeniser_of(saved).json == own


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    config = transformers.GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=10)
    transformers.GPT2Model(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="gpt2"):
        from_pretrained(tmp_path)


def test_a_hub_name_that_cannot_be_reached_is_one_clear_line() -> None:
    with pytest.raises(ModelError, match=r"^预训练编码器 nobody/none 读不了：") as error:
        from_pretrained("nobody/none")
    assert "\n" not in str(error.value)


def test_a_model_directory_is_a_base_too_and_so_is_what_is_saved_of_it(tmp_path: Path) -> None:
    judge, tokeniser = from_pretrained(shipped()), tokeniser_of(shipped())
    saved = save_pretrained(judge, tokeniser=tokeniser, out=tmp_path / "base", record={"made": "here"})
    again, theirs = from_pretrained(saved), tokeniser_of(saved)
    text = "云桥金融又提现失败了，[SEP] App 打不开"
    assert theirs.pieces([text])[0].ids == tokeniser.pieces([text])[0].ids
    assert theirs.ends == tokeniser.ends and theirs.mask == tokeniser.mask
    wanted, got = from_pretrained(shipped()).state_dict(), again.state_dict()
    assert set(got) == set(wanted)
    assert all(torch.allclose(got[name], wanted[name], atol=4e-3) for name in wanted)
    assert json.loads((saved / "pretraining.json").read_text("utf-8")) == {"made": "here"}
    assert identity(saved) != identity(shipped()) == identity(shipped())


def test_a_base_that_was_cut_off_is_one_clear_line(tmp_path: Path) -> None:
    saved = save_pretrained(
        from_pretrained(shipped()), tokeniser=tokeniser_of(shipped()), out=tmp_path / "base", record={}
    )
    for name in ("model.safetensors", "heads.safetensors"):
        whole = (saved / name).read_bytes()
        (saved / name).write_bytes(whole[:-9])
        with pytest.raises(ModelError, match="读不了") as error:
            from_pretrained(saved)
        assert "\n" not in str(error.value)
        (saved / name).write_bytes(whole)
