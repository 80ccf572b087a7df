"""The command line of people's decisions, over a real ledger and the shipped configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from app.commands import incident as incidents
from app.commands import plan as plans
from app.commands import silence as silences
from config.environment import shipped
from config.load import load
from domain.alert import Level
from domain.errors import InputError, UsageError
from domain.plan import ROLES
from response.incidents import Desk
from tests.response.conftest import T0

TOPIC = "withdrawal_difficulty"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def settings():
    return load(shipped())


@pytest.fixture
def run(ledger, settings) -> Run:
    """Runs a command in this process; returns its stdout."""
    desk = Desk(ledger=ledger, plans=settings.plans, plan_for=settings.plan_for)
    clock = SimpleNamespace(at=T0 + timedelta(minutes=40))
    clock.now = lambda: clock.at
    app = SimpleNamespace(settings=settings, ledger=ledger, desk=desk, clock=clock)

    def call(module: Any, *words: str, wide: str = "200") -> str:
        result = CliRunner(env={"COLUMNS": wide, "NO_COLOR": "1"}).invoke(
            module.commands, list(words), obj=lambda: app
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    call.app = app  # type: ignore[attr-defined]
    return call


@pytest.fixture
def opened(run, alert) -> str:
    """The id of an open orange incident of withdrawals."""
    found = run.app.desk.on_alert(alert(level=Level.ORANGE, topics=(TOPIC,)), now=T0)
    return found.id


def test_list_shows_what_is_open(run, opened) -> None:
    out = run(incidents, "list")
    for word in (opened, "橙 重大", "待研判", "云桥金融", "提现困难", "无人接手", "11月22日 周日 21:04"):
        assert word in out
    (row,) = [json.loads(line) for line in run(incidents, "list", "--json").splitlines()]
    assert (row["id"], row["level"], row["topic"], row["plan"]) == (opened, "orange", TOPIC, TOPIC)
    assert row["opened_at"] == "2026-11-22T21:04:00+08:00"
    run(incidents, "close", opened, "--reason", "完", "--by", "王芳")
    assert "没有未结束的事件" in run(incidents, "list")
    assert "已关闭" in run(incidents, "list", "--all")
    assert run(incidents, "list", "--all", "--brand", "ansui", "--json") == ""


@pytest.mark.parametrize("brand", ["yunqiao", "云桥金融"])
def test_a_brand_goes_by_its_id_and_by_its_name(run, opened, brand: str) -> None:
    assert opened in run(incidents, "list", "--brand", brand)
    run(silences, "add", "--brand", brand, "--topic", "谣言/水军", "--hours", "1", "--reason", "x")
    (row,) = [json.loads(line) for line in run(silences, "list", "--json").splitlines()]
    assert (row["brand"], row["topic"]) == ("yunqiao", "rumor")


def test_nothing_about_an_unknown_brand_is_no_calm(run, ledger, alert) -> None:
    with pytest.raises(InputError, match=r"没有品牌 云桥金服（是不是想写 云桥金融？）"):
        run(incidents, "list", "--brand", "云桥金服")
    retired = run.app.desk.on_alert(alert(brand="retired", level=Level.ORANGE, topics=(TOPIC,)), now=T0)
    assert retired.id in run(incidents, "list", "--brand", "retired")


def test_narrow_terminal_keeps_ids_whole(run, opened) -> None:
    assert opened in run(incidents, "list", wide="60")
    assert all(topic.plan in run(plans, "list", wide="70") for topic in run.app.settings.topics)


def test_decisions_are_signed_and_say_why(run, opened) -> None:
    run(incidents, "ack", opened, "--by", "王芳", "--reason", "我来")
    run(incidents, "confirm", opened, "--by", "王芳", "--reason", "核实了 20 条")
    out = run(plans, "start", "--incident", opened, "--by", "李雷")
    assert out.count("\n") > 15 and all(f"  {role}  " in out for role in ROLES)
    assert "11月22日 周日 21:49  值班指挥  接手事件" in out
    shown = run(incidents, "show", opened)
    for word in (
        "负责人 王芳",
        "可能触发（未核实，待法务确认）：突发事件信息报告（电话）",
        "确认属实",
        "核实了 20 条",
        "提现困难/兑付逾期处置预案 版本 1",
        "李雷",
        "处置中",
    ):
        assert word in shown
    whole = json.loads(run(incidents, "show", opened, "--json"))
    assert [event["kind"] for event in whole["timeline"]] == [
        "opened",
        "acknowledged",
        "confirmed",
        "responding",
        "plan_started",
    ]
    assert whole["status"] == "responding" and whole["runs"][0]["plan"] == TOPIC
    assert len(whole["runs"][0]["tasks"]) > 15
    assert whole["timeline"][2]["actor"] == "王芳"


def test_an_incident_shows_the_clocks_of_the_plans_that_run(run, opened) -> None:
    proposed, running = (
        {clock.name for clock in run.app.settings.plans[plan].clocks} for plan in (TOPIC, "data_breach")
    )
    run(plans, "start", "data_breach", "--incident", opened, "--by", "李雷")
    told = [line for line in run(incidents, "show", opened, wide="400").splitlines() if "可能触发" in line]
    assert len(told) == len(running) and all(any(name in line for line in told) for name in running)
    assert not any(name in line for name in proposed - running for line in told)


def test_a_task_is_ticked_with_its_evidence_and_a_tick_can_be_taken_back(run, opened) -> None:
    run(plans, "start", "--incident", opened, "--by", "李雷")
    with pytest.raises(InputError, match="要用 --evidence 写明凭证：核实表：20 条"):
        run(plans, "done", opened, "verify-posts", "--by", "李雷")
    assert "已完成" in run(plans, "done", opened, "acknowledge", "--by", "李雷")
    run(plans, "done", f"{opened}/{TOPIC}", "verify-posts", "--by", "李雷", "--evidence", "表 7")
    with pytest.raises(InputError, match="已经是这个状态"):
        run(plans, "done", opened, "verify-posts", "--evidence", "表 8")
    shown = run(incidents, "show", opened)
    assert "完成（李雷）" in shown and "核实 20 条帖子：表 7" in shown
    run(plans, "reopen", opened, "verify-posts", "--by", "王芳", "--reason", "样本不足")
    with pytest.raises(InputError, match="没有任务 verify"):
        run(plans, "done", opened, "verify")
    with pytest.raises(InputError, match="没有已启动的预案 INC-9"):
        run(plans, "done", "INC-9", "verify-posts")
    whole = json.loads(run(incidents, "show", opened, "--json"))
    tasks = {task["id"]: task for task in whole["runs"][0]["tasks"]}
    assert (tasks["acknowledge"]["status"], tasks["acknowledge"]["assignee"]) == ("done", "李雷")
    assert (tasks["verify-posts"]["status"], tasks["verify-posts"]["evidence"]) == ("open", "")
    assert [event["kind"] for event in whole["timeline"]][-3:] == ["task_done", "task_done", "task_reopened"]
    assert whole["timeline"][-1]["reason"] == "核实 20 条帖子；样本不足"
    run(incidents, "close", opened, "--reason", "完", "--by", "王芳")
    run(plans, "done", opened, "review", "--by", "王芳", "--evidence", "复盘报告")


def test_a_level_is_declared(run, opened) -> None:
    out = run(incidents, "level", opened, "red", "--reason", "有人聚集", "--by", "韩梅")
    assert out == f"{opened} 为红色（特别重大）\n"
    shown = run(incidents, "show", opened)
    assert "调级" in shown and "橙色（重大） → 红色（特别重大）" in shown
    assert run.app.ledger.audit.last()[0].action == "declare_level"


def test_default_actor_is_the_login_name(run, opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "zhang")
    run(incidents, "ack", opened)
    assert run.app.ledger.incidents.get(opened).owner == "zhang"
    with pytest.raises(UsageError, match="rule:"):
        run(incidents, "ack", opened, "--by", "rule:incidents")


def test_overdue_tasks_are_said_to_be(run, opened) -> None:
    run(plans, "start", TOPIC, "--incident", opened, "--by", "王芳")
    assert "超时" not in run(incidents, "show", opened)
    run.app.clock.at += timedelta(minutes=10)
    assert run(incidents, "show", opened).count("超时") == 1


def test_false_alarm(run, opened) -> None:
    row = json.loads(run(incidents, "false-alarm", opened, "--reason", "旧闻", "--by", "王芳", "--json"))
    assert row["status"] == "false_alarm"
    shown = run(incidents, "show", opened)
    assert "误报" in shown and "旧闻" in shown and "yujing plan start" not in shown


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        (incidents, ("show", "INC-1"), "没有事件 INC-1"),
        (incidents, ("ack", "INC-1"), "没有事件 INC-1"),
        (incidents, ("close", "INC-1", "--reason", "x"), "没有事件 INC-1"),
        (plans, ("show", "withdrawal"), "没有预案 withdrawal"),
        (plans, ("start", "usury", "--incident", "INC-1"), "没有事件 INC-1"),
        (silences, ("end", "SIL-1"), "没有静默 SIL-1"),
        (silences, ("add", "--brand", "yunqia", "--hours", "1", "--reason", "x"), "是不是想写 yunqiao"),
        (silences, ("add", "--topic", "rumour", "--hours", "1", "--reason", "x"), "是不是想写 rumor"),
        (silences, ("add", "--hours", "1", "--reason", "x"), "不能静默全部"),
        (silences, ("add", "--brand", "yunqiao", "--hours", "0", "--reason", "x"), "时长"),
        (silences, ("add", "--brand", "yunqiao", "--hours", "nan", "--reason", "x"), "时长"),
        (silences, ("add", "--brand", "yunqiao", "--hours", "1e300", "--reason", "x"), "时长"),
        (silences, ("add", "--brand", "yunqiao", "--hours", "800", "--reason", "x"), "31 天"),
        (silences, ("add", "--brand", "yunqiao", "--hours", "1", "--reason", " \x1b "), "原因"),
    ],
)
def test_wrong_input_is_one_clear_line(run, module, words, message) -> None:
    with pytest.raises(InputError, match=message) as caught:
        run(module, *words)
    assert "\n" not in str(caught.value)


def test_silence_is_listed_and_ended(run) -> None:
    add = (
        "add",
        "--brand",
        "yunqiao",
        "--topic",
        "rumor",
        "--hours",
        "4",
        "--reason",
        "在辟谣",
        "--below",
        "orange",
    )
    silence = json.loads(run(silences, *add, "--by", "王芳", "--json"))
    assert silence["ends_at"] == "2026-11-23T01:44:00+08:00"
    assert (silence["below"], silence["by"]) == ("orange", "王芳")
    assert silence["id"] in run(silences, "list") and "在辟谣" in run(silences, "list")
    run(silences, "end", silence["id"], "--by", "王芳")
    assert "没有生效中的静默" in run(silences, "list")
    assert silence["id"] in run(silences, "list", "--all", "--json")
    with pytest.raises(InputError, match="已经结束"):
        run(silences, "end", silence["id"], "--by", "王芳")
    assert [entry.action for entry in run.app.ledger.audit.last()] == ["end_silence", "silence"]


def test_plan_is_shown_with_its_clocks_and_the_word_of_caution(run) -> None:
    shown = run(plans, "show", "data_breach")
    for word in (
        "未核实，待法务确认",
        "不构成法律意见",
        "第四条",
        "止住外泄",
        "{contact}",
        "4 小时",
        "3 天",
        "关闭条件",
    ):
        assert word in shown
    assert json.loads(run(plans, "show", "data_breach", "--json"))["level"] == "orange"
    rows = [json.loads(line) for line in run(plans, "list", "--json").splitlines()]
    assert [row["id"] for row in rows] == [topic.plan for topic in run.app.settings.topics]


def test_hostile_text_does_nothing_to_the_terminal(run, opened) -> None:
    run(incidents, "ack", opened, "--by", "王\x1b[31m芳\u202e", "--reason", "[red]a\x07[/red]\nb")
    shown = run(incidents, "show", opened)
    assert "[red]a" in shown
    assert not any(character in shown for character in "\x1b\x07\u202e")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("incident", "show", "INC-1"), 1),
        (("incident", "close", "INC-1"), 2),
        (("plan", "list"), 0),
    ],
)
def test_exit_codes(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    env = {**os.environ, "YUJING_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "app", *words], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == (1 if code else 0)
