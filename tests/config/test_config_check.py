"""Every kind of fault is found, where it is, with a suggestion for a near miss."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.environment import shipped
from config.files import BrandsFile, PlanFile, RoutesFile, SourcesFile, TopicsFile
from config.load import check, load
from config.problems import Problem
from config.settings import Rules, Schedules
from domain.errors import ConfigError

FAULTS = [
    # file, old, new, key, part of the message, suggestion
    ("brands.yaml", "    aliases: [云桥,", "    alias: [云桥,", "brands[0].alias", "不认识的键", "aliases"),
    ("brands.yaml", "    name: 安穗理财\n", "", "brands[1].name", "缺少必填项", ""),
    ("brands.yaml", "name: 云桥金融", "name: 123", "brands[0].name", "需要文本", '"123"'),
    ("brands.yaml", "kind: own", "kind: owm", "brands[0].kind", "只能是", "own"),
    ("brands.yaml", "alert: true", "alert: maybe", "brands[0].alert", "true 或 false", ""),
    ("brands.yaml", "volume: 200", "volume: 0", "brands[0].limits.volume", "必须大于 0", ""),
    ("brands.yaml", "volume: 200", "volume: many", "brands[0].limits.volume", "需要整数", ""),
    ("brands.yaml", "volume: 200", 'volume: "200"', "brands[0].limits.volume", "需要整数", ""),
    ("brands.yaml", "volume: 200", "volume: true", "brands[0].limits.volume", "需要整数", ""),
    ("brands.yaml", "share: 0.8", "share: 1.8", "brands[0].limits.share", "不能大于 1", ""),
    ("brands.yaml", "id: ansui", "id: yunqiao", "brands[1].id", "重复", ""),
    ("brands.yaml", "id: ansui", "id: 安穗", "brands[1].id", "小写字母", ""),
    ("brands.yaml", "aliases: [安穗]", "aliases: [ 云 桥 ]", "brands[1].aliases[0]", "不能共用", ""),
    ("brands.yaml", "aliases: [安穗]", "aliases: 安穗", "brands[1].aliases", "需要列表", ""),
    ("brands.yaml", "aliases: [安穗]", "aliases: [穗]", "brands[1].aliases[0]", "太短", ""),
    ("brands.yaml", "彩云桥", "彩虹桥", "brands[0].not_in[1]", "不起作用", ""),
    ("brands.yaml", "彩云桥", "云桥", "brands[0].not_in[1]", "什么都匹配不到", ""),
    ("brands.yaml", "[安穗]", "[安穗、安穗宝]", "brands[1].aliases[0]", "英文逗号", ""),
    ("brands.yaml", "[云桥宝, 云桥借", "[云桥宝，云桥借", "brands[0].products[0]", "英文逗号", ""),
    ("brands.yaml", "name: 安穗理财", "name: 安穗理财；安穗宝", "brands[1].name", "英文逗号", ""),
    ("brands.yaml", "岛, 村", "岛，村", "brands[3].not_followed_by[0]", "英文逗号", ""),
    ("sources.yaml", "[云桥金融]", "[云桥金融，云桥宝]", "sources[2].queries[0]", "英文逗号", ""),
    ("topics.yaml", "跑路, 失联", "跑路、失联", "topics[1].words[0]", "英文逗号", ""),
    ("sources.yaml", "id: rsshub", "id: news-36kr", "sources[1].id", "重复", ""),
    ("sources.yaml", "kind: weibo", "kind: weibbo", "sources[2].kind", "只能是", "weibo"),
    ("sources.yaml", "https://m.weibo.cn", "m.weibo.cn", "sources[2].base_url", "网址", ""),
    ("sources.yaml", "https://m.weibo.cn", "file:///etc/passwd", "sources[2].base_url", "网址", ""),
    ("sources.yaml", "https://m.weibo.cn", "https://me:geheim@m.weibo.cn", "sources[2].base_url", "密码", ""),
    ("sources.yaml", "queries: [云桥金融]", "queries: []", "sources[2].queries", "至少要有一个搜索词", ""),
    ("sources.yaml", "paths: [/feed]", 'paths: [" "]', "sources[0].paths", "订阅路径", ""),
    ("sources.yaml", "YUJING_WEIBO_COOKIE", "SUB=abc;", "sources[2].cookie_env", "不是 Cookie 本身", ""),
    (
        "sources.yaml",
        "blind_after_min: 60",
        "blind_after_min: 5",
        "sources[0].blind_after_min",
        "采集间隔",
        "",
    ),
    ("sources.yaml", "tier: central_media", "tier: central", "sources[0].tier", "只能是", "central_media"),
    ("sources.yaml", "delay_s: 1.0", "delay_s: .inf", "sources[0].delay_s", "需要数字", ""),
    ("sources.yaml", 'brand: ""', "brand: yunqia", "sources[3].brand", "没有品牌", "yunqiao"),
    ("topics.yaml", "plan: usury", "plan: usuri", "topics[5].plan", "找不到预案", "usury"),
    ("topics.yaml", "weight: 20", "weight: 21", "topics[0].weight", "不能大于 20", ""),
    ("topics.yaml", "id: rumor", "id: fraud", "topics[16].id", "重复", ""),
    ("topics.yaml", '"12378"', "12378", "topics[13].words[7]", "需要文本", '"12378"'),
    ("rules.yaml", "yellow: 50", "yellow: 75", "levels.orange", "必须大于", ""),
    ("rules.yaml", "tick_min: 5", "tick_min: 7", "detection.tick_min", "5 的倍数", ""),
    ("rules.yaml", "share_z: 2.0", "sharez: 2.0", "detection.sharez", "不认识的键", "share_z"),
    ("routes.yaml", "level: yellow", "level: yelow", "routes[0].level", "只能是", "yellow"),
    ("routes.yaml", "brands: []", "brands: [yunqia]", "routes[0].brands[0]", "没有品牌", "yunqiao"),
    ("routes.yaml", "topics: []", "topics: [usurry]", "routes[0].topics[0]", "没有主题", "usury"),
    ("routes.yaml", "plans: []", "plans: [frauds]", "routes[0].plans[0]", "没有预案", "fraud"),
    ("routes.yaml", "pr-duty@example.com", "pr-duty.example.com", "routes[0].to[0]", "不是邮箱", ""),
    ("routes.yaml", "pr-duty@example.com", "pr-duty@example。com", "routes[0].to[0]", "不是邮箱", ""),
    ("routes.yaml", "pr-duty@example.com", "pr..duty@example.com", "routes[0].to[0]", "不是邮箱", ""),
    ("rules.yaml", "distinct_authors: 5", "distinct_authors: 0", "levels.distinct_authors", "", ""),
    ("rules.yaml", "red: 85", "red: 185", "levels.red", "", ""),
    ("routes.yaml", "[pr-duty@example.com]", '["a@b.c\\nBcc: x@y.z"]', "routes[0].to[0]", "不是邮箱", ""),
    (
        "routes.yaml",
        "crisis-committee@example.com",
        "PR-Duty@example.com",
        "routes[1].to[0]",
        "同一个邮箱",
        "pr-duty@example.com",
    ),
    ("routes.yaml", "to: [pr-duty@example.com]", "to: []", "routes[0].to", "至少要有 1 项", ""),
    ("routes.yaml", '"23:00"', '"24:00"', "routes[0].quiet_hours.start", "HH:MM", ""),
    ("routes.yaml", '"07:00"', '"23:00"', "routes[0].quiet_hours.end", "不能相同", ""),
    ("routes.yaml", "name: 危机委员会", "name: 公关值班", "routes[1].name", "重复", ""),
    ("service.yaml", "17 4 * * *", "17 4 * *", "retention", "cron", ""),
    ("service.yaml", "17 4 * * *", "61 4 * * *", "retention", "cron", ""),
    ("routes.yaml", "group_wait_s: 30", "group_wait_s: 1e15", "routes[0].group_wait_s", "不能大于 86400", ""),
    ("rules.yaml", "reread_hours: 6", "reread_hours: 9999", "baselines.reread_hours", "不能大于 744", ""),
    ("rules.yaml", "rebuild_days: 28", "rebuild_days: 999999", "baselines.rebuild_days", "不能大于 3660", ""),
    ("service.yaml", "retention_days: 180", "retention_days: 999999", "retention_days", "不能大于 36500", ""),
    ("service.yaml", "retention_days: 180", "retention_days: 18.5", "retention_days", "需要整数", ""),
    ("plans/usury.yaml", "id: usury", "id: usurry", "id", "与文件名一致", "usury"),
    ("plans/usury.yaml", "role: 值班指挥", "role: 值班指挥员", "tasks[0].role", "不认识的角色", "值班指挥"),
    ("plans/usury.yaml", "due_min: 5", "due_min: -5", "tasks[0].due_min", "不能小于 0", ""),
    ("plans/usury.yaml", "- id: start-log", "- id: acknowledge", "tasks[1].id", "重复", ""),
    ("plans/usury.yaml", "{contact}", "{contct}", "statement", "不认识的占位", "contact"),
    ("plans/usury.yaml", "{contact}", "{contact", "statement", "花括号", ""),
    ("plans/usury.yaml", "level: orange", "level: purple", "level", "只能是", ""),
    (
        "plans/usury.yaml",
        "verified_at: null",
        'verified_at: "2026-13-22"',
        "clocks[0].verified_at",
        "需要日期",
        "",
    ),
    ("plans/usury.yaml", "close_when:", "close_wen:", "close_wen", "不认识的键", "close_when"),
]

ELSEWHERE = ("brands[1].name", "levels.orange", "statement")
"""Faults that are reported on another line than the edited one: a missing key, a neighbour, a block's head."""


def find(problems: list[Problem], key: str) -> Problem:
    """The problem of a key; all of them in the message when there is none."""
    found = [problem for problem in problems if problem.key == key]
    assert found, "\n".join(map(str, problems)) or "no problems"
    return found[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "key", "message", "suggestion"),
    FAULTS,
    ids=[f"{f[0]}:{f[3]}:{f[2]}" for f in FAULTS],
)
def test_fault_is_found_where_it_is(
    folder: Path, edit, file: str, old: str, new: str, key: str, message: str, suggestion: str
) -> None:
    line = edit(file, old, new)
    problem = find(check(folder), key)
    assert problem.file == str(folder / file)
    assert message in problem.message
    assert problem.suggestion == suggestion
    if key not in ELSEWHERE:
        assert problem.line == line


def test_nothing_is_loaded_from_a_faulty_folder(folder: Path, edit) -> None:
    edit("routes.yaml", "level: yellow", "level: yelow")
    edit("service.yaml", "retention_days: 180", "retention_days: 0")
    with pytest.raises(ConfigError, match=r"routes\.yaml:\d+: routes\[0\]\.level.*另有 1 处问题"):
        load(folder)


def test_all_faults_come_at_once(folder: Path, edit) -> None:
    """One faulty field hides neither its neighbours nor what they refer to."""
    edit("routes.yaml", "level: yellow", "level: yelow")
    edit("routes.yaml", "topics: []", "topics: [nope]")
    edit("routes.yaml", "pr-duty@example.com", "nobody")
    edit("brands.yaml", "kind: own", "kint: own")
    edit("brands.yaml", "aliases: [安穗]", "aliases: [云桥]")
    edit("topics.yaml", "plan: usury", "plan: usuri")
    edit("service.yaml", "17 4 * * *", "never")
    edit("plans/rumor.yaml", "due_min: 5", "due_min: soon")
    edit("plans/rumor.yaml", "{contact}", "{kontakt}")
    (folder / "sources.yaml").write_text("sources: [\n", encoding="utf-8")
    keys = {(Path(problem.file).name, problem.key) for problem in check(folder)}
    assert keys >= {
        ("routes.yaml", "routes[0].level"),
        ("routes.yaml", "routes[0].topics[0]"),
        ("routes.yaml", "routes[0].to[0]"),
        ("brands.yaml", "brands[0].kint"),
        ("brands.yaml", "brands[1].aliases[0]"),
        ("topics.yaml", "topics[5].plan"),
        ("service.yaml", "retention"),
        ("rumor.yaml", "tasks[0].due_min"),
        ("rumor.yaml", "statement"),
        ("sources.yaml", ""),
        ("usury.yaml", ""),
    }


@pytest.mark.parametrize("spelling", ["云 桥", "云桥\u200b", "ＹＱ金融", "yq金融"])
def test_shared_alias_is_seen_through_case_width_and_blanks(folder: Path, edit, spelling: str) -> None:
    edit("brands.yaml", "aliases: [云桥,", "aliases: [云桥, YQ金融,")
    edit("brands.yaml", "aliases: [安穗]", f'aliases: ["{spelling}"]')
    assert "云桥金融" in find(check(folder), "brands[1].aliases[0]").message


def test_topic_without_plan_and_plan_without_topic(folder: Path) -> None:
    (folder / "plans" / "fraud.yaml").rename(folder / "plans" / "frauds.yaml")
    problems = check(folder)
    assert find(problems, "topics[9].plan").suggestion == "frauds"
    assert any("没有主题用到预案 frauds" in problem.message for problem in problems)
    assert any(problem.key == "id" and problem.suggestion == "frauds" for problem in problems)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "空的"),
        (b"# only a comment\n", "空的"),
        (b"\xff\xfe\x00", "UTF-8"),
        ("brands: [云桥]".encode("gb18030"), "UTF-8"),
        (b"brands: [\n", "YAML 语法错误"),
        (b"brands:\n\t- id: x\n", "YAML 语法错误"),
        (b"a: 1\n---\nb: 2\n", "YAML 语法错误"),
        (b"brands: \x00\n", "YAML"),
        (b"- just\n- a list\n", "一组“键: 值”"),
        (b"brands: !!python/object/apply:os.system [echo]\n", "不允许的标签"),
        (b"brands: 1\nbrands: 2\n", "键重复，第 1 行"),
        (b"[" * 50 + b"]" * 50, "嵌套"),
        (b"[" * 200_000, "嵌套"),
        (b"brands: [" + b"1," * 60_000 + b"]", "个值"),
        (
            b"a: &a [x]\n"
            + b"".join(
                b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(9)
            ),
            "展开后太大",
        ),
        (b"a: &a [*a]\n", "展开后太大"),
        (b"brands: *nothing\n", "YAML 语法错误"),
        (b"? {a: 1}\n: 2\n", "键必须是一个词"),
        (b"#" * (600 * 1024), "太大"),
        (b'brands: [{id: x, name: "\\e[31m red"}]\n', "控制字符"),
    ],
)
def test_spoilt_file_is_one_clear_problem(folder: Path, content: bytes, message: str) -> None:
    (folder / "brands.yaml").write_bytes(content)
    problems = [problem for problem in check(folder) if problem.file.endswith("brands.yaml")]
    assert message in "".join(map(str, problems))
    assert all("\n" not in str(problem) for problem in problems)


def test_missing_things_are_problems(folder: Path, tmp_path: Path) -> None:
    (folder / "rules.yaml").unlink()
    (folder / "routes.yaml").unlink()
    (folder / "routes.yaml").mkdir()
    (folder / "plans" / "more.yml").write_text("id: more\n", encoding="utf-8")
    text = "\n".join(map(str, check(folder)))
    assert "rules.yaml: 文件不存在" in text
    assert "routes.yaml: 应该是文件，却是文件夹" in text
    assert "more.yml: 文件名要以 .yaml 结尾" in text
    assert "配置文件夹不存在" in str(check(tmp_path / "nowhere")[0])
    assert "却是文件" in str(check(folder / "brands.yaml")[0])
    assert "预案文件夹不存在" in "".join(map(str, check(folder / "plans")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_a_problem(folder: Path) -> None:
    (folder / "brands.yaml").chmod(0)
    assert any("没有读取权限" in problem.message for problem in check(folder))


def test_plain_scalars_mean_what_people_wrote(folder: Path, edit) -> None:
    """YAML 1.1 would make 22:30 a number of minutes and 000001 a one."""
    edit("routes.yaml", '"23:00"', "22:30")
    edit("sources.yaml", "paths: [zssh000001]", "paths: [000001]")
    settings = load(folder)
    assert settings.routes[0].quiet_hours and settings.routes[0].quiet_hours.start == "22:30"
    assert next(source for source in settings.sources if source.id == "guba").paths == ("000001",)


def test_a_legal_clock_that_somebody_looked_up_says_so(folder: Path, edit) -> None:
    """A date, nothing, or no key at all: only the first means that it was compared with the law."""
    edit("plans/usury.yaml", "verified_at: null", 'verified_at: "2026-12-01"')
    edit("plans/usury.yaml", 'confirmed_by: ""', "confirmed_by: 王律师")
    edit("plans/abusive_collection.yaml", "verified_at: null", "")
    plans = load(folder).plans
    assert plans["usury"].clocks[0].standing == "2026-12-01 核实，王律师已确认"
    assert plans["abusive_collection"].clocks[0].standing == "未核实，待法务确认"


def test_command_says_it_in_words(folder: Path, edit) -> None:
    run = [sys.executable, "-m", "app", "check", "--config", str(folder)]
    good = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    assert "品牌 6 个" in good.stdout and "主题 17 个" in good.stdout and "预案 17 份" in good.stdout
    clocks = sum(len(plan.clocks) for plan in load(folder).plans.values())
    assert f"法定时限 {clocks} 条中有 {clocks} 条未核实或待法务确认" in good.stdout
    line = edit("routes.yaml", "level: yellow", "level: yelow")
    bad = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert f"routes.yaml:{line}: routes[0].level: 只能是" in bad.stderr
    assert "（是不是想写 yellow？）" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_every_number_has_an_upper_bound() -> None:
    """1e15 seconds are no time that a service can reckon with; nobody may learn that from a tick that fails."""
    shapes = (BrandsFile, SourcesFile, TopicsFile, Rules, RoutesFile, Schedules, PlanFile)
    numbers = [each for shape in shapes for each in _numbers(shape.model_json_schema())]
    assert len(numbers) > 30
    assert [name for name, schema in numbers if "maximum" not in schema] == []


def _numbers(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every number of a shape and of those within it, by its name."""
    found = []
    for shape in (schema, *schema.get("$defs", {}).values()):
        for name, field in shape.get("properties", {}).items():
            kinds = [field, *field.get("anyOf", ())]
            found += [(name, kind) for kind in kinds if kind.get("type") in ("integer", "number")]
    return found


def test_shipped_configuration_is_right() -> None:
    assert check(shipped()) == []
