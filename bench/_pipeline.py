"""The shipped weights as PyTorch runs them behind ``transformers.pipeline``."""

from __future__ import annotations

import os
from functools import cache
from logging import CRITICAL
from typing import Any


@cache
def classifier() -> Any:
    """A text-classification pipeline over the shipped network; its head of finance posts answers."""
    import torch
    from transformers import (
        BertPreTrainedModel,
        PreTrainedTokenizerFast,
        TextClassificationPipeline,
        logging,
    )
    from transformers.modeling_outputs import SequenceClassifierOutput

    from nlp.bundle import shipped
    from nlp.export import restore
    from nlp.labels import SENTIMENTS

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    logging.set_verbosity(CRITICAL)  # it would list two hundred models that this is none of
    judge = restore(shipped() / "encoder.onnx").eval()

    class Classifier(BertPreTrainedModel):
        """One sentiment a text, the whole network behind it."""

        def __init__(self) -> None:
            config = judge.bert.config
            config.id2label = dict(enumerate(SENTIMENTS))
            config.label2id = {name: i for i, name in enumerate(SENTIMENTS)}
            super().__init__(config)
            self.judge = judge

        def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> SequenceClassifierOutput:
            nobody = torch.zeros(0, input_ids.shape[1]), torch.zeros(0, dtype=torch.int64)
            out = self.judge(input_ids, attention_mask, *nobody)
            return SequenceClassifierOutput(logits=out["sentiment"][:, 0])

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(shipped() / "tokenizer.json"),
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    )
    return TextClassificationPipeline(model=Classifier().eval(), tokenizer=tokenizer, device="cpu")
