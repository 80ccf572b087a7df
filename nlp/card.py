"""The card of a model: from what it came, how good it is, where it is weak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nlp.corpus import Split
from nlp.evaluate import MODEL, lines, values
from nlp.scores import Scores

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
    data: Mapping[str, str],
    base: str,
    chosen: Mapping[str, Any],
    parts: Split,
    run: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, Scores]],
) -> dict[str, Any]:
    """The card as JSON values."""
    return {
        "purpose": PURPOSE,
        "data_sha256": dict(data),
        "base_sha256": base,
        "settings": dict(chosen),
        "encoder_run": dict(run),
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
        f"group lies on two sides. `{MODEL}` is this model; `n-grams` its linear part alone; `lexicon` counts"
    )
    made += ["words cut by jieba.", "", *lines(scores), "", "## Weak spots", ""]
    made += [f"- {weakness}" for weakness in card["weaknesses"]]
    run = card["encoder_run"]
    made += ["", "## Learning curve", "", *curve(run), "", "## Where it came from", ""]
    made.append(
        f"- fine-tuning: {run['steps']} steps, {run['passes']} whole passes, {run['minutes']} minutes on the machine "
        "it was made on"
        if "steps" in run
        else "- fine-tuning: not finished"
    )
    made.append(f"- base encoder: sha256 `{card['base_sha256']}`")
    made += [f"- `{name}`: sha256 `{value}`" for name, value in card["data_sha256"].items()]
    made.append("- settings and all scores: `card.json`")
    return "\n".join(made) + "\n"


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
