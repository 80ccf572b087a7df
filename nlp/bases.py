"""What a training starts from: a Hugging Face folder or hub id, or a model directory of ours. Imports torch.

A folder that ``save_pretrained`` wrote has heads beside its encoder; in a model directory they are in the one file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

from domain.errors import ModelError
from nlp import bundle as bundles
from nlp.corpus_files import digest
from nlp.export import restore
from nlp.model import Judge, without_pooler
from nlp.tokens import Tokeniser

HEADS = "heads.safetensors"
ENCODER, TOKENISER = "encoder.onnx", "tokenizer.json"
RECORD = "pretraining.json"
"""How an encoder was made; written last, so that the folder is whole where it lies."""
FAMILIES = ("bert", "roberta", "electra", "ernie")
"""Architectures that may be the encoder, as ``model_type`` in their config.json."""


def from_pretrained(base: str | Path, *, dropout: float = 0.1) -> Judge:
    """A judge whose encoder starts from the base; so do its heads where the base has them, else they start at random.

    Any encoder of the BERT family will do: BERT (RoBERTa-wwm, MacBERT), RoBERTa, ELECTRA, ERNIE.
    Raises ``ModelError`` when there is none or it is of another kind.
    """
    if _is_model(base):
        bundles.open_bundle(Path(base))  # or says what is wrong with it
        return restore(Path(base) / ENCODER, dropout=dropout)
    # That the heads of masked-word guessing are not used, and a bar for a file of 20 MB, are not the user's business.
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(base)
        if config.model_type not in FAMILIES:
            raise ModelError(f"{base} 是 {config.model_type}，只支持 {'、'.join(FAMILIES)}")
        config.hidden_dropout_prob = dropout
        judge = Judge(config, dropout=dropout)
        judge.bert = AutoModel.from_pretrained(
            base, config=config, dtype=torch.float32, **without_pooler(config)
        )
        if (heads := Path(base) / HEADS).is_file():
            _load_heads(judge, heads)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"预训练编码器 {base} 读不了：{' '.join(str(error).split())[:300]}") from error
    return judge


def _load_heads(judge: Judge, path: Path) -> None:
    """Raises ``RuntimeError`` when they belong to another encoder or to other tasks."""
    found = {name: tensor.float() for name, tensor in load_file(path).items()}
    if set(found) != set(_heads(judge)):
        raise RuntimeError(f"{HEADS} 不是这一版的输出层")
    judge.load_state_dict(found, strict=False)


def _heads(judge: Judge) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in judge.state_dict().items() if not name.startswith("bert.")}


def identity(base: str | Path) -> str:
    """What tells one base from another: the digest of its weights, or the name of one on the hub."""
    for name in (ENCODER, "model.safetensors"):
        if (weights := Path(base) / name).is_file():
            return digest(weights)
    return str(base)


def origin(base: str | Path) -> dict[str, Any]:
    """For a record: what tells the base, and its own record where it has one."""
    before = Path(base) / RECORD
    told = {"record": json.loads(before.read_text("utf-8"))} if before.is_file() else {}
    return {"identity": identity(base), **told}


def _is_model(base: str | Path) -> bool:
    return (Path(base) / bundles.MANIFEST).is_file()


def save_pretrained(judge: Judge, *, tokeniser: Tokeniser, out: Path, record: dict[str, Any]) -> Path:
    """Encoder, heads and tokeniser as a folder for ``from_pretrained`` (``save_encoder``)."""
    halves = {name: tensor.to(torch.float16).contiguous() for name, tensor in _heads(judge).items()}
    out.mkdir(parents=True, exist_ok=True)
    save_file(halves, out / HEADS)
    return save_encoder(judge.bert, tokeniser=tokeniser, out=out, record=record)


def save_encoder(
    encoder: PreTrainedModel, *, tokeniser: Tokeniser, out: Path, record: dict[str, Any]
) -> Path:
    """Encoder and tokeniser as a folder for ``from_pretrained``, in half precision.

    ``record``, how it was made, lies beside them (``RECORD``).
    """
    encoder.half().save_pretrained(out)  # type: ignore[no-untyped-call]
    (out / TOKENISER).write_text(tokeniser.json, "utf-8")
    # The class that takes the file as it is; BERT's own would lower the case of every text.
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512}
    (out / "tokenizer_config.json").write_text(json.dumps(settings) + "\n", "utf-8")
    (out / RECORD).write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return out


def tokeniser_of(base: str | Path) -> Tokeniser:
    """The tokeniser that belongs to a base. Raises ``ModelError``."""
    if _is_model(base):
        return Tokeniser(Path(base) / TOKENISER)
    try:
        own = AutoTokenizer.from_pretrained(base, use_fast=True)
        return Tokeniser(own.backend_tokenizer.to_str())
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{base} 的词表读不了：{' '.join(str(error).split())[:300]}") from error
