"""The card of a model: from what it came, how good it is, where it is weak."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from domain.errors import ModelError
from nlp.bundle import Bundle
from nlp.evaluate import MODEL, lines, values
from nlp.scores import Scores
from nlp.split import Split

PURPOSE = (
    "Judges Chinese posts about internet-finance platforms: sentiment of the post and towards each company named, "
    "17 crisis topics, stance, advert. A BERT-family encoder (its base is named below) beside a linear model "
    "over character 1–4-grams, added up and calibrated on held-out posts."
)
WEAKNESSES = (
    "Sarcasm and praise turned round are often read literally.",
    "Denials and questions are told from assertions less surely than topics from one another: stance is per post.",
    "Companies that the text never names are judged by the post as a whole.",
    "One accusing paragraph in a long article decides about its company and topic, not about the sentiment of the "
    "whole; of a text longer than 15,000 characters the middle is not read.",
    "The positive class is rare in finance posts; soft adverts and praise are confused.",
    "News, stock-forum and review labels mean something else than ours; such texts are recognised and judged by "
    "heads of their own, a wrong guess of the kind costs accuracy.",
)


def describe(
    *,
    run: Mapping[str, Any],
    parts: Split,
    fitting: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, Scores]],
) -> dict[str, Any]:
    """The card as JSON values. ``run``: what was trained with what (``nlp.train``); ``fitting``: how that went."""
    return {
        "purpose": PURPOSE,
        "data_sha256": dict(run["data"]),
        "base_sha256": run["base"],
        "further_pretraining_minutes": run["pretrain_min"],
        "guide": run["guide"] or None,
        "imitation_minutes": run["guide_min"],
        "teachers": list(run["teachers"]),
        "distillation_minutes": run["distil_min"],
        "budget_minutes": run["budget_min"],
        "settings": dict(run["settings"]),
        "encoder_run": dict(fitting),
        "posts": {
            name: dict(sorted(Counter(e.set for e in part).items()))
            for name, part in (("train", parts.train), ("tune", parts.tune), ("test", parts.test))
        },
        "scores": values(scores),
        "weaknesses": list(WEAKNESSES),
    }


def markdown(card: Mapping[str, Any], scores: Mapping[str, Mapping[str, Scores]]) -> str:
    """The card for people."""
    made = ["# Model card", "", card["purpose"], "", "## Scores", ""]
    made.append(
        "On the part of the corpora that was neither trained nor tuned on; no near-duplicate and no contrast"
    )
    made.append(
        f"group lies on two sides. `{MODEL}` is this model; `encoder` and `n-grams` its two parts alone; `lexicon`"
    )
    made += ["counts words cut by jieba.", "", *lines(scores), "", "## Weak spots", ""]
    made += [f"- {weakness}" for weakness in card["weaknesses"]]
    run = card["encoder_run"]
    made += ["", "## Learning curve", "", *curve(run), "", "## Where it came from", ""]
    made.append(
        f"- fine-tuning: {run['steps']} steps, {run['passes']} whole passes, {run['minutes']} minutes on the machine "
        "it was made on"
        if "steps" in run
        else "- fine-tuning: not finished"
    )
    made.append(f"- base encoder: {_base(card)}")
    made += [f"- `{name}`: sha256 `{value}`" for name, value in card["data_sha256"].items()]
    made.append("- settings and all scores: `card.json`")
    return "\n".join(made) + "\n"


def _base(card: Mapping[str, Any]) -> str:
    told = _named(card["base_sha256"])
    first = []
    if minutes := card["further_pretraining_minutes"]:
        first.append(f"guessed masked words for {minutes:g} minutes")
    if guide := card["guide"]:
        first.append(f"imitated the larger encoder {_named(guide)} for {card['imitation_minutes']:g} minutes")
    if teachers := card["teachers"]:
        told_by = " and ".join(f"`{teacher}`" for teacher in teachers)
        first.append(f"learnt from {told_by} for at most {card['distillation_minutes']:g} minutes")
    return f"{told}; before the labels it {' and then '.join(first)}" if first else told


def _named(encoder: str) -> str:
    return (
        f"sha256 `{encoder}`" if re.fullmatch("[0-9a-f]{64}", encoder) else f"`{encoder}`, as the hub gave it"
    )


def scores(model: Bundle) -> dict[str, Any]:
    """What the card says of how good the model is, as JSON values. Raises ``ModelError`` when it says nothing.

    The scores in the card of an adapted model are those of the one that the first adaptation began with: its own are
    what was compared.
    """
    told = model.card.get("scores")
    if not isinstance(told, dict) or not told:
        raise ModelError(f"{model.name} 的模型卡里没有成绩：可用 --data 评测")
    if before := model.card.get("adapted_from"):
        own = {"scores": None, "compared": model.card.get("compared", [])}
        return {"adapted_from": before, **own, "scores_before_adaptation": told}
    return {"scores": told}


def learnt(model: Bundle) -> tuple[float, dict[str, str]]:
    """The share that was kept out, and the digests of the corpora. Raises ``ModelError`` when the card lacks them."""
    settings, data = model.card.get("settings"), model.card.get("data_sha256")
    share = settings.get("held_out") if isinstance(settings, dict) else None
    if not isinstance(data, dict) or not isinstance(share, float) or not 0 < share < 1:
        raise ModelError(f"{model.name} 的模型卡没有说用什么训练、留出了多少，无法评测")
    return share, data


def curve(run: Mapping[str, Any], points: int = 12) -> list[str]:
    """Smoothed training losses at some points of the run, as a Markdown table."""
    told = run.get("curve") or []
    if not told:
        return ["Too short a run for a curve."]
    picked = [told[round(i * (len(told) - 1) / (points - 1))] for i in range(points)]
    tasks = sorted({task for point in picked for task in point} - {"share"})
    made = ["| done | " + " | ".join(tasks) + " |", "|---" * (1 + len(tasks)) + "|"]
    for point in picked:
        cells = [f"{point[task]:.3f}" if task in point else "–" for task in tasks]
        made.append(f"| {point['share']:.0%} | " + " | ".join(cells) + " |")
    return made
