"""Personal data is masked, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.dates import Stamp
from crawlers.draft import Draft, Unusable, to_post
from crawlers.privacy import author_key, luhn, mask, mask_name, mask_url, valid_id
from domain.post import Tier

NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("电话13812345678，速回", "电话138****5678，速回"),
        ("138 1234 5678", "138****5678"),
        ("138-1234-5678", "138****5678"),
        ("138.1234.5678", "138****5678"),
        ("１３８１２３４５６７８", "138****5678"),
        ("１３８－１２３４－５６７８", "138****5678"),
        ("+86 138 1234 5678", "+86 138****5678"),
        ("8613812345678", "86138****5678"),
        ("138\u200b1234\u200b5678", "138****5678"),
        ("1 3 8 1 2 3 4 5 6 7 8", "138****5678"),
        ("13812345678,13900001111", "138****5678,139****1111"),
        ("13812345678万一不通就发微信", "138****5678万一不通就发微信"),
        ("13812345678万能的网友", "138****5678万能的网友"),
        ("13812345678亿万富翁", "138****5678亿万富翁"),
        ("身份证110105194912310021", "身份证110***********0021"),
        ("身份证11010519491231002X。", "身份证110***********002X。"),
        ("110105 19491231 002x", "110***********002x"),
        ("旧身份证110105491231002", "旧身份证110********1002"),
        ("ID110105194912310021手机13812345678", "ID110***********0021手机138****5678"),
        ("卡6222 0212 3456 7890 128", "卡6222***********0128"),
        ("4111-1111-1111-1111", "4111********1111"),
        ("银行卡号：6217001234567890000", "银行卡号：6217***********0000"),
        ("邮箱 zhang.san+1@mail.example.com.cn", "邮箱 z***@mail.example.com.cn"),
        ("ｚｓ＠ｅｘａｍｐｌｅ．ｃｏｍ", "z***@example.com"),
        ("见 https://a.example/u?phone=13812345678&p=2", "见 https://a.example/u?phone=138****5678&p=2"),
        ("看https://t.example/A6联系我13812345678", "看https://t.example/A6联系我138****5678"),
        ("http://a.example/x,13812345678", "http://a.example/x,138****5678"),
        ("http://[a?b=13812345678 打不开", "http://[a?b=138****5678 打不开"),
        ("2026-03-09 13812345678 打不通", "2026-03-09 138****5678 打不通"),
        ("座机010-88886666 13812345678", "座机010-88886666 138****5678"),
        ("尾号6688 13812345678", "尾号6688 138****5678"),
        ("请退还3000人民币 13812345678 张先生", "请退还3000人民币 138****5678 张先生"),
        ("被扣了2000RMB 13812345678", "被扣了2000RMB 138****5678"),
        ("被骗3000多 人民币13812345678", "被骗3000多 人民币138****5678"),
        ("金额5000¥ 13812345678", "金额5000¥ 138****5678"),
        ("两万人民币13812345678", "两万人民币138****5678"),
        ("我的电话13812345678圆通单号丢了", "我的电话138****5678圆通单号丢了"),
        ("13812345678 元女士", "138****5678 元女士"),
        ("13812345678元先生", "138****5678元先生"),
        ("手机13812345678.5月10号还打过", "手机138****5678.5月10号还打过"),
        ("手机13812345678.10号还打过", "手机138****5678.10号还打过"),
        ("手机13812345678.3.15打过", "手机138****5678.3.15打过"),
        ("手机号13812345678人民币账户", "手机号138****5678人民币账户"),
        ("电话13812345678 人民币3000没退", "电话138****5678 人民币3000没退"),
        ("电话13812345678 人民币三千元", "电话138****5678 人民币三千元"),
        ("损失二十五人民币 13812345678", "损失二十五人民币 138****5678"),
        ("被扣3000圆￥13812345678", "被扣3000圆￥138****5678"),
        ("13812345678%", "138****5678%"),
    ],
)
def test_masked(text: str, expected: str) -> None:
    assert mask(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "云桥金融提现三天不到账",
        "融资13800000000元",
        "规模 15000000000.00",
        "¥13812345678",
        "亏损￥13812345678",
        "人民币13812345678",
        "转账人民币13812345678",
        "共RMB 13812345678",
        "亏损13812345678人民币",
        "亏损13812345678美元",
        "亏损13812345678圆。",
        "规模13812345678.50元",
        "金额5000元，2026-11-22 13:00:00 到 2026-11-23 13:00",
        "客服热线 400-800-1234，12378",
        "0571-88886666",
        "IP 192.168.131.255",
        "时间戳 1700000000000",
        "订单号 20261122130000123",
        "https://tousu.example/complaint/view/17375512345/",
        "https://m.example/detail/5140000000000001?id=13812345678",
        "https://m.example/jump?to=https%3A%2F%2Ftousu.example%2Fview%2F17375512345%2F",
        "@云桥金融 你好",
        "a@b",
        "版本1.2.3.4.5.6.7.8.9.0.1.2",
    ],
)
def test_unharmed(text: str) -> None:
    assert mask(text) == text


clean = st.text(st.characters(blacklist_categories=("Nd", "Nl", "No", "Cs")), max_size=20)
phones = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
separators = st.sampled_from(["", " ", "-", "－", "\u3000", "\u200b", "·"])


@given(before=clean, phone=phones, after=clean, gap=separators, wide=st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_phone_survives(before: str, phone: str, after: str, gap: str, wide: bool) -> None:
    written = gap.join((phone[:3], phone[3:7], phone[7:]))
    if wide:
        written = "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in written)
    if before.rstrip().endswith(("¥", "$", "€", "￥", "＄")) or before.rstrip()[-3:].upper() in (
        "RMB",
        "CNY",
        "USD",
        "人民币",
    ):
        return
    if after.lstrip()[:1] in tuple("元圆美港人.．"):
        return
    if "://" in before:
        return
    found = mask(before + written + after)
    digits = "".join(str(int(c)) if c.isdigit() else c for c in found)
    assert phone not in "".join(c for c in digits if c.isdigit() or c == "*")
    assert f"{phone[:3]}****{phone[-4:]}" in found
    assert found.startswith(before.rstrip()[: len(before) // 2])


@given(before=st.from_regex(r"([0-9]{1,8}[ \-]){1,3}", fullmatch=True), phone=phones)
@settings(max_examples=300, deadline=None)
def test_no_phone_survives_behind_other_numbers(before: str, phone: str) -> None:
    assert phone not in mask(before + phone)


@given(st.text(max_size=200))
@settings(max_examples=250, deadline=None)
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@given(st.text(st.sampled_from("0123456789- X.@a/?=&:htps元卡号６７８"), max_size=120))
@settings(max_examples=500, deadline=None)
def test_masking_digit_soup_is_stable(text: str) -> None:
    once = mask(text)
    assert mask(once) == once


@given(
    day=st.dates(datetime(1930, 1, 1).date(), datetime(2020, 1, 1).date()),
    n=st.integers(0, 999),
    area=st.integers(110000, 659999),
)
@settings(max_examples=200, deadline=None)
def test_no_id_number_survives(day: datetime, n: int, area: int) -> None:
    stem = f"{area}{day:%Y%m%d}{n:03d}"
    whole = next(stem + c for c in "0123456789X" if valid_id(stem + c))
    found = mask(f"身份证{whole}，请核实")
    assert day.strftime("%Y%m%d") not in found
    assert whole not in found


def test_checks() -> None:
    assert valid_id("11010519491231002X")
    assert not valid_id("110105194912310021")
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")


def test_urls_keep_what_leads_somewhere() -> None:
    assert (
        mask_url("https://a.example/13812345678?sn=13812345678")
        == "https://a.example/13812345678?sn=13812345678"
    )
    assert (
        mask_url("https://a.example/?tel=138+1234+5678&q=%E4%BA%91")
        == "https://a.example/?tel=138****5678&q=%E4%BA%91"
    )
    assert "zhang" not in mask_url("https://a.example/?mail=zhang%40b.example")
    assert mask_url("https://a.example/?hotelId=13812345678") == "https://a.example/?hotelId=13812345678"


@pytest.mark.parametrize(
    "name", ["mobileNo", "phone_no", "contactId", "telNo", "idNo", "accountId", "cardNo"]
)
def test_a_number_named_as_a_persons_is_no_locator(name: str) -> None:
    assert mask_url(f"https://a.example/?{name}=13812345678") == f"https://a.example/?{name}=138****5678"


def test_the_route_behind_a_hash_has_parameters_too() -> None:
    assert (
        mask_url("https://a.example/#/apply?tel=13812345678") == "https://a.example/#/apply?tel=138****5678"
    )
    assert mask_url("https://a.example/#tel=13812345678") == "https://a.example/#tel=138****5678"
    assert mask_url("https://a.example/#13812345678") == "https://a.example/#13812345678"


@pytest.mark.parametrize("link", ["http://a?b=", "http://[a?b=", "https://a/#b="])
def test_addresses_within_addresses_end_nothing(link: str) -> None:
    assert mask(link * 20_000 + "13812345678").endswith("138****5678")


def test_handles_are_keyed_hashes() -> None:
    assert author_key(b"k", "weibo", "7") == author_key(b"k", "weibo", "7")
    assert (
        len({author_key(b"k", "weibo", "7"), author_key(b"l", "weibo", "7"), author_key(b"k", "guba", "7")})
        == 3
    )
    assert mask_name("张三丰") == "张***"
    assert mask_name("  ") == ""


def draft(**fields: object) -> Draft:
    base: dict[str, object] = {"native_id": "1", "text": "正文", "stamp": Stamp(at=NOW)}
    return Draft(**{**base, **fields})  # type: ignore[arg-type]


def post(**fields: object):
    return to_post(
        draft(**fields), platform="weibo", source="s", tier=Tier.USER, secret=b"k", now=NOW, first=None
    )  # fmt: skip


def test_nothing_personal_reaches_a_post() -> None:
    made = post(
        title="致电13812345678",
        text="卡4111111111111111，身份证110105194912310021",
        url="https://u:p@a.example/x?mobile=13812345678",
        author_name="王小明13812345678",
        author_id="99887766",
    )
    for secret in ("13812345678", "4111111111111111", "110105194912310021", "99887766", "小明", "u:p@"):
        assert secret not in repr(made)
    assert made.author.name == "王***"


def test_verified_media_keep_their_name() -> None:
    assert post(author_name="证券时报", verified=True).author.name == "证券时报"
    assert post(author_name="证券时报", verified=True).author.key != ""


def test_hostile_text_becomes_plain_text() -> None:
    made = post(text="a\x00b\x1b[31mc\ud800\u202e d\r\n\r\n\n e\u2028f", title="\x00标\n题")
    assert made.text == "a b [31mc\ufffd d\ne\nf"
    assert made.title == "标 题"
    made.text.encode("utf-8")


def test_an_undated_post_has_the_day_alone_and_a_first_date_stays() -> None:
    undated = post(stamp=None)
    assert undated.date_only
    earlier = NOW - timedelta(days=3)
    again = to_post(
        draft(), platform="w", source="s", tier=Tier.USER, secret=b"k", now=NOW, first=Stamp(at=earlier)
    )
    assert again.published_at == earlier


@pytest.mark.parametrize("fields", [{"text": " \n\x00"}, {"native_id": ""}])
def test_no_text_or_id_is_no_post(fields: dict[str, object]) -> None:
    with pytest.raises(Unusable):
        post(**fields)


def test_an_id_with_personal_data_is_hashed_and_a_number_is_not() -> None:
    made = post(native_id="https://a.example/x?phone=13812345678")
    assert "13812345678" not in repr(made)
    assert made.id == post(native_id="https://a.example/x?phone=13812345678").id
    assert made.id != post(native_id="https://a.example/x?phone=13812345679").id
    assert post(native_id="17375512345").native_id == "17375512345"
    for named in ("张三13812345678", "wx13812345678", "11010119900307775X"):
        assert named not in repr(post(native_id=named))
    assert post(native_id="JkL0m2aB9").native_id == "JkL0m2aB9"
