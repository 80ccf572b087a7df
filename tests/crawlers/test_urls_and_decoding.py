# ruff: noqa: E501
"""One spelling for one page; what may be fetched; bytes to text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.decode import decode
from crawlers.urls import canonical, public_address, same_origin, same_site


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://User:pw@Example.COM:80/a?b=2&a=1#frag", "http://example.com/a?a=1&b=2"),
        ("https://a.example/x?utm_source=rss&utm_medium=y&id=3&spm=1.2", "https://a.example/x?id=3"),
        ("https://weibo.com/1/N2?from=page_100&wvr=6&mod=weibotime", "https://weibo.com/1/N2"),
        ("https://m.weibo.cn/detail/5?jumpfrom=x", "https://m.weibo.cn/detail/5"),
        ("https://mp.weixin.qq.com/s?__biz=B&mid=2&idx=1&sn=s&chksm=c&scene=27", "https://mp.weixin.qq.com/s?__biz=B&idx=1&mid=2&sn=s"),
        ("https://www.toutiao.com/article/7/?log_from=abc_1", "https://www.toutiao.com/article/7/"),
        ("https://other.example/?from=2020", "https://other.example/?from=2020"),
        ("//a.example/p", "https://a.example/p"),
        ("https://a.example/#/post/1", "https://a.example/#/post/1"),
        ("https://a.example", "https://a.example/"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("javascript:alert(1)", ""), ("data:text/html,x", ""), ("ftp://a.example/", ""), ("file:///etc/passwd", ""),
        ("", ""), ("  ", ""), ("http://", ""), ("http://[bad", ""), ("http://a:99999/", ""), ("java\nscript:alert(1)", ""),
        ("http://a.example/" + "x" * 3000, ""), ("not a url", ""), ("mailto:a@b.example", ""),
    ],
)  # fmt: skip
def test_canonical(url: str, expected: str) -> None:
    assert canonical(url) == expected


def test_relative_addresses_need_a_base() -> None:
    assert canonical("/a/1.html", "https://n.example/rss.xml") == "https://n.example/a/1.html"
    assert canonical("2.html", "https://n.example/b/rss.xml") == "https://n.example/b/2.html"


@given(st.one_of(st.text(max_size=80), st.text(max_size=60).map("https://a.example/".__add__)))
@settings(max_examples=500, deadline=None)
def test_canonical_is_stable_and_only_ever_http(url: str) -> None:
    once = canonical(url)
    assert once == "" or once.startswith(("http://", "https://"))
    assert canonical(once) == once
    once.encode("ascii")


@pytest.mark.parametrize(
    ("url", "base", "same"),
    [
        ("http://127.0.0.1:8001/x", "http://127.0.0.1:8001", True),
        ("http://127.0.0.1:8002/x", "http://127.0.0.1:8001", False),
        ("http://localhost:8001/x", "http://127.0.0.1:8001", False),
        ("https://finance.sina.com.cn/a", "https://feed.mix.sina.com.cn", True),
        ("http://news.example.com/a", "https://www.example.com", True),
        ("http://news.example.com:6379/a", "https://www.example.com", False),
        ("http://169.254.169.254/latest", "https://www.example.com", False),
        ("http://10.0.0.1/", "https://www.example.com", False),
        ("https://example.com.evil.example/", "https://www.example.com", False),
        ("https://other.com.cn/", "https://sina.com.cn", False),
        ("file:///etc/passwd", "https://www.example.com", False),
        ("http://[bad", "https://www.example.com", False),
        ("http://intranet/x", "http://intranet:8080", False),
        ("https://evil.github.io/", "https://mine.github.io", False),
        ("https://www.github.io/", "https://github.io", False),
    ],
)
def test_same_site(url: str, base: str, same: bool) -> None:
    assert same_site(url, base) is same


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://www.x.example/1", True),
        ("https://WWW.x.example:443/1", True),
        ("http://www.x.example/1", False),
        ("https://www.x.example:8443/1", False),
        ("https://ugc.x.example/1", False),
        ("https://[bad", False),
    ],
)
def test_same_origin(url: str, same: bool) -> None:
    assert same_origin(url, "https://www.x.example") is same


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "::1",
        "fd00::1",
        "0.0.0.0",
        "::ffff:10.0.0.1",
        "x",
    ],
)
def test_private_addresses(address: str) -> None:
    assert not public_address(address)


def test_public_addresses() -> None:
    assert public_address("1.1.1.1")
    assert public_address("2606:4700::1111")


META = '<meta charset="{}"><p>提现还没到账</p>'


@pytest.mark.parametrize(
    ("body", "declared"),
    [
        (META.format("gb2312").encode(), ""),  # UTF-8 that says gb2312
        (META.format("gb2312").encode(), "gb2312"),
        (META.format("gb2312").encode("gb18030"), ""),
        (META.format("utf-8").encode("gb18030"), "utf-8"),
        (META.format("gbk").encode("gb18030"), "iso-8859-1"),
        (b"\xef\xbb\xbf" + META.format("x").encode(), ""),
        (META.format("x").encode("utf-16"), ""),
        (
            META.format("big5").encode("big5", "ignore") if False else META.format("gbk").encode("gb18030"),
            "no-such",
        ),
    ],
)
def test_decoding(body: bytes, declared: str) -> None:
    assert "提现还没到账" in decode(body, declared=declared)


def test_characters_outside_gb2312_are_read() -> None:
    assert "喆𠮷" in decode('<meta charset="gb2312">喆𠮷云桥金融提现'.encode("gb18030"))


def test_a_page_cut_in_a_character_is_still_utf8() -> None:
    assert decode("提现到账".encode()[:-1]) == "提现到"


def test_traditional_chinese_is_read_as_declared() -> None:
    assert "提領" in decode('<meta charset="big5">提領尚未到帳，客服電話無人接聽'.encode("big5"))


@given(
    body=st.binary(max_size=300),
    declared=st.sampled_from(["", "gb2312", "hex", "rot13", "idna", "utf-7", "zip", "\x00"]),
)
@settings(max_examples=400, deadline=None)
def test_decoding_never_raises(body: bytes, declared: str) -> None:
    assert isinstance(decode(body, declared=declared), str)
