from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from domain.errors import ModelError
from nlp.bundle import FILES, open_bundle, seal, shipped
from nlp.corpus import Example
from nlp.judgement import Item, Judgement
from nlp.runtime import Runtime, _windows
from nlp.tokens import WINDOW, Tokeniser


def items(authored: list[Example]) -> list[Item]:
    some = [Item(text=e.text, entities=tuple(name for name, _ in e.entities)) for e in authored[:40]]
    long = Item(
        text="。".join(e.text for e in authored[:60]), title="合集", entities=("云桥金融", "不在文中")
    )
    return [*some, long, Item(text=""), Item(text="只有标题时", title="云桥金融提现困难"), some[0]]


def flat(judgement: Judgement) -> list[float]:
    parts = (judgement.sentiment, judgement.topics, judgement.stance, (judgement.ad,), *judgement.entities)
    return [p for part in parts for p in part]


def fresh(batch_tokens: int = 1024, workers: int = 2) -> Runtime:
    """A runtime that remembers nothing."""
    return Runtime(open_bundle(shipped()), batch_tokens=batch_tokens, workers=workers)


@pytest.mark.parametrize("batch_tokens", [1, 100, 100_000])
def test_batch_size_order_and_company_change_nothing(authored: list[Example], batch_tokens: int) -> None:
    asked = items(authored)
    together = fresh().judge(asked)
    other = fresh(batch_tokens=batch_tokens, workers=1)
    order = list(range(len(asked)))
    random.Random(3).shuffle(order)
    assert other.judge([asked[i] for i in order]) == [together[i] for i in order]
    alone = fresh()
    assert [alone.judge([item])[0] for item in asked] == together


def test_a_single_window_is_read_as_beside_others_of_its_length() -> None:
    text = (
        "青藤现在的套路：先加你好友装美女网友聊两天，套出你在哪上班，第三天翻脸发欠条。"
        "我头一回被催收谈恋爱谈上头，服了"
    )
    post, beside = Item(text=text, entities=("青藤",)), Item(text=text[::-1], entities=("青藤",))
    assert fresh().judge([post, beside])[0] == fresh().judge([post])[0]


def test_threads_share_a_runtime(authored: list[Example]) -> None:
    asked = items(authored)
    alone, shared = fresh().judge(asked), fresh()
    parts = [asked[i::4] for i in range(4)] * 3
    with ThreadPoolExecutor(6) as pool:
        for part, got in zip(parts, pool.map(shared.judge, parts), strict=True):
            assert got == [alone[asked.index(item)] for item in part]


def test_probabilities_are_probabilities(runtime: Runtime, authored: list[Example]) -> None:
    for judgement in runtime.judge(items(authored)):
        for p in (judgement.sentiment, judgement.stance, *judgement.entities):
            assert sum(p) == pytest.approx(1, abs=1e-5)
        assert all(0 <= p <= 1 for p in flat(judgement))


def test_repeats_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = fresh()
    seen: list[int] = []
    real = runtime.logits
    monkeypatch.setattr(runtime, "logits", lambda texts: seen.append(len(texts)) or real(texts))
    first = runtime.judge([Item(text="云桥金融跑路了")] * 50 + [Item(text="云桥金融跑路了 ")])
    again = runtime.judge([Item(text="云桥金融 跑路了"), Item(text="云桥金融跑路了\u200b")])
    assert seen == [1, 1] and again[1] == first[0]
    runtime.judge([Item(text="云桥金融跑路了")], finance=True)
    assert seen == [1, 1, 1], "what is known to be about the platforms is another question"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlp.runtime.REMEMBERED", 3)
    runtime = fresh()
    for n in range(5):
        runtime.judge([Item(text=f"第{n}天提现失败")])
    runtime.judge([Item(text="长短" * 1_000)])
    assert [key[0] for key in runtime._recent._made] == [f"第{n}天提现失败" for n in (2, 3, 4)]


def test_a_company_whose_name_is_broken_up_is_not_cleared(runtime: Runtime) -> None:
    names = ("云桥金融", "安穗理财")
    whole, hidden = (
        runtime.judge([Item(text=f"{name}催收爆通讯录，骂人，比安穗理财恶心多了", entities=names)])[0]
        for name in ("云桥金融", "云·桥 金融")
    )
    assert hidden.entities[0] == pytest.approx(whole.entities[0], abs=0.1)


def test_of_a_company_that_the_text_lacks_nothing_is_said(runtime: Runtime) -> None:
    text = "人人贷跑路了,老板失联,提现困难"
    (alone,) = runtime.judge([Item(text=text, entities=("人人贷",))], finance=True)
    names = ("拍拍贷", "人人贷", "北京人人贷", "")
    (among,) = runtime.judge([Item(text=text, entities=names)], finance=True)
    assert among.entities[1] == among.entities[2] == alone.entities[0] and alone.entities[0][0] > 0.5
    assert among.entities[0] == among.entities[3] and among.entities[0][1] > 0.99
    (only,) = runtime.judge([Item(text=text, entities=("拍拍贷",))], finance=True)
    assert only.entities[0][0] > 0.5, "a text that names nobody else is about whom we are asked"


@pytest.mark.parametrize("name", ["云桥金融APP", "深圳云桥金融信息服务有限公司"])
def test_a_company_given_by_its_full_name_is_judged_as_the_text_calls_it(runtime: Runtime, name: str) -> None:
    text = "云桥金融提现三天不到账，客服失联，已经报警。安穗理财暂时正常。"
    full, short = (
        runtime.judge([Item(text=text, entities=(each, "安穗理财"))])[0] for each in (name, "云桥金融")
    )
    assert full.entities == short.entities and full.entities[0][0] > 0.5 > full.entities[1][0]


def test_one_company_given_in_two_cases_is_one(runtime: Runtime) -> None:
    one, both = (
        runtime.judge([Item(text="Lufax提现不了", entities=names)])[0]
        for names in (("Lufax",), ("lufax", "LUFAX"))
    )
    assert both.entities == one.entities * 2


def test_a_long_name_is_found(runtime: Runtime) -> None:
    name = "云" * 80 + "公司"
    (judged,) = runtime.judge(
        [Item(text=f"{name}跑路了,提现困难,报警!", entities=(name, "另一家"))], finance=True
    )
    assert judged.entities[0] != judged.entities[1]


def test_nothing_said_is_neutral_about_everybody(runtime: Runtime) -> None:
    (judgement,) = runtime.judge([Item(text=" \u200b\n", entities=("甲", "乙"))])
    assert judgement.best == "neutral" and judgement.sentiment[1] > 0.99
    assert len(judgement.entities) == 2 and judgement.decided == () and not judgement.is_ad


def test_hostile_items_come_back(runtime: Runtime) -> None:
    hostile = [
        Item(text="\ud800" * 10 + "跑路"),
        Item(text="\u0301" * 100_000),
        Item(text="提现困难" * 100_000, entities=tuple(f"名{i}" for i in range(3_000))),
        Item(text="\x00", entities=("", "\x00")),
    ]
    judged = runtime.judge(hostile)
    assert [len(j.entities) for j in judged] == [0, 0, 3_000, 2]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(shipped(), tmp_path / "model")
    return tmp_path / "model"


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="不是模型目录"):
        Runtime.load(tmp_path / "none")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ModelError, match=name):
        Runtime.load(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused(copied: Path, name: str) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-7])
    with pytest.raises(ModelError, match="长度不对"):
        Runtime.load(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(ModelError, match="摘要不符"):
        Runtime.load(copied)


def test_another_format_is_refused(copied: Path) -> None:
    path = copied / "manifest.json"
    path.write_text(path.read_text("utf-8").replace('"format": 2', '"format": 99'), "utf-8")
    with pytest.raises(ModelError, match="格式是 99"):
        Runtime.load(copied)


def test_a_version_that_is_not_the_files_own_is_refused(copied: Path) -> None:
    manifest = json.loads((copied / "manifest.json").read_text("utf-8"))
    (copied / "manifest.json").write_text(json.dumps(manifest | {"version": "0" * 12}), "utf-8")
    with pytest.raises(ModelError, match="版本与文件不符"):
        Runtime.load(copied)


@pytest.mark.parametrize(
    "content", ["", "[", "[" * 100_000, "[]", "{}", '{"format": 2, "files": {"encoder.onnx": 3}}', "null"]
)
def test_a_broken_manifest_is_refused_in_one_line(copied: Path, content: str) -> None:
    (copied / "manifest.json").write_text(content, "utf-8")
    with pytest.raises(ModelError) as caught:
        Runtime.load(copied)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["encoder.onnx", "tokenizer.json", "wide.safetensors", "fusion.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"\x80\x04\x95pickle"])
def test_sealed_rubbish_is_refused_in_one_line(copied: Path, name: str, content: bytes) -> None:
    (copied / name).write_bytes(content)
    seal(copied)
    with pytest.raises(ModelError) as caught:
        Runtime.load(copied)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../../evil", "", "a b", "a\n", [1]])
def test_a_name_that_leads_elsewhere_is_refused(copied: Path, name: object) -> None:
    manifest = json.loads((copied / "manifest.json").read_text("utf-8"))
    (copied / "manifest.json").write_text(json.dumps(manifest | {"name": name}), "utf-8")
    with pytest.raises(ModelError, match="不是名字"):
        Runtime.load(copied)


def test_a_pipe_is_not_waited_for(copied: Path) -> None:
    (copied / "card.json").unlink()
    os.mkfifo(copied / "card.json")
    with pytest.raises(ModelError, match="不是文件"):
        Runtime.load(copied)


def test_tables_of_other_outputs_are_refused(copied: Path) -> None:
    wide, kinds = (copied / name for name in ("wide.safetensors", "kinds.safetensors"))
    one, other = wide.read_bytes(), kinds.read_bytes()
    wide.write_bytes(other)
    kinds.write_bytes(one)
    seal(copied)
    with pytest.raises(ModelError, match=r"wide\.safetensors、kinds\.safetensors"):
        Runtime.load(copied)


def test_a_calibration_of_other_tasks_is_refused(copied: Path) -> None:
    fusion = json.loads((copied / "fusion.json").read_text("utf-8"))
    fusion["others"].pop()
    fusion["kind"]["bias"].pop()
    (copied / "fusion.json").write_text(json.dumps(fusion), "utf-8")
    seal(copied)
    with pytest.raises(ModelError, match=r"fusion\.kind、fusion\.others"):
        Runtime.load(copied)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e30, "1"])
@pytest.mark.parametrize("key", ["encoder", "bias", "thresholds"])
def test_a_calibration_with_numbers_that_are_none_is_refused(copied: Path, key: str, number: object) -> None:
    fusion = json.loads((copied / "fusion.json").read_text("utf-8"))
    if key == "encoder":
        fusion["sentiment"][key] = number
    else:
        (fusion["topics"][key] if key == "bias" else fusion[key])[0] = number
    (copied / "fusion.json").write_text(json.dumps(fusion), "utf-8")
    seal(copied)
    if (key, number) == ("thresholds", "1"):  # is read as a number
        assert open_bundle(copied).fusion.thresholds[0] == 1
        return
    with pytest.raises(ModelError, match=r"fusion\.json"):
        Runtime.load(copied)


def test_a_card_that_is_none_is_refused(copied: Path) -> None:
    (copied / "card.json").write_text("[]", "utf-8")
    seal(copied)
    with pytest.raises(ModelError, match=r"card\.json"):
        Runtime.load(copied)


def test_a_network_with_other_heads_is_refused(copied: Path) -> None:
    import onnx
    from onnx import helper, numpy_helper

    network = onnx.load_model(copied / "encoder.onnx")
    graph = network.graph
    for node in graph.node:  # the advert's head under the topics' name
        node.output[:] = ["ours" if name == "topics" else name for name in node.output]
        node.input[:] = ["ours" if name == "topics" else name for name in node.input]
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "first"))
    graph.node.append(helper.make_node("Gather", ["ours", "first"], ["topics"], axis=1))
    onnx.save_model(network, copied / "encoder.onnx")
    seal(copied)
    with pytest.raises(ModelError, match="topics 的形状不对"):
        Runtime.load(copied)


def test_inference_imports_neither_torch_nor_onnx(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text('{"id": 1, "text": "云桥金融提现失败"}\n', "utf-8")
    code = (
        "import sys; from app.cli import main; sys.argv = ['yujing', 'analyze', sys.argv[1]]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'onnx', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "one.jsonl")], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["id"] == 1
    assert done.stderr.strip() == "[]"


def test_the_version_changes_with_what_decides_only(copied: Path) -> None:
    before = open_bundle(copied).name
    (copied / "CARD.md").write_text("other", "utf-8")
    seal(copied)
    assert open_bundle(copied).name == before
    fusion = (copied / "fusion.json").read_text("utf-8")
    (copied / "fusion.json").write_text(fusion + "\n", "utf-8")
    seal(copied)
    assert open_bundle(copied).name != before


def test_the_shipped_weights_stay_small_and_hold_no_pickle() -> None:
    files = list(shipped().iterdir())
    assert sum(path.stat().st_size for path in files) <= 16_000_000
    assert {path.name for path in files} == {*FILES, "manifest.json"}


@pytest.mark.parametrize("length", [WINDOW, WINDOW + 1, WINDOW + 62, WINDOW + 63, 2 * WINDOW + 5, 5 * WINDOW])
def test_every_piece_of_a_long_text_is_read(length: int) -> None:
    text = "".join(chr(0x4E00 + i % 3_000) for i in range(length))
    (pieces,) = Tokeniser(shipped() / "tokenizer.json").pieces([text])
    assert len(pieces.ids) == length
    last = pieces.ids[-1]
    windows = _windows(text, pieces, ())
    assert windows[-1].ids[-2] == last and {len(each.ids) for each in windows[:-1]} <= {WINDOW + 2}
    assert sum(len(each.ids) - 2 for each in windows) >= length
