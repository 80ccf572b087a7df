"""The arithmetic of the training is chosen by what the machine is faster at."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nlp import precision  # noqa: E402


@pytest.mark.parametrize(("single", "half", "chosen"), [(2.0, 1.0, True), (1.0, 1.5, False)])
def test_auto_takes_the_faster_one(
    monkeypatch: pytest.MonkeyPatch, single: float, half: float, chosen: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(precision, "_seconds", lambda a, _: half if a.dtype == torch.bfloat16 else single)
    precision._faster_in_halves.cache_clear()
    try:
        assert precision.halves("auto", torch.device("cpu")) is chosen
    finally:
        precision._faster_in_halves.cache_clear()


def test_what_is_asked_for_is_done() -> None:
    layer, cpu = torch.nn.Linear(8, 8), torch.device("cpu")
    with precision.mixed("bf16", cpu):
        assert layer(torch.ones(2, 8)).dtype == torch.bfloat16
    with precision.mixed("fp32", cpu):
        assert layer(torch.ones(2, 8)).dtype == torch.float32
