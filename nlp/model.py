"""The network: one BERT encoder, a head a task. Training only; ``nlp.export`` writes it down for inference.

Imports torch and transformers, so nothing imports this module before it is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedConfig

from domain.errors import ModelError
from nlp.labels import DOMAINS, EMOTIONS, EVENTS, SENTIMENTS, STANCES, TOPICS
from nlp.tokens import Tokeniser

HEADS = "heads.safetensors"
FAMILIES = ("bert", "roberta", "electra", "ernie")
"""Architectures that may be the encoder, as ``model_type`` in their config.json."""


class Judge(nn.Module):
    """Reads a batch of windows and their mentions; returns logits for every task.

    The post is summed up by [CLS] and the mean of its pieces; each topic looks at the pieces through an attention
    of its own (Mullenbach et al. 2018, "Explainable prediction of medical codes"), so that a rare topic is not
    drowned by what the rest of the post is about; a company is judged by the mean of its mentions, by what these
    look at in the text, and beside the post.
    """

    def __init__(self, config: PreTrainedConfig, *, dropout: float = 0.1) -> None:
        super().__init__()
        size = config.hidden_size
        self.bert = AutoModel.from_config(config, **_without_pooler(config))  # type: ignore[no-untyped-call]
        self.pool = nn.Linear(2 * size, size)
        self.sentiment = nn.Linear(size, len(DOMAINS) * len(SENTIMENTS))
        self.domain = nn.Linear(size, len(DOMAINS))
        self.stance = nn.Linear(size, len(STANCES))
        self.ad = nn.Linear(size, 1)
        self.events = nn.Linear(size, len(EVENTS))
        self.emotion = nn.Linear(size, len(EMOTIONS))
        self.topic_query = nn.Linear(size, len(TOPICS), bias=False)
        self.topic_out = nn.Linear(size, len(TOPICS))
        self.topic_post = nn.Linear(size, len(TOPICS), bias=False)
        self.absent = nn.Parameter(torch.zeros(size))
        self.look = nn.Linear(size, size, bias=False)
        self.mention = nn.Linear(3 * size, size)
        self.entity = nn.Linear(size, len(SENTIMENTS))
        self.drop = nn.Dropout(dropout)

    def forward(self, ids: Tensor, mask: Tensor | None, mentions: Tensor, owner: Tensor) -> dict[str, Tensor]:
        """Logits of every task.

        ids, mask: windows × length; no mask when nothing is padding. mentions: names × length, each row the weights
        (sum 1, or all 0 where the name is not in the window) of the pieces that mention it. owner: the window of
        each name.
        """
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        looks = self.topic_query(hidden)
        if mask is None:
            mean = hidden.mean(1)
        else:
            real = mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * real).sum(1) / real.sum(1)
            looks = looks.masked_fill(mask.unsqueeze(-1) == 0, -1e4)
        post = self.drop(nn.functional.gelu(self.pool(torch.cat([hidden[:, 0], mean], -1))))
        context = self.drop(torch.einsum("blt,blh->bth", looks.softmax(1), hidden))
        topics = (context * self.topic_out.weight).sum(-1) + self.topic_out.bias + self.topic_post(post)
        result = {
            "sentiment": self.sentiment(post).view(-1, len(DOMAINS), len(SENTIMENTS)),
            "domain": self.domain(post),
            "stance": self.stance(post),
            "ad": self.ad(post).squeeze(-1),
            "events": self.events(post),
            "emotion": self.emotion(post),
            "topics": topics,
        }
        named = torch.einsum("nl,nlh->nh", mentions, hidden[owner])
        named = named + (mentions.sum(1, keepdim=True) == 0) * self.absent
        around = torch.einsum("nh,nlh->nl", self.look(named), hidden[owner]) / hidden.shape[-1] ** 0.5
        if mask is not None:
            around = around.masked_fill(mask[owner] == 0, -1e4)
        near = torch.einsum("nl,nlh->nh", around.softmax(1), hidden[owner])
        joint = self.drop(nn.functional.gelu(self.mention(torch.cat([named, near, post[owner]], -1))))
        result["entity"] = self.entity(joint)
        return result


def _without_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    """ELECTRA has no pooler that could be left out."""
    return {} if config.model_type == "electra" else {"add_pooling_layer": False}


def from_pretrained(base: str | Path, *, dropout: float = 0.1) -> Judge:
    """A judge whose encoder starts from a Hugging Face folder or hub id; so do its heads where the folder has them
    (``save_pretrained``), else they start at random.

    Any encoder of the BERT family will do: BERT (RoBERTa-wwm, MacBERT), RoBERTa, ELECTRA, ERNIE.
    Raises ``ModelError`` when there is none or it is of another kind.
    """
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
            base, config=config, dtype=torch.float32, **_without_pooler(config)
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


def save_pretrained(judge: Judge, *, tokeniser: str | Path, out: Path, record: dict[str, Any]) -> Path:
    """Encoder, heads and the tokeniser of a base as a folder for ``from_pretrained``, in half precision.

    ``record``, how it was made, lies beside them as ``pretraining.json``.
    """
    judge.bert.to(torch.float16).save_pretrained(out)
    halves = {name: tensor.to(torch.float16).contiguous() for name, tensor in _heads(judge).items()}
    save_file(halves, out / HEADS)
    AutoTokenizer.from_pretrained(tokeniser).save_pretrained(out)
    (out / "pretraining.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return out


def tokeniser_of(base: str | Path) -> Tokeniser:
    """The tokeniser that belongs to a pre-trained encoder, a folder or hub id. Raises ``ModelError``."""
    try:
        own = AutoTokenizer.from_pretrained(base, use_fast=True)
        return Tokeniser(own.backend_tokenizer.to_str())
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{base} 的词表读不了：{' '.join(str(error).split())[:300]}") from error
