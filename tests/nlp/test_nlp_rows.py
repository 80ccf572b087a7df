from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp import rows as rows_module
from nlp.rows import DEEPEST, MOST_ENTITIES, PART, Pipe, analyze_rows, dump, lines
from nlp.runtime import Runtime
from nlp.segment import Segmenter
from nlp.terms import Terms


@pytest.fixture(scope="module")
def terms(segmenter: Segmenter) -> Terms:
    return Terms(segmenter)


def run(rows: Iterable[bytes | str], runtime: Runtime, terms: Terms) -> list[dict[str, Any]]:
    return [json.loads(dump(row).decode("utf-8")) for row in analyze_rows(rows, runtime=runtime, terms=terms)]


def test_the_contract_of_one_row(runtime: Runtime, terms: Terms) -> None:
    (row,) = run([json.dumps({"id": 7, "text": "云桥金融提现三天没到账,客服失联"})], runtime, terms)
    assert list(row) == [
        "id", "sentiment", "probabilities", "topics", "entities", "ad", "ad_probability", "keywords", "model",
    ]  # fmt: skip
    assert row["id"] == 7 and row["sentiment"] == "negative"
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert "withdrawal_difficulty" in [topic["id"] for topic in row["topics"]]
    assert all(set(topic) == {"id", "stance", "probability"} for topic in row["topics"])
    assert row["entities"][0]["name"] == "云桥金融" and row["entities"][0]["sentiment"] == "negative"
    assert row["ad"] is False and 0 < len(row["keywords"]) <= 10 and "@" in row["model"]


@pytest.mark.parametrize("id_", [1, "1", None, 1.5, True, [1, {"a": None}], 10**30, "😀", "\ud83d"])
def test_ids_keep_their_type(runtime: Runtime, terms: Terms, id_: Any) -> None:
    (row,) = run([json.dumps({"id": id_, "text": "好"})], runtime, terms)
    assert row["id"] == id_ and type(row["id"]) is type(id_)


def test_given_entities_come_back_as_they_are(runtime: Runtime, terms: Terms) -> None:
    given_ = ["云桥金融", "云桥金融", "不在文中", "", " 空 格 ", "\udfff"]
    (row,) = run([json.dumps({"id": 1, "text": "云桥金融跑路,河口贷呢", "entities": given_})], runtime, terms)
    assert [e["name"] for e in row["entities"]] == given_
    (row,) = run([json.dumps({"id": 1, "text": "云桥金融跑路", "entities": []})], runtime, terms)
    assert row["entities"] == []


def test_blank_text_is_neutral(runtime: Runtime, terms: Terms) -> None:
    (row,) = run([json.dumps({"id": 1, "text": " \n\u200b", "entities": ["甲"]})], runtime, terms)
    assert row["sentiment"] == "neutral" and row["probabilities"]["neutral"] > 0.99
    assert row["topics"] == [] and row["entities"][0]["sentiment"] == "neutral" and not row["ad"]


BAD: list[tuple[bytes, Any, str]] = [
    (b"not json", None, "JSON"),
    (b'{"id": 1, "text": "cut', None, "JSON"),
    (b"[1, 2]", None, "对象"),
    (b"null", None, "对象"),
    (b'{"id": 2}', 2, "缺 text"),
    (b'{"id": 3, "text": 5}', 3, "text"),
    (b'{"id": 4, "text": null}', 4, "text"),
    (b'{"id": 5, "text": "a", "title": ["t"]}', 5, "title"),
    (b'{"id": 6, "text": "a", "entities": "x"}', 6, "entities"),
    (b'{"id": 7, "text": "a", "entities": [1]}', 7, "entities"),
    (b'{"id": NaN, "text": "a"}', None, "NaN"),
    (b'{"id": 1e999, "text": "a"}', None, "1e999"),
    (b'{"id": 8, "text": "\xff\xfe"}', None, "UTF-8"),
    (b"[" * 100_000, None, "嵌套"),
    (b'{"id": 9, "text": "a"} {"id": 10}', None, "第 24 个字符"),
    (b'{"id": 11, "text": "a", "entities": {"name": "x"}}', 11, "entities"),
    (b'{"id": 12, "text": true}', 12, "布尔值"),
    ('{"id": 13, "text": "a"}'.encode("utf-16"), None, "UTF-8"),
    (b"\x1f\x8b\x08\x08", None, "UTF-8"),
    (b'{"id": 14, "text": "a"}\r{"id": 15, "text": "b"}', None, "JSON"),
    (b'{"id": ' + b"9" * 10_000 + b', "text": "a"}', None, "JSON"),
]


@pytest.mark.parametrize(("line", "id_", "word"), BAD, ids=range(len(BAD)))
def test_a_bad_row_is_named_and_its_neighbours_go_on(
    runtime: Runtime, terms: Terms, line: bytes, id_: Any, word: str
) -> None:
    first, bad, last = run(['{"id": "a", "text": "好"}', line, '{"id": "b", "text": "坏"}'], runtime, terms)
    assert (first["id"], last["id"]) == ("a", "b") and "error" not in first | last
    assert set(bad) == {"id", "error"} and bad["id"] == id_
    assert word in bad["error"] and "\n" not in bad["error"]


@pytest.mark.parametrize("line", [line for line, _, _ in BAD], ids=range(len(BAD)))
def test_what_is_wrong_is_said_in_chinese(runtime: Runtime, terms: Terms, line: bytes) -> None:
    (bad,) = run([line], runtime, terms)
    words = re.sub(r"JSON|UTF-8|text|title|entities|null|NaN|1e999", "", bad["error"])
    assert not re.search("[A-Za-z]", words) and len(bad["error"]) < 80


CALM = "云桥金融提现三天没到账,客服失联。"
HOSTILE: dict[str, dict[str, Any]] = {
    "empty": {"text": ""},
    "blank": {"text": " \n\t\u3000\u200b"},
    "emoji": {"text": "😀🔥💣"},
    "one character": {"text": "骗"},
    "another language": {"text": "Мошенники, верните деньги. お金を返して"},
    "NUL": {"text": "a\x00b\x00骗子"},
    "surrogates": {"text": "\ud800\udfff\ud83d 跑路", "title": "\udc00"},
    "marks": {"text": "a" + "\u0301\u0323" * 500_000},
    "marks in a name": {"text": CALM, "entities": ["a" + "\u0301\u0323" * 500_000]},
    "1 MB": {"text": CALM * 60_000, "title": CALM * 60_000},
    "1 MB without spaces": {"text": "a" * 1_000_000},
    "1 MB of an emoji": {"text": "💣" * 250_000},
    "1 MB of disguise": {"text": "提.现" * 150_000},
    "1 MB of pinyin": {"text": "tixian" * 150_000, "title": "骗(pian)" * 100_000},
    "1 MB of links": {"text": "https://" * 120_000},
    "1 MB of companies": {"text": "有限公司支付宝贷" * 100_000},
    "10,000 companies": {"text": CALM * 200, "entities": [f"公司{i}" for i in range(10_000)]},
    "10,000 times one": {"text": CALM * 200, "entities": ["云桥金融"] * 10_000},
    "companies all there": {
        "text": "".join(f"云{i}贷" for i in range(3_000)),
        "entities": [f"云{i}贷" for i in range(10_000)],
    },
    "companies half there": {
        "text": "".join(f"云{i}贷" for i in range(2_000)) + "公司",
        "entities": [*(f"云{i}贷" for i in range(2_000)), *(f"别{i}贷" for i in range(8_000))],
    },
    "a name of 1 MB": {"text": CALM, "entities": ["云" * 333_000]},
    "names not there": {"text": CALM, "entities": ["不在文中", "另一家", ""]},
    "a name everywhere": {"text": "的" * 10_000, "entities": ["的", "的的"]},
    "deep beside": {"text": CALM, "more": json.loads("[" * 400 + "]" * 400)},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_rows_are_answered_in_bounded_time(runtime: Runtime, terms: Terms, name: str) -> None:
    rows = [{"id": 1, "text": "好"}, {"id": 2, **HOSTILE[name]}, {"id": 3, "text": CALM}]
    began = time.process_time()
    got = run([json.dumps(row) for row in rows], runtime, terms)
    assert time.process_time() - began < 6
    assert [row["id"] for row in got] == [1, 2, 3] and not any("error" in row for row in got)
    if "entities" in HOSTILE[name]:
        assert [entity["name"] for entity in got[1]["entities"]] == HOSTILE[name]["entities"]
    assert sum(got[1]["probabilities"].values()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("deep", [DEEPEST - 2, DEEPEST, 900, *range(975, 1000, 3)])
def test_a_deep_id_ends_no_run(runtime: Runtime, terms: Terms, deep: int) -> None:
    lines = [f'{{"id": {i}, "text": "好"}}' for i in range(2 * PART)]
    lines[PART] = f'{{"id": {"[" * deep}{"]" * deep}, "text": "好"}}'
    got = run(lines, runtime, terms)
    for answer in got:
        dump(answer)
    assert len(got) == len(lines) and ("error" in got[PART]) == (deep >= DEEPEST)
    assert sum("error" in answer for answer in got) == (deep >= DEEPEST)


def test_a_row_that_breaks_off_within_a_text_of_json_is_refused_at_once(
    runtime: Runtime, terms: Terms
) -> None:
    whole = json.dumps({"id": 1, "text": json.dumps([{"k": i} for i in range(60_000)])})
    began = time.process_time()
    (bad,) = run([whole[:-2]], runtime, terms)
    assert "error" in bad and time.process_time() - began < 6


def test_brackets_in_a_text_are_no_depth(runtime: Runtime, terms: Terms) -> None:
    (got,) = run([json.dumps({"id": 1, "text": "[" * 5_000 + '"\\'})], runtime, terms)
    assert "error" not in got


def test_more_companies_than_can_be_judged_are_refused(runtime: Runtime, terms: Terms) -> None:
    (bad,) = run(
        [json.dumps({"id": 7, "text": CALM, "entities": ["云"] * (MOST_ENTITIES + 1)})], runtime, terms
    )
    assert bad["id"] == 7 and str(MOST_ENTITIES) in bad["error"]


def test_a_row_that_cannot_be_answered_leaves_the_others(
    runtime: Runtime, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    keywords = terms.keywords

    def failing(text: str, names: Sequence[str] = ()) -> tuple[str, ...]:
        if "坏" in text:
            raise ValueError("x")
        return keywords(text, names)

    monkeypatch.setattr(terms, "keywords", failing)
    got = run(
        ['{"id": 1, "text": "好"}', '{"id": 2, "text": "坏"}', '{"id": 3, "text": "好"}'], runtime, terms
    )
    assert ["error" in answer for answer in got] == [False, True, False] and got[1]["id"] == 2


def test_the_last_of_two_equal_keys_counts(runtime: Runtime, terms: Terms) -> None:
    (row,) = run([b'{"id": 1, "text": 5, "id": 2, "text": "b"}'], runtime, terms)
    assert row["id"] == 2 and "error" not in row


def test_blank_lines_and_a_byte_order_mark_are_no_rows(runtime: Runtime, terms: Terms) -> None:
    got = run(
        [b'\xef\xbb\xbf{"id": 1, "text": "a"}\n', b"\n", b"  \r\n", b'{"id": 2, "text": "b"}'], runtime, terms
    )
    assert [row["id"] for row in got] == [1, 2]


def test_order_is_kept_and_rows_stream(runtime: Runtime, terms: Terms) -> None:
    taken = 0

    def source() -> Iterable[str]:
        nonlocal taken
        for i in range(10**9):
            taken += 1
            yield json.dumps({"id": i, "text": f"第{i % 3}条"})

    stream = analyze_rows(source(), runtime=runtime, terms=terms)
    assert [next(stream)["id"] for _ in range(600)] == list(range(600))
    assert taken <= 3 * rows_module.CHUNK


def test_a_row_that_breaks_the_model_is_its_own_error(
    runtime: Runtime, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runtime.judge

    def fragile(items: Any) -> Any:
        if any("炸" in item.text for item in items):
            raise MemoryError
        return real(items)

    monkeypatch.setattr(runtime, "judge", fragile)
    got = run([json.dumps({"id": i, "text": t}) for i, t in enumerate(["好", "炸", "坏"])], runtime, terms)
    assert ["error" in row for row in got] == [False, True, False] and got[1]["id"] == 1


def test_a_line_without_end_is_cut_off() -> None:
    stream = io.BytesIO(b"x" * 3_000_000 + b"\nshort\n")
    first, second = lines(stream, longest=1_000)
    assert len(first) == 1_001 and second == b"short\n"


def test_a_writer_who_waits_for_the_answer_gets_it(runtime: Runtime, terms: Terms) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0), os.fdopen(writer, "wb", buffering=0) as out:
        answers = analyze_rows(lines(Pipe(reader)), runtime=runtime, terms=terms)
        for turn in range(3):
            out.write(b'{"id": %d, "text": "a"}\n' % turn)
            assert next(answers)["id"] == turn
        out.write(b'{"id": 3, ')
        out.write(b'"text": "b"}\r\n\n{"id": 4, "text": "no newline at the end"}')
        out.close()
        assert [row["id"] for row in answers] == [3, 4]


def test_a_pipe_is_cut_into_lines_as_a_file_is() -> None:
    written = b"x" * 200_000 + b"\n\nshort\n" + b"y" * 70_000 + b"\nlast"
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as out:
            out.write(written)

    with os.fdopen(reader, "rb", buffering=0), ThreadPoolExecutor(1) as pool:
        pool.submit(write)
        got = [line for line in lines(Pipe(reader), longest=100_000) if line]
    assert got == list(lines(io.BytesIO(written), longest=100_000))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "id": json_values,
                "text": json_values | st.text(),
                "entities": st.lists(st.text(max_size=5)),
            },
        ),
        max_size=4,
    )
)
def test_whatever_comes_in_one_valid_line_goes_out_for_each(
    runtime: Runtime, terms: Terms, made: list[Any]
) -> None:
    got = run([json.dumps(row) for row in made], runtime, terms)
    assert len(got) == len(made)
    for row in got:
        assert "error" in row or row["sentiment"] in row["probabilities"]
