"""The network: one BERT encoder, a head a task. Training only; ``nlp.export`` writes it down for inference.

Imports torch and transformers, so nothing imports this module before it is needed.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from nlp.labels import DOMAINS, EVENTS, SENTIMENTS, STANCES, TOPICS


class Judge(nn.Module):
    """Reads a batch of windows and their mentions; returns logits for every task.

    The post is summed up by [CLS] and the mean of its pieces; each topic looks at the pieces through an attention
    of its own (Mullenbach et al. 2018, "Explainable prediction of medical codes"), so that a rare topic is not
    drowned by what the rest of the post is about; a company is judged by the mean of its mentions beside the post.
    """

    def __init__(self, config: BertConfig, *, dropout: float = 0.1) -> None:
        super().__init__()
        size = config.hidden_size
        self.bert = BertModel(config, add_pooling_layer=False)
        self.pool = nn.Linear(2 * size, size)
        self.sentiment = nn.Linear(size, len(DOMAINS) * len(SENTIMENTS))
        self.domain = nn.Linear(size, len(DOMAINS))
        self.stance = nn.Linear(size, len(STANCES))
        self.ad = nn.Linear(size, 1)
        self.events = nn.Linear(size, len(EVENTS))
        self.topic_query = nn.Linear(size, len(TOPICS), bias=False)
        self.topic_out = nn.Linear(size, len(TOPICS))
        self.topic_post = nn.Linear(size, len(TOPICS), bias=False)
        self.absent = nn.Parameter(torch.zeros(size))
        self.mention = nn.Linear(2 * size, size)
        self.entity = nn.Linear(size, len(SENTIMENTS))
        self.drop = nn.Dropout(dropout)

    def forward(self, ids: Tensor, mask: Tensor | None, mentions: Tensor, owner: Tensor) -> dict[str, Tensor]:
        """Logits of every task.

        ids, mask: windows × length; no mask when nothing is padding. mentions: names × length, each row the
        weights (sum 1, or all 0 where the name is not in the window) of the pieces that mention it. owner: the
        window of each name.
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
            "topics": topics,
        }
        named = torch.einsum("nl,nlh->nh", mentions, hidden[owner])
        named = named + (mentions.sum(1, keepdim=True) == 0) * self.absent
        joint = self.drop(nn.functional.gelu(self.mention(torch.cat([named, post[owner]], -1))))
        result["entity"] = self.entity(joint)
        return result


def from_pretrained(base: Path, *, dropout: float = 0.1) -> Judge:
    """A judge whose encoder starts from a Hugging Face folder; the heads start at random."""
    config = BertConfig.from_pretrained(base)
    config.hidden_dropout_prob = dropout
    judge = Judge(config, dropout=dropout)
    judge.bert = BertModel.from_pretrained(base, config=config, add_pooling_layer=False)
    return judge
