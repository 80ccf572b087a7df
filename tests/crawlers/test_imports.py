"""Files of other tools into the inbox: every format, every fault a row can have, twice."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawlers import rows
from crawlers.import_rows import to_draft
from crawlers.imports import ImportSummary, import_files, read_columns
from crawlers.rejects import Rejects
from domain.errors import UsageError
from domain.post import Post
from store.inbox import open_inbox
from store.ledger import open_ledger

NOW = datetime(2026, 3, 10, 7, 30, tzinfo=UTC)


@dataclass
class Desk:
    """A real inbox and ledger in a folder, and what was said."""

    folder: Path
    said: list[str]
    inbox: Any
    ledger: Any

    def run(self, *paths: Path, columns: dict[str, str] | None = None, now: datetime = NOW) -> ImportSummary:
        return import_files(
            paths,
            inbox=self.inbox,
            seen=self.ledger.source_runs,
            columns=columns or {},
            rejects=Rejects(self.folder / "rejects"),
            secret=b"k",
            now=now,
            say=self.said.append,
        )

    def file(self, name: str, data: bytes | str) -> Path:
        path = self.folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def posts(self) -> list[Post]:
        leased = self.inbox.lease(10_000, now=NOW, lease=timedelta(minutes=1))
        self.inbox.acknowledge([one.token for one in leased])
        return [one.post for one in leased]

    def rejects(self) -> list[dict[str, Any]]:
        path = self.folder / "rejects" / "import.jsonl"
        return (
            [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            if path.exists()
            else []
        )


@pytest.fixture(scope="module")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrated once; tests start from copies."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite3"
    open_ledger(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def desk(tmp_path: Path, empty_ledger: Path) -> Iterator[Desk]:
    shutil.copy(empty_ledger, tmp_path / "ledger.sqlite3")
    inbox = open_inbox(f"sqlite:///{tmp_path}/inbox.sqlite3")
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite3")
    yield Desk(tmp_path, [], inbox, ledger)
    inbox.close()
    ledger.close()


def counts(s: ImportSummary) -> tuple[int, int, int, int]:
    assert s.read == s.imported + s.duplicate + s.rejected
    return s.read, s.imported, s.duplicate, s.rejected


ROWS = [
    {
        "id": 7,
        "platform": "Weibo",
        "url": "https://m.weibo.cn/detail/7?from=x",
        "author": "小陈",
        "published_at": "2026-03-09 10:00:00",
        "title": "",
        "text": "云桥金融提现三天没到账，电话13812345678",
        "engagement": {"reposts": 1, "comments": 2, "likes": 3, "views": 4},
    },
    {"text": "没有编号的一行", "published_at": 1773115200},
    {"text": "只有正文"},
]


def jsonl(values: list[Any]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def as_csv(values: list[dict[str, Any]], names: list[str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(values)
    return out.getvalue()


def test_json_lines(desk: Desk) -> None:
    assert counts(desk.run(desk.file("a.jsonl", jsonl(ROWS)))) == (3, 3, 0, 0)
    first, second, third = sorted(
        desk.posts(), key=lambda post: ROWS.index(next(r for r in ROWS if r["text"][:4] == post.text[:4]))
    )
    assert (first.platform, first.native_id, first.source) == ("weibo", "7", "import")
    assert first.text.endswith("138****5678")
    assert first.url == "https://m.weibo.cn/detail/7"
    assert first.published_at == datetime(2026, 3, 9, 2, tzinfo=UTC)
    assert (first.engagement.reposts, first.engagement.views) == (1, 4)
    assert first.author.name == "小***"
    assert second.published_at == datetime(2026, 3, 10, 4, tzinfo=UTC)
    assert third.date_only
    (said,) = desk.said
    assert "1 行没有发布时间" in said


FLAT = [
    {
        "编号": "1",
        "正文": "第一条，有逗号\n还有换行",
        "发布时间": "2026年3月9日 10:00",
        "赞": "1,2"[:1],
        "阅读": "1.5万",
    },
    {"编号": "2", "正文": '第二条"引号"', "发布时间": "昨天 12:30", "赞": "", "阅读": "0"},
]
MAP = {"id": "编号", "text": "正文", "published_at": "发布时间", "likes": "赞", "engagement.views": "阅读"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("packed", [False, True])
def test_csv_encodings_mapped_and_gzipped(desk: Desk, encoding: str, packed: bool) -> None:
    data = as_csv(FLAT, list(FLAT[0])).encode(encoding)
    path = desk.file("x.csv.gz" if packed else "x.csv", gzip.compress(data) if packed else data)
    assert counts(desk.run(path, columns=MAP)) == (2, 2, 0, 0)
    one, two = sorted(desk.posts(), key=lambda post: post.native_id)
    assert one.text == "第一条，有逗号\n还有换行"
    assert (one.engagement.likes, one.engagement.views) == (1, 15000)
    assert two.text == '第二条"引号"'
    assert two.published_at == datetime(2026, 3, 9, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "packed"), [("a.jsonl.gz", True), ("a.ndjson", False), ("a", True), ("a.txt", False)]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_json_by_any_name_and_encoding(desk: Desk, name: str, packed: bool, encoding: str) -> None:
    data = jsonl(ROWS).encode(encoding)
    assert counts(desk.run(desk.file(name, gzip.compress(data) if packed else data))) == (3, 3, 0, 0)


def test_twice_imports_nothing_twice(desk: Desk) -> None:
    path = desk.file("a.jsonl", jsonl([*ROWS, *ROWS]))
    assert counts(desk.run(path)) == (6, 3, 3, 0)
    assert counts(desk.run(path)) == (6, 0, 6, 0)
    assert counts(desk.run(path, path)) == (12, 0, 12, 0)
    assert len(desk.posts()) == 3


def test_rows_without_id_are_told_apart_by_what_they_say(desk: Desk) -> None:
    rows_ = [
        {"text": "同一句话", "author": a, "published_at": t}
        for a in ("甲", "乙")
        for t in ("2026-03-01", "2026-03-02")
    ]
    assert counts(desk.run(desk.file("a.jsonl", jsonl([*rows_, rows_[0]])))) == (5, 4, 1, 0)


def test_grown_counters_refresh_a_known_post(desk: Desk) -> None:
    row = {"id": "1", "text": "一条", "published_at": "3分钟前", "likes": 1}
    assert counts(desk.run(desk.file("a.jsonl", jsonl([row])))) == (1, 1, 0, 0)
    (before,) = desk.posts()
    later = NOW + timedelta(hours=5)
    assert counts(desk.run(desk.file("b.jsonl", jsonl([{**row, "likes": 900}])), now=later)) == (1, 0, 1, 0)
    (after,) = desk.posts()
    assert (after.id, after.engagement.likes) == (before.id, 900)
    assert (
        after.published_at == before.published_at
    )  # 3 minutes before the first import, not before the second


def test_a_time_takes_the_place_of_a_day_that_was_imported_before(desk: Desk) -> None:
    row = {"id": "1", "text": "一条", "published_at": "2026-03-09", "likes": 1}
    desk.run(desk.file("a.jsonl", jsonl([row])))
    assert [post.date_only for post in desk.posts()] == [True]
    desk.run(desk.file("b.jsonl", jsonl([{**row, "likes": 9, "published_at": "2026-03-09 10:30"}])))
    (post,) = desk.posts()
    assert (post.published_at, post.date_only) == (datetime(2026, 3, 9, 2, 30, tzinfo=UTC), False)


def test_files_that_number_their_rows_do_not_swallow_each_other(desk: Desk) -> None:
    def week(text: str, day: str) -> str:
        rows_ = [{"id": n, "text": f"{text}第{n}条", "published_at": f"{day} 10:0{n}"} for n in (1, 2)]
        return jsonl(rows_)

    first, second = desk.file("1.jsonl", week("客服很好", "2026-03-01")), desk.file("2.jsonl", "")
    assert counts(desk.run(first)) == (2, 2, 0, 0)
    assert counts(desk.run(first)) == (2, 0, 2, 0)
    second.write_text(week("提现失败", "2026-03-08"), "utf-8")
    summary = desk.run(second)
    assert counts(summary) == (2, 0, 0, 2) and summary.unreadable == [str(second)]
    assert "第 1 行：id 与另一条帖子相同" in desk.said[0] and "--map id=无" in desk.said[0]
    assert "--map text" not in desk.said[-1] and len(desk.rejects()) == 2
    assert counts(desk.run(second, columns={"id": "无"})) == (2, 2, 0, 0)
    assert counts(desk.run(second, columns={"id": "无"})) == (2, 0, 2, 0)
    assert sorted(post.text[:4] for post in desk.posts()) == ["客服很好", "客服很好", "提现失败", "提现失败"]


def test_undated_rows_with_a_number_are_known_by_their_words(desk: Desk) -> None:
    """As where the author's number is taken for the post's."""
    lines = [
        {"id": 7, "text": "提现不到账"},
        {"id": 7, "text": "客服不理人"},
        {"id": 7, "text": "提现不到账"},
    ]
    assert counts(desk.run(desk.file("a.jsonl", jsonl(lines)))) == (3, 1, 1, 1)
    assert counts(desk.run(desk.file("b.jsonl", jsonl([lines[1]])))) == (1, 0, 0, 1)


def test_an_edit_is_put_again(desk: Desk) -> None:
    row = {"id": "1", "text": "提现三天没到账", "published_at": "2026-03-09 10:00"}
    desk.run(desk.file("a.jsonl", jsonl([row])))
    assert counts(desk.run(desk.file("b.jsonl", jsonl([{**row, "text": "已到账"}])))) == (1, 0, 1, 0)
    assert [post.text for post in desk.posts()] == ["提现三天没到账", "已到账"]


BAD: list[tuple[bytes, str]] = [
    (b'{"text": "half', "JSON"),
    (b"[1, 2]", "数组"),
    (b'"text"', "对象"),
    (b"null", "对象"),
    (b"{}", "缺少 text"),
    (b'{"text": ""}', "缺少 text"),
    (b'{"text": " \\u0000 "}', "缺少 text"),
    (b'{"text": 5}', "text 不是文字"),
    (b'{"text": ["a"]}', "text 不是文字"),
    (b'{"text": "a", "title": {"x": 1}}', "title"),
    (b'{"text": "a", "published_at": "9999-12-31"}', "published_at"),
    (b'{"text": "a", "published_at": "2027-01-01"}', "published_at"),
    (b'{"text": "a", "published_at": "soon"}', "published_at"),
    (b'{"text": "a", "published_at": 1e300}', "published_at"),
    (b'{"text": "a", "published_at": [1]}', "published_at"),
    (b'{"text": "a", "likes": -1}', "负数"),
    (b'{"text": "a", "engagement": {"views": "-5"}}', "负数"),
    (b'{"text": "a", "engagement": {"views": [5]}}', "engagement.views"),
    (b'{"text": "a", "engagement": {"views": "inf"}}', "engagement.views"),
    (b'{"text": "a", "engagement": {"views": 1e400}}', "engagement.views"),
    (b'{"text": "a", "engagement": [1]}', "engagement"),
    (b'{"text": "a", "platform": "a b/../c"}', "platform"),
    (b'{"a":' * 100_000, "嵌套过深"),
    (b'{"text": "\xff\xff\xff"}', "编码"),
    (b"\x00\x00\x00", "JSON"),
]


@pytest.mark.parametrize(("line", "reason"), BAD, ids=range(len(BAD)))
def test_a_bad_row_is_named_and_the_rest_goes_on(desk: Desk, line: bytes, reason: str) -> None:
    good = '{"text": "好的一行"}\n'.encode()
    path = desk.file("a.jsonl", good + line + b"\n" + '{"text": "又一行"}\n'.encode())
    assert counts(desk.run(path)) == (3, 2, 0, 1)
    assert len(desk.posts()) == 2
    assert any("第 2 行" in text and reason in text for text in desk.said), desk.said
    (reject,) = desk.rejects()
    assert (reject["row"], reject["file"]) == (2, str(path))
    assert reason in reject["reason"]


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("12,345", 12_345), ("1，234，567", 1_234_567), ("1 234", 1_234), ("1\xa0234", 1_234), ("1,234.0", 1_234),
        ("10万+", 100_000), ("1.2w", 12_000), ("3.5 万", 35_000), ("1亿", 100_000_000), ("１２３", 123), ("0万", 0),
    ],
)  # fmt: skip
def test_counters_as_people_write_them(desk: Desk, written: str, number: int) -> None:
    assert counts(desk.run(desk.file("a.jsonl", jsonl([{"text": "a", "likes": written}])))) == (1, 1, 0, 0)
    assert [post.engagement.likes for post in desk.posts()] == [number]


def test_a_word_for_a_counter_is_none_and_said_once(desk: Desk) -> None:
    words = ["转发", "-", "--", "null", "None", "NaN", "1,2", float("nan")]
    rows_ = [{"text": f"{n}", "published_at": "2026-03-09", "likes": word} for n, word in enumerate(words)]
    path = desk.file("a.jsonl", jsonl(rows_))
    assert counts(desk.run(path)) == (8, 8, 0, 0)
    assert {post.engagement.likes for post in desk.posts()} == {0}
    assert desk.said == [f"{path}：8 个计数不是数字（如 转发），按 0 记"]


def test_lone_surrogates_and_nul_become_text(desk: Desk) -> None:
    assert counts(desk.run(desk.file("a.jsonl", '{"text": "a\\ud800b\\u0000c", "author": "\\udfff"}\n'))) == (
        1,
        1,
        0,
        0,
    )
    (post,) = desk.posts()
    assert post.text == "a\ufffdb c"


def test_rejects_are_masked(desk: Desk) -> None:
    desk.run(
        desk.file(
            "a.jsonl", '{"text": 5, "phone": "13812345678", "id": "110105194912310021"}\nx zs@a.example\n'
        )
    )
    written = (desk.folder / "rejects" / "import.jsonl").read_text()
    assert "138****5678" in written
    for secret in ("13812345678", "110105194912310021", "zs@a.example"):
        assert secret not in written + "".join(desk.said)


def test_rejects_name_no_author(desk: Desk) -> None:
    rows: list[dict[str, Any]] = [
        {"text": 5, "who": "张三丰真名", "note": "张三丰真名说"},
        {"text": "一", "who": {"screen": "李四光真名", "uid": 5550001}},
        {"text": 6, "who": "王五\U0001f600真名"},
    ]
    desk.run(desk.file("a.jsonl", "\n".join(map(json.dumps, rows))), columns={"author": "who"})
    written = (desk.folder / "rejects" / "import.jsonl").read_text()
    assert len(desk.rejects()) == 3 and "张***说" in written
    assert "真名" not in written and "5550001" not in written


def test_a_line_that_is_too_long_is_one_bad_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_LINE", 1000)
    long = json.dumps({"text": "长" * 1000}, ensure_ascii=False)
    assert counts(desk.run(desk.file("a.jsonl", f'{{"text":"一"}}\n{long}\n{{"text":"三"}}\n'))) == (
        3,
        2,
        0,
        1,
    )
    assert "第 2 行" in desk.said[0]


def test_fifty_megabytes_in_a_line_take_no_fifty_rows_with_them(desk: Desk) -> None:
    path = desk.folder / "big.jsonl.gz"
    with gzip.open(path, "wb", 1) as out:
        out.write(b'{"text":"first"}\n{"text":"')
        for _ in range(51):
            out.write(os.urandom(1 << 15).hex().encode() * 16)
        out.write(b'"}\n{"text":"last"}\n')
    assert counts(desk.run(path)) == (3, 2, 0, 1)


def test_a_gzip_bomb_is_stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BOMB_FROM", 1 << 20)
    bomb = gzip.compress(b'{"text":"good"}\n' + b"\0" * (80 << 20), 9)
    summary = desk.run(desk.file("b.jsonl.gz", bomb), desk.file("c.jsonl", jsonl(ROWS)))
    assert summary.imported >= 3
    assert len(summary.unreadable) == 1
    assert any("异常地大" in text for text in desk.said)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda d: d.folder / "missing.jsonl", "不存在"),
        (lambda d: d.folder, "目录"),
        (lambda d: d.file("x.csv", "id,title\n1,2\n"), "text"),
        (lambda d: d.file("x.csv", "text,text\n1,2\n"), "重名"),
        (lambda d: d.file("x.csv", "text\n一\n".encode("utf-16")), "UTF-16"),
        (lambda d: d.file("x.jsonl.gz", gzip.compress(jsonl(ROWS).encode() * 50)[:-30]), "gzip"),
        (lambda d: d.file("x.jsonl.gz", b"\x1f\x8bnot really gzip"), "gzip"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    desk: Desk, make: Callable[[Desk], Path], reason: str
) -> None:
    good = desk.file("good.jsonl", jsonl(ROWS))
    path = make(desk)
    summary = desk.run(path, good)
    assert summary.unreadable == [str(path)]
    assert sum(reason in text and str(path) in text for text in desk.said) == 1
    assert summary.imported >= 3
    assert all("\n" not in text for text in desk.said)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(desk: Desk) -> None:
    path = desk.file("x.jsonl", jsonl(ROWS))
    path.chmod(0)
    assert desk.run(path).unreadable == [str(path)]


@pytest.mark.parametrize("data", ["", "\n\n", "text\n", "\ufeff"])
def test_an_empty_file_is_said_and_no_failure(desk: Desk, data: str) -> None:
    path = desk.file("x.csv", data)
    summary = desk.run(path)
    assert counts(summary) == (0, 0, 0, 0)
    assert summary.unreadable == []
    assert desk.said == [f"{path}：文件里没有数据行"]


def test_an_unclosed_quote_costs_one_row(desk: Desk) -> None:
    data = 'id,text\n1,好\n2,"没有关上\n3,好\n4,"两行\n也好"\n5,好\n'
    summary = desk.run(desk.file("x.csv", data))
    assert summary.imported >= 3
    assert summary.rejected >= 1
    assert {p.native_id for p in desk.posts()} >= {"1", "5"}


def test_csv_rows_of_the_wrong_width(desk: Desk) -> None:
    assert counts(desk.run(desk.file("x.csv", "id,text,title\n1,好,题,多\n2,少\n"))) == (2, 1, 0, 1)
    assert "有 4 列" in desk.said[0]


def test_tabs_and_semicolons(desk: Desk) -> None:
    assert counts(
        desk.run(desk.file("x.tsv", "id\ttext\n1\t好\n"), desk.file("y.csv", "id;text\n2;好\n"))
    ) == (2, 2, 0, 0)


def test_nested_columns(desk: Desk) -> None:
    row = {"content": {"body": "嵌套"}, "stat.like": 3}
    draft, platform = to_draft(row, {"text": "content.body", "likes": "stat.like"}, now=NOW)
    assert (draft.text, draft.engagement.likes, platform) == ("嵌套", 3, "import")


@pytest.mark.parametrize("pair", ["text", "=x", "text=", "txt=正文", "engagement.hearts=x"])
def test_wrong_maps(pair: str) -> None:
    with pytest.raises(UsageError):
        read_columns([pair])


def test_a_mapped_column_that_is_not_there_is_said(desk: Desk) -> None:
    columns = {"id": "无", "text": "正文", "published_at": "发布日期"}
    table = desk.file("x.csv", "编号,正文,发布时间\n1,提现不到账,昨天\n")
    assert desk.run(table, columns=columns).unreadable == [str(table)]
    assert desk.said == [
        f"{table}：表头里没有 发布日期 列（有：编号、正文、发布时间），可用 --map text=列名 这样指定"
    ]
    desk.said.clear()
    lines = desk.file("x.jsonl", jsonl([{"正文": "提现不到账", "发布时间": "昨天"}, {"正文": "客服不理人"}]))
    assert counts(desk.run(lines, columns=columns)) == (2, 2, 0, 0)
    assert desk.said == [
        f"{lines}：没有一行有 发布日期 这一列，请检查 --map",
        f"{lines}：2 行没有发布时间：存下可查，但不计入监测",
    ]
    desk.said.clear()
    assert desk.run(table, columns={**columns, "published_at": "发布时间"}).imported == 1
    assert desk.said == []


def test_many_bad_rows_are_summed_up(desk: Desk) -> None:
    summary = desk.run(desk.file("a.jsonl", "x\n" * 700))
    assert counts(summary) == (700, 0, 0, 700)
    assert len(desk.said) == 22
    assert len(desk.rejects()) == 700


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=5), c, max_size=3),
    max_leaves=4,
)
names = st.sampled_from(
    ["id", "platform", "url", "author", "published_at", "title", "text", "engagement", "likes"]
)


@given(st.lists(st.dictionaries(names, values, max_size=6), min_size=1, max_size=8), st.binary(max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_breaks_the_import(desk: Desk, data: list[dict[str, Any]], noise: bytes) -> None:
    path = desk.file(
        "f.jsonl",
        jsonl([{"text": "好"}]).encode()
        + noise
        + b"\n"
        + json.dumps(data[0]).encode()
        + b"\n"
        + "".join(json.dumps(d) + "\n" for d in data).encode(),
    )
    summary = desk.run(path)
    counts(summary)
    assert not summary.unreadable
    for post in desk.posts():
        post.text.encode("utf-8")


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_csv_breaks_the_import(desk: Desk, noise: bytes) -> None:
    summary = desk.run(desk.file("f.csv", "id,text\n1,好\n".encode() + noise))
    counts(summary)
    assert not summary.unreadable


def test_a_file_of_which_no_row_can_be_used_is_a_failure(desk: Desk) -> None:
    """A wrong name of the text column in JSONL is the same mistake as in the header of a CSV."""
    good = desk.file("good.jsonl", '{"text": "提现不到账", "published_at": "2026-03-09"}\n')
    bad = desk.file("bad.jsonl", '{"正文": "一"}\n{"正文": "二"}\n')
    summary = desk.run(bad, good)
    assert (summary.imported, summary.rejected, summary.unreadable) == (1, 2, [str(bad)])
    assert "全部 2 行未能导入" in desk.said[-1] and "--map text=列名" in desk.said[-1]
    assert desk.run(bad, columns={"text": "正文"}).unreadable == []
