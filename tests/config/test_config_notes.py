"""What is sound but asks for something: alerts that reach nobody, and duties that nobody confirmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import load
from config.notes import notes

OPERATOR = "  - {name: 运维, level: blue, operator: true, to: [ops@yunqiao.cn]}\n"


def subjects(folder: Path, routes: str) -> list[str]:
    (folder / "routes.yaml").write_text(f"routes:\n{routes}", encoding="utf-8")
    return [note.subject for note in notes(load(folder)) if note.subject != "法定时限"]


@pytest.mark.parametrize(
    "narrow",
    [
        "level: red",
        "level: blue, brands: [ansui]",
        "level: blue, topics: [fraud]",
        "level: blue, plans: [fraud]",
    ],
)
def test_a_brand_whose_grave_alerts_no_route_takes_on_every_topic(folder: Path, narrow: str) -> None:
    route = f"  - {{name: 公关, {narrow}, to: [pr@yunqiao.cn]}}\n"
    assert subjects(folder, OPERATOR + route) == ["品牌 云桥金融"]
    wide = "  - {name: 值班, level: orange, brands: [yunqiao], to: [pr@yunqiao.cn]}\n"
    assert subjects(folder, OPERATOR + route + wide) == []


def test_nobody_who_runs_it_is_told_of_blind_sources(folder: Path) -> None:
    assert subjects(folder, "  - {name: 公关, level: yellow, to: [pr@yunqiao.cn]}\n") == ["运维"]
    assert subjects(folder, OPERATOR) == ["品牌 云桥金融"]


def test_recipients_of_the_example_are_nobody(folder: Path) -> None:
    (note,) = [note for note in notes(load(folder)) if note.subject == "收件人"]
    assert "pr-duty@example.com" in note.text and "ops@example.com" in note.text
