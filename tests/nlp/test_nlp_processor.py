from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from nlp.bases import from_pretrained  # noqa: E402
from nlp.learn import ahead  # noqa: E402
from nlp.model import Judge  # noqa: E402
from nlp.processor import Dropout, quicken  # noqa: E402


def inputs(rows: int = 6, length: int = 40) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    ids, mask = torch.randint(5, 900, (rows, length)), torch.ones(rows, length, dtype=torch.long)
    mask[0, 25:] = 0
    mentions = torch.zeros(4, length)
    mentions[:3, 3:5] = 0.5
    return ids, mask, mentions, torch.tensor([0, 2, 2, 5])


@pytest.fixture
def judge(base: Path) -> Judge:
    torch.manual_seed(3)
    return from_pretrained(base, dropout=0.1)


def test_what_is_dropped_is_a_tenth_and_the_rest_makes_up_for_it() -> None:
    layer, ones = Dropout(0.1), torch.ones(400, 500)
    torch.manual_seed(5)
    once, again = layer(ones), layer(ones)
    torch.manual_seed(5)
    assert torch.equal(layer(ones), once) and not torch.equal(once, again)
    assert once.eq(0).float().mean().item() == pytest.approx(0.1, abs=0.005)
    assert once.mean().item() == pytest.approx(1, abs=0.005)
    assert torch.equal(layer.eval()(ones), ones) and torch.equal(Dropout(0.0)(ones), ones)


def test_the_gradient_passes_where_nothing_was_dropped() -> None:
    x = torch.ones(50, 60, requires_grad=True)
    out = Dropout(0.5)(x)
    out.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, out.detach())


def test_it_says_the_same_when_nothing_is_dropped(judge: Judge) -> None:
    plain = copy.deepcopy(judge)
    quicken(judge, judge.bert, "fp32")
    with torch.inference_mode():
        one, two = plain.eval()(*inputs()), judge.eval()(*inputs())
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
    assert judge.state_dict().keys() == plain.state_dict().keys()


def test_in_halves_it_says_nearly_the_same_in_single_precision(judge: Judge) -> None:
    plain = copy.deepcopy(judge)
    quicken(judge, judge.bert, "bf16")
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        kept = judge.eval().bert(input_ids=inputs()[0]).last_hidden_state
        one, two = plain.eval()(*inputs()), judge(*inputs())
    assert kept.dtype == torch.float32
    for name in one:
        assert torch.allclose(one[name].float(), two[name].float(), atol=0.1)
    with torch.inference_mode():
        assert judge(*inputs())["topics"].dtype == torch.float32, "outside of autocast nothing is halved"


@pytest.mark.parametrize("training", [True, False])
def test_every_dropout_is_replaced_and_none_is_left_in_the_attention(judge: Judge, training: bool) -> None:
    judge.bert.encoder.layer[0].attention.self.dropout.p = 0.3
    quicken(judge.train(training), judge.bert, "fp32")
    found = [part for part in judge.modules() if isinstance(part, nn.Dropout)]
    assert {type(part) for part in found} == {Dropout} and {part.training for part in found} == {training}
    assert [layer.attention.self.dropout.p for layer in judge.bert.encoder.layer] == [0.0, 0.0]
    assert judge.drop.p == judge.bert.encoder.layer[0].output.dropout.p == 0.1


def test_the_next_batch_is_made_while_one_is_worked_on() -> None:
    asked, worked_on = threading.Event(), []

    def items() -> Iterator[int]:
        yield 0
        asked.set()
        yield 1

    for item in ahead(items()):
        assert asked.wait(10), "the second is begun although the first is not done"
        worked_on.append(item)
    assert worked_on == [0, 1] and list(ahead([])) == []


def test_what_is_wrong_with_a_batch_is_said_when_it_is_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise ValueError("no such text")

    coming = ahead(items())
    assert next(coming) == 0
    with pytest.raises(ValueError, match="no such text"):
        next(coming)
