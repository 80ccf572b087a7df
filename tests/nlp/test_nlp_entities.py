from __future__ import annotations

import time

import pytest

from nlp.entities import MOST, EntityFinder

FIND = EntityFinder().find


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("云桥金融跑路,石榴记账和青藤借呢", ["云桥金融", "石榴记账", "青藤借"]),
        ("我在小鹿花分期买的手机", ["小鹿花分期"]),
        ("被长禾保险拒赔,安穗理财的客服也不管", ["长禾保险", "安穗理财"]),
        ("据悉鼎渡控股集团全面崩盘", ["鼎渡控股集团"]),
        ("原告上海云桥（北京）信息服务有限公司起诉", ["上海云桥（北京）信息服务有限公司"]),
        ("口贷网清盘,e租宝早没了", ["口贷网", "e租宝"]),
        ("#众禾网贷[超话]#还钱", ["众禾网贷"]),
        ("金融办接访,理性投资,持牌金融机构,绑定银行卡", []),
        ("各地P2P网贷平台,上海金融局,互联网金融,供应链金融", []),
        ("跟小舅子借的,车抵贷和房贷,向同事借钱", []),
        ("酒店很好,早餐太差,下次还来", []),
        ("", []),
        ("上千名投资人提现不了,数百名投资者被骗,几十位投资人", []),
        ("号召投资人维权,误导投资者,聚集投资人", []),
        ("诱导投资,虚构投资标的,善林金融号召投资", ["善林金融"]),
        ("向深圳市宝安区人民法院起诉,在深圳宝安;天津宝坻;河南宝泉;江苏宝应", []),
        ("嘉银宝安全吗?云桥宝应该赔,鼎渡宝清盘", ["嘉银宝", "云桥宝", "鼎渡宝"]),
        ("黑心网贷害死人,取缔网贷,新手专享理财,#网贷#", []),
        ("黑心云桥金融", ["云桥金融"]),
        ("微信支付宝都不能用,一次性支付,按当时股价支付", ["支付宝"]),
        ("多名兰州银行员工;何偏偏兰州银行", ["兰州银行"]),
        ("因未登记而冒用有限责任公司的名义", []),
        ("这些问题只要上海迅恒投资咨询有限公司解决", ["上海迅恒投资咨询有限公司"]),
        ("中晋投资人和红岭创投投资者", ["中晋", "红岭创投"]),
        ("青屿银行系统升级;青屿银行账户被冻结;青屿银行系高管", ["青屿银行"]),
        ("我在安穗理财投了20万,安穗理财骗子公司,安穗理财能提现吗", ["安穗理财"]),
        ("在青禾贷借了5000,青禾宝支付失败", ["青禾贷", "青禾宝"]),
        ("化工行业裁员,施工行业拖欠,员工行为不端,工行卡", ["工行"]),
        ("招行为什么扣我年费,工行业务员,农行业绩下滑,宜信用户", ["招行", "工行", "农行", "宜信"]),
        ("传奇贷暴雷,云桥支付失信被执行", ["传奇贷", "云桥支付"]),
        ("娱乐视频扣费,便宜信用卡代办,以及贷款合同,维权健康险,集团贷款", []),
        ("网传青禾贷爆雷,有人冒充青禾贷,恭喜安穗理财", ["青禾贷", "安穗理财"]),
        ("中国银行保险监督管理委员会处罚某某信托,中国银行业协会,中国银行间市场交易商协会", []),
        ("北京银行业协会,宁波银行同业公会,上海银行监管局,中国保险行业协会,江苏银行业保险业", []),
        ("中国银行业绩下滑,招商银行业务员,宁波银行同业存单", ["中国银行", "招商银行", "宁波银行"]),
        ("近期青禾贷跑路,青禾贷官方否认;上海云桥银行", ["青禾贷", "上海云桥银行"]),
    ],
)
def test_names_are_found_and_phrases_are_not(text: str, names: list[str]) -> None:
    assert FIND(text) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("人人貸爆雷,拍拍貸呢,陸金所也是", ["人人貸", "拍拍貸", "陸金所"]),
        ("宜\u200b人\u200b贷跑路了", ["宜\u200b人\u200b贷"]),
        ("\u200b雲橋金融跑路", ["雲橋金融"]),
        ("E租宝跑路,e租宝", ["E租宝"]),
    ],
)
def test_names_in_another_script_are_given_as_written(text: str, names: list[str]) -> None:
    assert FIND(text) == names


def test_names_are_looked_for_wherever_the_model_reads() -> None:
    filler = "今天天气不错,我们去公园走走。"
    assert FIND(filler * 700 + "云桥金融跑路") == ["云桥金融"]
    assert FIND("云桥金融跑路" + filler * 5_000 + "河口贷也跑路") == ["云桥金融", "河口贷"]


def test_given_names_are_known() -> None:
    assert EntityFinder(["易满仓"]).find("易满仓出金三天没到") == ["易满仓"]


@pytest.mark.parametrize(
    "text",
    [
        "支付宝贷" * 250_000,
        "有限公司" * 250_000,
        "金融" * 500_000,
        "云桥金融、" * 200_000,
        "云\u200b桥金融" * 200_000,
        "上千名投资人" * 150_000,
        "百" * 1_000_000,
        "借" * 1_000_000,
        "(" * 500_000 + "有限公司",
        "#金融" * 300_000,
    ],
)
def test_any_text_takes_time_by_its_length_and_gives_few_names(text: str) -> None:
    def spent(part: str) -> float:
        began = time.process_time()
        assert len(FIND(part)) <= MOST
        return time.process_time() - began

    # Eight times the text: what grows with the square would take 64 times as long.
    small = min(spent(text[: len(text) // 8]) for _ in range(3))
    assert min(spent(text) for _ in range(2)) < 24 * small + 0.1


def test_found_names_stand_in_the_text_once_each() -> None:
    text = "云桥金融、河口贷;云桥金融、鼎渡财富\n" * 30
    assert FIND(text) == ["云桥金融", "河口贷", "鼎渡财富"]
