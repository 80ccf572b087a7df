from __future__ import annotations

import json
from collections.abc import Callable
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


Training = Callable[[Callable[[str], None]], Path]
"""A training that says its lines to what it is given, and returns what it made."""


@pytest.fixture
def killed_and_resumed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Training], Path]:
    """Begins a training, stops it at its first line of progress, lets it go on, and asks for it a third time."""
    pytest.importorskip("torch")
    from nlp import learn

    class Killed(Exception):
        pass

    def run(training: Training) -> Path:
        told: list[str] = []

        def stop(line: str) -> None:
            told.append(line)
            if "词片/秒" in line:
                raise Killed

        monkeypatch.setattr(learn, "SAVE_EVERY_S", -1)
        monkeypatch.setattr(learn, "SAY_EVERY", 3)
        with pytest.raises(Killed):
            training(stop)
        made = training(told.append)
        assert any(line.startswith("接着第") for line in told)
        before = {path.name: path.read_bytes() for path in made.iterdir()}
        said = len(told)
        assert training(told.append) == made
        assert {path.name: path.read_bytes() for path in made.iterdir()} == before
        assert len(told) == said, "what is done reads nothing again"
        return made

    return run
