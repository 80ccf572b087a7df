"""How good the model is on posts that it was not trained on, beside each of its two parts and a lexicon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nlp import tune
from nlp.corpus import Example
from nlp.entities import EntityFinder
from nlp.judgement import Item
from nlp.labels import DOMAINS, SENTIMENTS, TOPICS
from nlp.lexicon import Lexicon
from nlp.runtime import Runtime
from nlp.scores import Scores, Told, table
from nlp.wide import COLUMNS

MODEL, ENCODER, LINEAR, LEXICON = "yujing", "encoder", "n-grams", "lexicon"


def by_model(runtime: Runtime, examples: Sequence[Example]) -> list[Told]:
    """The shipped model; of a text for which no company is given it finds them, as ``yujing analyze`` does."""
    finder = EntityFinder()
    told: list[Told] = []
    for start in range(0, len(examples), 256):
        part = examples[start : start + 256]
        for example, j in zip(part, runtime.judge([_item(e, finder) for e in part]), strict=True):
            told.append(
                Told(
                    sentiment=j.sentiment,
                    topics=j.decided,
                    topic_probabilities=j.topics,
                    stance=int(np.argmax(j.stance)),
                    ad=j.is_ad,
                    entities=j.entities if example.entities else (),
                )
            )
    return told


def _item(example: Example, finder: EntityFinder) -> Item:
    if example.entities:
        return Item(text=example.text, entities=tuple(name for name, _ in example.entities))
    return Item(text=example.text, entities=tuple(finder.find(example.text)), found=True)


def by_encoder(runtime: Runtime, examples: Sequence[Example]) -> list[Told]:
    """The network alone, not calibrated, told which kind of text it reads."""
    return [
        Told(
            sentiment=logits.sentiment[max(example.domain, 0)].tolist(),
            topics=np.flatnonzero(logits.topics > 0).tolist(),
            stance=int(logits.stance.argmax()),
            ad=bool(logits.ad[0] > 0),
            entities=logits.entity.tolist(),
        )
        for example, logits in zip(examples, tune.read(runtime, examples), strict=True)
    ]


def by_grams(runtime: Runtime, examples: Sequence[Example]) -> list[Told]:
    """The n-gram part alone: a linear model over character 1–4-grams, told which kind of text it reads; companies
    get the post's sentiment."""
    told = []
    for row, example in zip(runtime.grams([e.text for e in examples]), examples, strict=True):
        own = COLUMNS["sentiment"] if example.domain <= 0 else COLUMNS[DOMAINS[example.domain]]
        sentiment = row[own].tolist()
        told.append(
            Told(
                sentiment=sentiment,
                topics=np.flatnonzero(row[COLUMNS["topics"]] > np.log(0.3 / 0.7)).tolist(),
                stance=int(row[COLUMNS["stance"]].argmax()),
                ad=bool(row[COLUMNS["ad"]][0] > 0),
                entities=[sentiment] * len(example.entities),
            )
        )
    return told


def by_lexicon(lexicon: Lexicon, examples: Sequence[Example]) -> list[Told]:
    """Counting good and bad words cut by jieba."""
    told = []
    for example in examples:
        sentiment = lexicon.sentiment(example.text)
        told.append(Told(sentiment=sentiment, entities=[sentiment] * len(example.entities)))
    return told


def compare(runtime: Runtime, lexicon: Lexicon, examples: Sequence[Example]) -> dict[str, dict[str, Scores]]:
    """For each classifier the scores of every slice; the model's with their bootstrap intervals."""
    return {
        MODEL: table(examples, by_model(runtime, examples), bootstrap=True),
        ENCODER: table(examples, by_encoder(runtime, examples)),
        LINEAR: table(examples, by_grams(runtime, examples)),
        LEXICON: table(examples, by_lexicon(lexicon, examples)),
    }


def values(scores: Mapping[str, Mapping[str, Scores]]) -> dict[str, Any]:
    """As JSON values."""
    return {who: {name: score.values() for name, score in each.items()} for who, each in scores.items()}


_COLUMNS = (
    ("accuracy", "准确率"),
    ("macro_f1", "宏F1"),
    ("negative_f1", "负面F1"),
    ("topics_micro_f1", "话题微F1"),
    ("topics_macro_f1", "话题宏F1"),
    ("stance_accuracy", "立场"),
    ("ad_f1", "广告F1"),
    ("accused_f1", "被指F1"),
    ("ece", "ECE"),
    ("topics_ece", "话题ECE"),
)


def _cell(row: Mapping[str, Any], key: str) -> str:
    if key not in row:
        return "–"
    low, high = row.get("intervals", {}).get(key, (None, None))
    return f"{row[key]:.3f}" if low is None else f"{row[key]:.3f} ({low:.2f}–{high:.2f})"


def lines(scores: Mapping[str, Mapping[str, Scores]]) -> list[str]:
    """As a Markdown table, a row a slice and classifier, and one of the model's F1 by class."""
    made = ["| 部分 | 帖数 | 分类器 | " + " | ".join(title for _, title in _COLUMNS) + " |"]
    made.append("|---" * (3 + len(_COLUMNS)) + "|")
    for name in scores[MODEL]:
        for who, each in scores.items():
            row = each[name].values()
            if who == LEXICON and "/" in name:
                continue
            cells = [_cell(row, key) for key, _ in _COLUMNS]
            made.append(f"| {name} | {row['posts']} | {who} | " + " | ".join(cells) + " |")
    made += ["", "| 类别 | " + " | ".join(n for n in scores[MODEL] if "/" not in n) + " |"]
    names = [n for n in scores[MODEL] if "/" not in n]
    made.append("|---" * (1 + len(names)) + "|")
    for label in (*SENTIMENTS, *TOPICS):
        cells = []
        for name in names:
            score = scores[MODEL][name]
            found = (score.sentiment_f1 or {}) | (score.topic_f1 or {})
            cells.append(f"{found[label]:.3f}" if label in found else "–")
        made.append(f"| {label} | " + " | ".join(cells) + " |")
    return made
