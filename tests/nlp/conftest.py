from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlp.bundle import shipped
from nlp.corpus import Example, read
from nlp.runtime import Runtime
from nlp.segment import Segmenter
from nlp.train import shipped_base

HERE = Path(__file__).parent
EVALUATION = HERE / "authored_eval.jsonl"


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return Runtime.load(shipped())


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return Segmenter(["云桥金融"], cache=tmp_path_factory.mktemp("jieba"))


@pytest.fixture(scope="session")
def authored(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "authored_posts.jsonl").write_bytes(EVALUATION.read_bytes())
    return read(folder, "authored_posts")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT from random weights, with the shipped word pieces, as a Hugging Face folder."""
    pytest.importorskip("torch")
    from transformers import BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("base")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((shipped_base() / name).read_bytes())
    size = len(json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"])
    config = BertConfig(
        vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=512,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    return folder
