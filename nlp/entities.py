"""Companies that nobody told us about: a modest finder by known names and by how such names end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import resources

MOST = 12
"""Companies found in one text at most."""
READ = 3_000
"""Characters of a text that are searched."""

_ENDINGS = ["消费金融", "金融科技", "金融服务", "金融", "财富管理", "财富", "支付", "钱包", "钱袋", "银行", "证券", "保险", "人寿", "理财", "基金", "信托", "资本", "网贷", "小贷", "金服", "金科", "数科", "优贷", "贷", "宝", "借", "投资", "集团", "控股", "科技", "记账", "白条", "白卡", "花分期", "分期", "普惠"]
_SURE = frozenset(["消费金融", "金融", "财富", "支付", "钱包", "银行", "证券", "保险", "金服", "金科", "数科", "人寿", "理财", "网贷", "小贷"])
_BREAKS = re.compile(
    "是否|关于|对于|通过|因为|所以|但是|不是|就是|还是|如果|已经|没有|可以|什么|怎么|为什么|请问|求问|求助|听说|据说|"
    "据悉|据|谁|我们|你们|他们|咱们|大家|今天|昨天|明天|昨晚|今晚|刚刚|刚|现在|目前|近日|日前|最近|曝光|投诉|举报|"
    "起诉|使用|下载|注册|登录|办理|申请|客服|平台|公司|警惕|旗下|收购|入股|联合|携手|推出|发布|致电|质疑|坑爹|垃圾|"
    "的|了|是|在|我|你|他|她|它|和|与|及|或|被|把|给|让|向|从|到|于|由|以|用|对|跟|比|等|着|过|这|那|个|家|叫|说|"
    "有|无|没|不|都|也|还|又|就|很|太|更|最|去|来|做|做了|搞|找|问|看|想|要|会|能|买|卖|投|存|借了|欠|还了|为|将|称|"
    "该|某|此|其|每|各|全|新|老|好|坏|大|小|多|少|一|二|三|两|几|第|原|前|后|上|下|里|外|内|中|以及|并|则|进|成|真|资|请|因|替|扒|喊|系|接|半|但|年|天|月|号|元|款|人"
)
_GENERIC = frozenset(
    ["互联网", "网络", "普惠", "数字", "消费", "国际", "第三方", "移动", "线上", "线下", "传统", "民间", "个人", "企业", "小额", "现金", "信用", "校园", "房产", "车", "房", "科技", "商业", "投资", "理财", "银行", "货币", "公募", "私募", "股票", "债券", "医疗", "养老", "社会", "商业", "重疾", "车险", "高科技", "供应链", "农村", "城市", "财富", "金融", "支付", "快捷", "扫码", "微信", "在线", "免密", "移动端", "电子", "手机", "智能", "稳健", "短期", "长期", "高息", "保本", "活期", "定期", "套路", "高利", "网", "信", "贷", "套路", "高", "免息", "无抵押", "抵押", "消费者", "支", "法定", "元", "余额", "淘", "珠", "国", "黑", "红", "财", "元宝", "大宝", "宝", "房", "转", "续", "可", "代"]
)
_CHAR = re.compile(r"[\u4e00-\u9fffA-Za-z0-9]")
_QUOTED = re.compile(r"#([\u4e00-\u9fffA-Za-z0-9]{2,8}?)(?:超话|\[超话\])?#")


def known_companies() -> list[str]:
    """Names that come with the package (``nlp/words/companies.txt``)."""
    text = (resources.files("nlp") / "words" / "companies.txt").read_text("utf-8")
    return [name for line in text.splitlines() if (name := line.partition("#")[0].strip())]


class EntityFinder:
    """Finds company names as written. Misses names without a telling end; may take a phrase for a name."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        known = sorted({*known_companies(), *names}, key=lambda name: (-len(name), name))
        self._known = re.compile("|".join(map(re.escape, known)))
        self._ending = re.compile("|".join(sorted(_ENDINGS, key=len, reverse=True)))

    def find(self, text: str) -> list[str]:
        """Distinct names in order of first mention, at most ``MOST``."""
        text = text[:READ]
        spans = [match.span() for match in self._known.finditer(text)]
        sure = list(spans)
        for match in self._ending.finditer(text):
            start = _begin(text, match)
            if start is not None and not any(a < match.end() and start < b for a, b in sure):
                spans.append((start, match.end()))
        for match in _QUOTED.finditer(text):
            if any(match[1].endswith(end) for end in _SURE):
                spans.append(match.span(1))
        names: list[str] = []
        for start, end in _longest(spans):
            name = text[start:end]
            if name not in names:
                names.append(name)
        return names[:MOST]


def _begin(text: str, ending: re.Match[str]) -> int | None:
    """Where the name that ends here begins; None when nothing before the ending can be a name."""
    start = ending.start()
    reach = 5 if ending[0] in _SURE else 3
    while start > 0 and ending.start() - start < reach and _CHAR.match(text[start - 1]):
        start -= 1
    head = text[start : ending.start()]
    for broken in _BREAKS.finditer(head):
        start = ending.start() - len(head) + broken.end()
    head = text[start : ending.start()]
    least = 2 if re.fullmatch(r"[\u4e00-\u9fff]*", head) else 3
    if len(head) < least or head in _GENERIC or head.isdigit():
        return None
    if any(head.endswith(word) for word in _GENERIC if len(word) > 1):
        return None
    if len(ending[0]) == 1 and (len(head) > 2 or head[-1] in "出间络初而候信私骗房学续转时同网利额还"):
        return None
    follows = text[ending.end() : ending.end() + 1]
    return (
        None if len(ending[0]) == 1 and follows and follows in "款钱据到入出条用走来给贵贝物藏险本" else start
    )


def _longest(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order; of those that overlap the earlier, then the longer one."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(set(spans), key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
        elif start == kept[-1][0]:
            continue
    return kept
