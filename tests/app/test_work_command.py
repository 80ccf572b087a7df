"""``yujing work`` by itself: a store that is away is waited for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.commands import work
from app.worker import Worked
from domain.errors import StoreError


def context(answers: list[object]) -> SimpleNamespace:
    """As typer gives it: each call of ``drain`` returns or raises the next answer."""

    def drain(**_: object) -> Worked:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    app = SimpleNamespace(
        worker=SimpleNamespace(drain=drain),
        clock=SimpleNamespace(now=None),
        settings=SimpleNamespace(service=SimpleNamespace(work_every_s=0.001)),
    )
    return SimpleNamespace(obj=lambda: app)


def test_passing_trouble_is_said_and_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    away, broken = StoreError("连不上", permanent=False), StoreError("坏了")
    answers: list[object] = [away, away, Worked(judged=1), broken]
    with pytest.raises(StoreError, match="坏了"):
        work.command(context(answers), once=False)
    assert answers == []
    assert capsys.readouterr().err == "yujing: 连不上\n" * 2


def test_once_does_not_wait() -> None:
    with pytest.raises(StoreError, match="连不上"):
        work.command(context([StoreError("连不上", permanent=False)]), once=True)
