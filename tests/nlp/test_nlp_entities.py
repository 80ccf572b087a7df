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
    ],
)
def test_names_are_found_and_phrases_are_not(text: str, names: list[str]) -> None:
    assert FIND(text) == names


def test_given_names_are_known() -> None:
    assert EntityFinder(["易满仓"]).find("易满仓出金三天没到") == ["易满仓"]


@pytest.mark.parametrize(
    "text", ["支付宝贷" * 250_000, "有限公司" * 250_000, "金融" * 500_000, "云桥金融、" * 200_000]
)
def test_any_text_takes_little_time_and_gives_few_names(text: str) -> None:
    began = time.process_time()
    assert len(FIND(text)) <= MOST
    assert time.process_time() - began < 0.5


def test_found_names_stand_in_the_text_once_each() -> None:
    text = "云桥金融、河口贷;云桥金融、鼎渡财富\n" * 30
    assert FIND(text) == ["云桥金融", "河口贷", "鼎渡财富"]
