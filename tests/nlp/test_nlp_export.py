"""A judge written down as a network for inference, and read back to be trained further. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from transformers import BertConfig

from domain.errors import ModelError
from nlp.batches import pad
from nlp.bundle import shipped
from nlp.encoder import OUTPUTS, Encoder, Read
from nlp.export import _traced, export, restore, state
from nlp.model import Judge
from nlp.tokens import Window

pytestmark = [
    pytest.mark.slow,
    # the libraries that trace a network warn about themselves
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
PIECES = 1_200


@pytest.fixture(scope="module")
def judge() -> Judge:
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=PIECES, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=160,
    )  # fmt: skip
    made = Judge(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return made


@pytest.fixture(scope="module")
def windows() -> list[Window]:
    rng = np.random.default_rng(0)
    sizes = [1, 1, 4, 4, 4, 4, 4, 4, 30, 30, 30, 127, 127]
    return [
        Window(ids=[2, *rng.integers(5, PIECES, size).tolist(), 3], spans=spans)
        for size, spans in zip(sizes, _spans(), strict=False)
    ]


def _spans() -> Iterator[list[list[tuple[int, int]]]]:
    while True:
        yield [[(1, 2)], [], [(1, 2), (2, 3)]]
        yield []
        yield [[(1, 3)]]


@pytest.fixture(scope="module")
def path(judge: Judge, windows: list[Window], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "encoder.onnx"
    export(judge, windows=windows, out=path)
    return path


def read(encoder: Encoder, windows: list[Window]) -> list[list[np.ndarray]]:
    """Outputs of each window alone."""
    return [row for w in windows for row in rows(encoder.read([w]))]


def rows(got: Read) -> list[list[np.ndarray]]:
    return [list(row) for row in zip(*(getattr(got, name) for name in OUTPUTS), strict=True)]


def asked(judge: Judge, windows: list[Window]) -> list[list[np.ndarray]]:
    """The same from the network in PyTorch."""
    made = []
    for w in windows:
        with torch.no_grad():
            out = judge(*map(torch.from_numpy, pad([w])))
        one = [out[name].numpy()[0] for name in OUTPUTS[:-1]]
        made.append([*one, out["entity"].numpy()])
    return made


def worst(one: list[list[np.ndarray]], two: list[list[np.ndarray]]) -> float:
    pairs = [pair for a, b in zip(one, two, strict=True) for pair in zip(a, b, strict=True)]
    return max(float(np.abs(a - b).max(initial=0)) for a, b in pairs)


def test_what_is_traced_is_the_network(judge: Judge, windows: list[Window]) -> None:
    traced = Encoder(_traced(judge).SerializeToString())
    assert worst(read(traced, windows), asked(judge, windows)) < 1e-4


def test_eight_bits_change_little(judge: Judge, windows: list[Window], path: Path) -> None:
    wanted = asked(judge, windows)
    spread = float(np.std(np.concatenate([row[0].ravel() for row in wanted])))
    assert worst(read(Encoder(path.read_bytes()), windows), wanted) < max(0.05, spread / 2)


def test_neighbours_and_order_change_no_bit(windows: list[Window], path: Path) -> None:
    encoder = Encoder(path.read_bytes())
    for length in {len(w.ids) for w in windows}:
        same = [w for w in windows if len(w.ids) == length]
        alone = read(encoder, same)
        assert worst(rows(encoder.read(same)), alone) == 0
        assert worst(rows(encoder.read(same[::-1])), alone[::-1]) == 0


def test_a_judge_comes_back_as_exact_as_eight_bits_are(judge: Judge, path: Path) -> None:
    back = restore(path)
    before, after = judge.state_dict(), back.state_dict()
    assert list(before) == list(after)
    assert set(state(path)) >= set(before)
    for name, value in before.items():
        step = value.abs().amax(-1, keepdim=True) * 2 / 127  # the coarsest step that a row may have
        assert ((value - after[name]).abs() <= step / 2 + 1e-6).all(), name
    assert back.bert.config.num_attention_heads == 4


def test_what_came_back_is_exported_again_without_a_loss(
    windows: list[Window], path: Path, tmp_path: Path
) -> None:
    export(restore(path), windows=windows, out=tmp_path / "again.onnx")
    one, two = (read(Encoder(p.read_bytes()), windows) for p in (path, tmp_path / "again.onnx"))
    assert worst(one, two) < 0.03


def test_the_same_judge_gives_the_same_file_without_traces_of_the_machine(
    judge: Judge, windows: list[Window], path: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge.bert.config, "_name_or_path", str(tmp_path))
        export(judge, windows=windows, out=tmp_path / "again.onnx")
    content = (tmp_path / "again.onnx").read_bytes()
    assert content == path.read_bytes()
    assert b".py" not in content and str(Path(__file__).parents[2]).encode() not in content
    assert b"_name_or_path" not in (shipped() / "encoder.onnx").read_bytes()


def test_no_pair_of_products_overflows_sixteen_bits(path: Path) -> None:
    weights = {
        t.name: numpy_helper.to_array(t).astype(np.int64)
        for t in onnx.load_model(path).graph.initializer
        if t.name.startswith("/linear/")
    }
    assert len(weights) == 2 * 6 + 3, (
        "every large layer of both blocks, the post's, the mention's and its look"
    )
    for name, weight in weights.items():
        pairs = weight[::2] + weight[1::2]
        assert np.abs(pairs).max() * 255 <= 32_767, name


@pytest.mark.parametrize("content", [b"", b"rubbish" * 100, b"\x08\x0a"])
def test_what_is_no_network_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(ModelError, match="网络文件") as caught:
        Encoder(content)
    assert "\n" not in str(caught.value)
