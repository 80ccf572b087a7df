"""The last words of a run: what there is to look at, and what to try next."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from app.demo.narrator import Narrator
from app.demo.result import Result


def tell(
    result: Result, home: Path, missing: Sequence[str], narrator: Narrator, *, engines: bool = False
) -> None:
    """Say what came of a run, where it lies, and which commands show it (``engines``: unless they end with it)."""
    narrator.stage("结果" if not missing else "结果（没有全部做到）")
    where = "，".join(f"{name} {count}" for name, count in result.sources.items())
    narrator.say(f"帖子　{result.posts} 条：{where}")
    for alert in result.alerts:
        name = result.names.get(alert.brand, alert.brand)
        after = _minutes(result.delay_s(alert))
        words = f"预警 · {name} · {after}发出，现为{alert.level.colour}色（{alert.level.word}）"
        narrator.event(alert.first_at, words, alert.level)
    if not result.alerts:
        narrator.say("预警　没有")
    for path in result.emails[:1]:
        narrator.say(f"邮件　{len(result.emails)} 封，先看第一封：{path.with_suffix('.html')}")
    for incident in result.incidents:
        plan = (
            f"，建议预案 {incident.plan}，{result.tasks.get(incident.id, 0)} 项任务" if incident.plan else ""
        )
        narrator.say(f"事件　{incident.id}（{incident.level.colour} {incident.level.word}）{plan}")
    for words in missing:
        narrator.warn(words)
    if engines:
        narrator.say(
            f"用时　{result.seconds:.0f} 秒；邮件和配置留在 {home}，其余在引擎里，为演练启动的引擎随之结束"
        )
        return
    narrator.say(f"用时　{result.seconds:.0f} 秒；全部留在 {home}")
    narrator.stage("接下来可以试")
    for line in _commands(result, home):
        narrator.say(line)


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"危机开始后 {minutes} 分钟" if minutes >= 0 else f"危机开始前 {-minutes} 分钟"


def _commands(result: Result, home: Path) -> list[str]:
    program = _program()
    lines = [
        f"export YUJING_HOME={shlex.quote(str(home))}",
        f"{program} status",
        f"{program} search --brand {result.brand.id} --sentiment negative",
    ]
    if result.incidents:
        first = result.incidents[0]
        lines.append(f"{program} incident show {first.id}")
        if first.plan:
            lines.append(f"{program} plan show {first.plan}")
    return lines


def _program() -> str:
    """How this installation is called: by its name where the shell finds it."""
    beside = Path(sys.executable).with_name("yujing")
    found = shutil.which("yujing")
    if found and Path(found).resolve() == beside.resolve():
        return "yujing"
    return shlex.quote(str(beside)) if beside.exists() else f"{shlex.quote(sys.executable)} -m app"
