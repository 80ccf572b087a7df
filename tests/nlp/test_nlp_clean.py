from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp.clean import clip, joined, normalise, own_words


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("平台暴雷了", "平台爆雷了"),
        ("老板跑鹿了", "老板跑路了"),
        ("老板跑lu了", "老板跑路了"),
        ("涉嫌非9吸", "涉嫌非吸"),
        ("提×难", "提现难"),
        ("提.现三天不到账", "提现三天不到账"),
        ("險(xiǎn)企被罰款", "险企被罚款"),
        ("跑\u200b路", "跑路"),
        ("ＡＰＰ，打不开", "APP,打不开"),
        ("见https://t.cn/Ab12转发", "见网址转发"),
        ("见http://t.cn/A6abc，PayPal与e租宝", "见网址,PayPal与e租宝"),
        ("见ｈｔｔｐ://t.cn/A6abc“PayPal”，www.a.cn…OKEx", "见网址“PayPal”,网址...OKEx"),
        ("a  b\n\tc", "a b c"),
        ("年化3.5%,提前还款", "年化3.5%,提前还款"),
        ("跑lu8跑lucky", "跑路8跑lucky"),
        ("哈" * 30, "哈" * 8),
        ("坏\ud800字\x00符", "坏字符"),
        ("被爆lei,老板跑🦌", "被爆雷,老板跑路"),
        ("跑❌路 跑.路 跑 路", "跑路 跑路 跑路"),
        ("爆⚡️了,B雷", "爆雷了,爆雷"),
        ("提xian 提×现 TX不了 无法ｔｘ", "提现 提现 提现不了 无法提现"),
        ("非法集zi 非fa集z 非.法.集.资", "非法集资 非法集资 非法集资"),
        ("兑fu cui收 诈piàn 维quan 失Lian", "兑付 催收 诈骗 维权 失联"),
        ("高利dai割jiu菜,又割🌱", "高利贷割韭菜,又割韭菜"),
        ("zijin池,被马扁子骗", "资金池,被骗子骗"),
        ("诈（zha）骗、诈【zhà】骗[pian4]", "诈骗、诈骗"),
        ("平台tixian困难", "平台提现困难"),
        ("跑👎路,提 现 困 难", "跑路,提现困难"),
        ("保利(baoli)地产,聚宝(jubao)盆", "保利地产,聚宝盆"),
        ("深圳宝安(baoan)区房贷(fangdai)利率", "深圳宝安区房贷利率"),
        ("善林金融(shan lin jin rong)、善林金融（Shàn Lín）", "善林金融、善林金融(Shàn Lín)"),
        ("人人贷爆(lei)了,爆【lei】,爆(lei)雷", "人人贷爆雷了,爆雷,爆雷"),
        ("非法集(zi)与高利[dai]", "非法集资与高利贷"),
        ("跑★路,跑☆路,诈&骗,提#现", "跑路,跑路,诈骗,提现"),
        ("涉嫌zp", "涉嫌诈骗"),
        ("都是诈*,还我钱,诈×团伙", "都是诈骗,还我钱,诈骗团伙"),
        ("又抱雷,首家暴雷平台,暴雷电话,bei捕,被.捕", "又爆雷,首家爆雷平台,爆雷电话,被捕,被捕"),
    ],
)
def test_hostile_spelling_is_undone_and_honest_spelling_kept(written: str, meant: str) -> None:
    assert normalise(written) == meant


def test_a_hidden_word_is_read_where_an_ordinary_one_could_begin_in_it() -> None:
    for written in ("客服失*联手机打不通", "跑.路费都不给员工", "跑*路线都查清了", "高管失·联系人都换了"):
        assert normalise(written) == written.translate(dict.fromkeys(map(ord, "*.·"))), written


@pytest.mark.parametrize(
    "text",
    [
        "P2P雷声大,app雷同,A/B雷达",
        "wangdai.info与tixian.com,@paolu",
        "索尼TX10促销,正品zp,转账tx记录",
        "副总经理、财务负责人;用工、资金、物流",
        "普通话(app)与冠(qian)军,有期徒刑、拘役",
        "小鹿跑步,跑道上爆米花,L码和XL码",
        "li xi与bao,xi安的面",
        "zp公司招聘客服,被zp录取,zp平台",
        "北部beibu湾,baoli地产,youdao词典",
        "#大家快跑#路上,#我要投#资讯",
        "先提。现在,中国(China)",
        "拥抱雷锋精神,熊抱雷军,拥抱了雷军",
        "今晚有暴雷雨,次贷风暴雷曼倒闭",
        "我们组被BU砍了",
        "**反欺诈**能力领先,**全民反诈**宣传,反欺诈*反洗钱,**诈骗**",
        "意外损失/联系人管理,慢跑/路跑爱好者,十公里跑|路线图,发展/期待,防诈骗 局长来支招,前提·现有用户",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert normalise(text) == text


PIECES = [
    *"★#&提现跑路爆雷骗子非法集资高利贷割韭菜催收通讯录马扁鹿🦌⚡❌×.·/ -(【[)】]tTxXlLpPbzZ9",
    "(lei)", "(bao an)", "宝安",
    "ti", "xian", "pǎo", "lu", "lei", "pian", "zi", "fa", "fei", "ji", "dai", "cui", "\u200b", "\u0301", "\ufe0f",
    "\u1100", "\u1161", "\u0344", "網", "（", "http://", "www.", "\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join) | st.text(max_size=60))
def test_twice_is_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_any_text_becomes_clean_and_stays_so(text: str) -> None:
    once = normalise(text)
    once.encode("utf-8")
    assert "\x00" not in once
    assert once == once.strip()
    assert "\n" not in once


@pytest.mark.parametrize(
    "text",
    [
        "\u0301\u0323" * 500_000,
        "提." * 500_000,
        "险(" * 300_000,
        "https://" * 100_000,
        "a" * 1_000_000,
        "提.现" * 300_000,
        "tixian" * 160_000,
        "非 fa集z" * 150_000,
        "jinzi" * 200_000,
        "骗[pian" * 150_000,
        "骗" + "(pian)" * 150_000,
        "骗(pian)" * 120_000,
        "骗(pian pian" * 80_000,
        "骗骗骗骗(pianpianpianpian)" * 40_000,
        "跑#路" * 250_000,
        "\u0301\u200b\u0323\u200b" * 250_000,
    ],
)
def test_a_megabyte_of_anything_takes_seconds(text: str) -> None:
    began = time.process_time()
    normalise(text)
    assert time.process_time() - began < 8


def test_a_title_that_the_body_repeats_is_said_once() -> None:
    assert joined("提现困难", "提现困难,已经三天") == "提现困难,已经三天"
    assert joined("云桥公告", "今日系统维护") == "云桥公告 今日系统维护"
    assert joined("", "只有正文") == "只有正文"
    assert joined("提现困难三天了", "提现困难") == "提现困难三天了"


def test_a_title_that_says_more_than_the_body_is_kept() -> None:
    shared = "重要公告:关于善林金融全体员工及出借人权益的说明"
    title, body = f"{shared}——老板卷款跑路无法提现", f"{shared}。详情请点击查看原文。"
    assert joined(title, body) == f"{title} {body}"
    assert joined(f"{shared}...", body) == body
    told = f"{body}老板卷款跑路无法提现。"
    assert joined(title, told) == told


def test_joining_takes_linear_time() -> None:
    began = time.process_time()
    joined("云桥金融跑路" * 2_500, "云桥金融跑路" * 2_400 + "了")
    joined("".join(map(str, range(4_000))), "".join(map(str, range(3_000))) + "了")
    assert time.process_time() - began < 1


def test_repost_marks_are_not_the_authors_words() -> None:
    assert own_words("//@张三:原文在此") == "原文在此"
    assert own_words("回复@李四:说得对") == "说得对"


def test_a_huge_text_is_clipped_at_both_ends() -> None:
    short = clip("头" + "中" * 50_000 + "尾")
    assert short[0] == "头" and short[-1] == "尾" and len(short) < 16_000
    assert clip("头" + "中" * 100, head=64, tail=0) == "头" + "中" * 63
