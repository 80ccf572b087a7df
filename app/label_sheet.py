"""The sheet that a person labels in: CSV for a spreadsheet, and back.

UTF-8 with a byte order mark, so that Excel and WPS show Chinese; one line a post. Text from outside never becomes
a formula: a cell that begins like one gets an apostrophe in front (OWASP, CSV injection), which reading takes off.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.printing import plain
from crawlers.rows import read_rows
from domain.assessment import Sentiment
from domain.correction import text_mark
from domain.errors import InputError
from domain.local_time import published
from nlp.team_labels import COLUMNS, BadLabel, Label, read, recognised
from store.posts import Judged

LONGEST = 2_000
"""Characters of a text that are shown: a spreadsheet's cell holds 32,767, and nobody reads so much."""
_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What makes a cell a formula, also in its full-width form; tab and line break are gone before."""
_SENTIMENTS = {"negative": "负面", "neutral": "中性", "positive": "正面"}
_STANCES = {"assert": "断言", "deny": "否认", "ask": "询问", "other": "其他"}
_HINTS = {
    "sentiment": "（负面/中性/正面）",
    "topics": "（用、隔开，没有写 无）",
    "stance": "（断言/否认/询问/其他）",
    "ad": "（是/否）",
    "negative_about": "（公司名，用、隔开，没有写 无）",
}
_HEADINGS = [
    COLUMNS["id"], "发布时间", "平台", "网址", COLUMNS["title"], COLUMNS["text"], COLUMNS["entities"], "为什么选它",
    "模型：情感", "模型：话题", "模型：立场", "模型：广告", "模型：负面指向",
    *(COLUMNS[name] + hint for name, hint in _HINTS.items()), COLUMNS["note"], COLUMNS["text_mark"],
]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One post to label."""

    judged: Judged
    reasons: tuple[str, ...]
    stance: str
    """The model's, of the whole post."""


def guarded(cell: str) -> str:
    """The cell as text that no spreadsheet takes for a formula."""
    cell = plain(cell)
    return f"'{cell}" if cell.startswith(_STARTS) or cell.startswith("'") else cell


def unguarded(cell: object) -> object:
    """What ``guarded`` was given."""
    if isinstance(cell, str) and cell.startswith(tuple(f"'{start}" for start in (*_STARTS, "'"))):
        return cell[1:]
    return cell


def shown(text: str) -> str:
    """A text as the sheet shows it."""
    text = plain(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def write(path: Path, lines: Sequence[Line], topics: Mapping[str, str]) -> Path:
    """Write the sheet and its guide beside it; returns the guide's path.

    ``topics``: id → name. Raises ``InputError`` when a file is there already: it may hold somebody's work.
    """
    guide = path.with_name(f"{path.stem}.说明.txt")
    part = path.with_name(f".{path.name}.{os.getpid()}")
    if path.exists():
        raise InputError(f"{path} 已经存在，里面可能有填好的标注：换一个文件名，或先移走它")
    try:
        with part.open("w", encoding="utf-8-sig", newline="") as file:
            sheet = csv.writer(file, quoting=csv.QUOTE_ALL)
            sheet.writerow(_HEADINGS)
            sheet.writerows([guarded(cell) for cell in _cells(line, topics)] for line in lines)
        guide.write_text(_guide(topics), "utf-8-sig")
        part.rename(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"写不了 {path}：{error.strerror or error}") from error
    return guide


def _cells(line: Line, topics: Mapping[str, str]) -> list[str]:
    post, assessment = line.judged.post, line.judged.assessment
    accused = [each.name for each in assessment.entities if each.sentiment is Sentiment.NEGATIVE]
    return [
        post.id,
        published(post)[:16].replace("T", " "),
        post.platform,
        post.url,
        post.title,
        shown(post.text),
        "、".join(each.name for each in assessment.entities),
        "；".join(line.reasons),
        _SENTIMENTS[assessment.sentiment.value],
        "、".join(topics.get(topic.id, topic.id) for topic in assessment.topics) or "无",
        _STANCES[line.stance],
        "是" if assessment.ad else "否",
        "、".join(accused) or "无",
        *[""] * (len(_HINTS) + 1),
        text_mark(post),
    ]


def _guide(topics: Mapping[str, str]) -> str:
    names = "\n".join(f"  {name}    （{id_}）" for id_, name in topics.items())
    return f"""怎样填这张表

读“正文”，自己判断，把结论填进右边六列；“模型：…”几列是模型的看法，只供对照，不要照抄。
空着 = 没看或拿不准，不会拿去训练。想说“一个也没有”，请写 无。每行填几列都可以。
不要改编号、标题、正文和最后一列“文本标记”：帖子在导出之后改过的，靠它认出来，要重新看。
存成 CSV（UTF-8）后运行：yujing label import 文件名 --by 你的名字

情感      站在被说到的平台或公司的公关角度：
          负面 = 伤害、指责、投诉、报道麻烦、损失、犯罪、处罚、违约、风险
          正面 = 称赞、报道成绩、好结果、公益、感谢、增长
          中性 = 单纯信息、没有指责的提问、广告软文、教程、价格行情、顺带一提
话题      真正在说的危机话题，可以多个；泛泛教人防范的、广告，除非指称了具体的事，都写 无
立场      断言 = 当作事实说或指控，包括新闻报道；否认 = 反驳、辟谣；询问 = 打听、求证、求助；其他 = 广告、教程等
广告      广告、软文、招揽套现或贷款、标题党
负面指向  负面内容真正针对的公司，照“公司”列或正文里的写法；被冒充的平台一般不算

话题（写名称、名称的一部分或编号都行）
{names}
"""


# ----------------------------------------------------------------------------------------------------- back


def labels(path: Path, topics: Mapping[str, str]) -> Iterator[tuple[int, Label | BadLabel]]:
    """Rows of a sheet or of a JSONL file: number and label, or what is wrong with it; ``topics`` as for ``read``.

    Raises ``InputError`` when the file itself cannot be read.
    """
    known = False
    for row in read_rows(path, needs=()):
        if row.values is None:
            yield row.number, BadLabel([row.error])
            continue
        if not known and not recognised(row.values):
            raise InputError(
                f"{path}：没有一列认得（有：{'、'.join(map(shown, row.values))[:100]}）；要有编号或正文，和情感等列"
            )
        known = True
        try:
            yield row.number, read({key: unguarded(value) for key, value in row.values.items()}, topics)
        except BadLabel as bad:
            yield row.number, bad


def told(path: Path, wrong: Iterable[tuple[int, Sequence[str]]]) -> list[str]:
    """What is wrong, a line for people each."""
    return [f"{path} 第 {number} 行：{reason}" for number, reasons in wrong for reason in reasons]
