"""The network: one BERT encoder, a head a task. Training only; ``nlp.export`` writes it down for inference.

Imports torch and transformers, so nothing imports this module before it is needed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from nlp.labels import DOMAINS, EMOTIONS, EVENTS, SENTIMENTS, STANCES, TOPICS


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
        self.bert = AutoModel.from_config(config, **without_pooler(config))  # type: ignore[no-untyped-call]
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
            # As a product, for a mean of a single window is summed in another order.
            even = torch.zeros_like(ids, dtype=hidden.dtype).softmax(1)
            mean = torch.einsum("bl,blh->bh", even, hidden)
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


def without_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    """Arguments that leave out the encoder's pooler. ELECTRA has no pooler that could be left out."""
    return {} if config.model_type == "electra" else {"add_pooling_layer": False}
