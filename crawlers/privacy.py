"""Personal data, masked before anything is written: ID numbers, mobile phones, bank cards, e-mail, handles.

China's PIPL asks that what is not needed is not kept (art. 6) and that data be de-identified (art. 51). A mask
keeps enough to recognise one's own number (``138****1234``) and is stable: masking twice changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

# Full-width forms are one character each, so offsets in the translated text fit the original.
_NARROW = {0xFF01 + i: 0x21 + i for i in range(94)} | {0x3000: 0x20, 0xA0: 0x20, 0x2007: 0x20, 0x202F: 0x20}
_NARROW |= dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212), 0x2D)
_NARROW |= dict.fromkeys((0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xAD), 0x20)
_NARROW |= {0xFFE5: 0xA5}  # the yuan sign of Chinese keyboards

# Cheap and wide: most posts hold neither eleven digits in a row (of any script) nor an @.
_MAYBE = re.compile(r"[@＠]|\d(?:\D{0,2}\d){10}")
_ADDRESS = r"(?P<url>https?://(?:&amp;|[^\s<>\"',;|\x80-\U0010ffff])+)"
_NUMBERS = (
    r"(?P<mail>[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24})"
    r"|(?<!\d)(?P<id>[1-9]\d{5}[ \-]?(?:18|19|20)\d\d[ \-]?(?:0[1-9]|1[0-2])[ \-]?(?:0[1-9]|[12]\d|3[01])"
    r"[ \-]?\d{3}[ \-]?[\dXx])(?!\d)"
    r"|(?<!\d)(?P<old>[1-9]\d{7}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3})(?!\d)"
    r"|(?<!\d)(?:(?:\+|00)?86[ \-]{0,2})?(?P<phone>1[ \-.·_]{0,2}[3-9](?:[ \-.·_]{0,2}\d){9})(?!\d)"
    r"|(?<!\d)(?P<card>[2-9](?:[ \-]?\d){14,18})(?!\d)"
)
_PERSONAL = re.compile(rf"{_ADDRESS}|{_NUMBERS}", re.ASCII)
_PLAIN = re.compile(_NUMBERS, re.ASCII)
_NESTED = 2
"""Addresses within the parameters of addresses that are read as such; what is deeper is text."""
# A phone that is taken for an amount is kept for all to read; an amount that is masked loses little.
_MONEY_AFTER = re.compile(
    r"元(?!旦|宝|宵|月|老|总|女士|先生|小姐|经理)|圆(?![\u4e00-\u9fff])"
    r"|\s?(?:美[元金]|港[元币]|人民币)(?!\s?[\d一二两三四五六七八九十]|账|帐)"
    r"|\.\d{1,2}(?![\d月日号点时分天个年:]|\.\d)"
)
_MONEY_BEFORE = re.compile(
    r"(?:^|[^\s\d一二两三四五六七八九十百千万亿元圆块多余])\s*(?:[¥$€]|RMB|CNY|USD|人民币)\s?$", re.IGNORECASE
)
"""A currency that does not belong to an amount before it, as in 退还3000人民币."""
_CARD_BEFORE = re.compile(r"(?:卡号|账号|帐号|银行卡|储蓄卡|信用卡|账户|帐户)\D{0,6}$")
_DIGITS = re.compile(r"[^0-9Xx]")
_GAPS = re.compile(r"[^0-9]+")
_LOCATORS = re.compile(
    r"(?!.*(?:phone|mobile|(?<!ho)tel|cert|card|^id_?no|account|mail|contact))"
    r"(?:.*(?:^|_|[a-z])(?:id|sn|no|code)$|(?:t|ts|time|timestamp|v|p|page|offset|cursor|r|_)$)",
    re.IGNORECASE,
)
"""Names of parameters that say where a page is, and nothing of a person."""
_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Twice a digit, with the digits of that added."""
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def mask(text: str) -> str:
    """The text with personal data masked; amounts, dates and the paths of addresses stay as they are."""
    return _mask(text, _NESTED)


def mask_url(url: str) -> str:
    """An address whose query parameters hold no phone, ID, card or e-mail; its path stays, or it would lead nowhere.

    Parameters behind ``#`` count too (``#/apply?phone=…``). What is no address is masked like any text.
    """
    return _mask_url(url, _NESTED)


def _mask(text: str, nested: int) -> str:
    if not _MAYBE.search(text):
        return text
    narrow = text.translate(_NARROW)
    pattern = _PERSONAL if nested else _PLAIN
    parts: list[str] = []
    end = at = 0
    while match := pattern.search(narrow, at):
        kind = match.lastgroup or ""
        masked = _mask_url(match[kind], nested) if kind == "url" else _masked(match, narrow)
        start, stop = match.span(kind)
        if masked is None:  # what only looked like a card may end with a phone: 2026-03-09 13812345678
            at = start + 1
            continue
        if masked != match[kind]:
            parts += (text[end:start], masked)
            end = stop
        at = stop
    return "".join(parts) + text[end:] if parts else text


def _mask_url(url: str, nested: int) -> str:
    """``nested``: so many levels of addresses within its parameters are read as addresses; 1 is the last."""
    if "?" not in url and "#" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:  # http://[
        return _mask(url, 0)
    path, mark, query = parts.fragment.rpartition("?")
    cleaned = parts._replace(
        query=_mask_query(parts.query, nested), fragment=path + mark + _mask_query(query, nested)
    )
    return url if cleaned == parts else urlunsplit(cleaned)


def _mask_query(query: str, nested: int) -> str:
    """A query as it was, or written anew where a value was masked."""
    pairs = parse_qsl(query, keep_blank_values=True)
    masked = [(name, value if _LOCATORS.match(name) else _mask(value, nested - 1)) for name, value in pairs]
    return query if masked == pairs else urlencode(masked, safe="*@")


def author_key(secret: bytes, platform: str, handle: str) -> str:
    """Keyed hash of an account: the same account is the same key, and nobody without the secret can try names."""
    message = f"{platform}\0{handle}".encode("utf-8", "replace")
    return hmac.new(secret, message, hashlib.sha256).hexdigest()[:32]


def mask_name(name: str) -> str:
    """First character and ``***``: a person may recognise herself, others do not."""
    name = name.strip()
    return f"{name[0]}***" if name else ""


def valid_id(number: str) -> bool:
    """Whether 18 characters carry the check digit of GB 11643-1999 (ISO 7064 MOD 11-2)."""
    if len(number) != 18 or not number[:17].isdigit():
        return False
    total = sum(int(d) * w for d, w in zip(number[:17], _ID_WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == number[17].upper()


def luhn(number: str) -> bool:
    """Whether a run of digits passes the check of ISO/IEC 7812-1."""
    return (sum(map(int, number[::-2])) + sum(map(int, number[-2::-2].translate(_DOUBLED)))) % 10 == 0


def _masked(match: re.Match[str], text: str) -> str | None:
    """What stands for a number or an address of mail; None when it is not personal."""
    kind = match.lastgroup or ""
    found = match[kind]
    if kind == "mail":
        name, _, host = found.partition("@")
        return f"{name[0]}***@{host}"
    digits = _DIGITS.sub("", found)
    if kind in ("id", "old"):
        return f"{digits[:3]}{'*' * (len(digits) - 7)}{digits[-4:]}"
    if kind == "phone":
        return f"{digits[:3]}****{digits[-4:]}" if _is_phone(match, text, found) else None
    before = text[max(0, match.start() - 12) : match.start()]
    if luhn(digits) or _CARD_BEFORE.search(before):
        return f"{digits[:4]}{'*' * (len(digits) - 8)}{digits[-4:]}"
    return None


def _is_phone(match: re.Match[str], text: str, found: str) -> bool:
    """Eleven digits that are neither an amount of money nor a row of small numbers."""
    before = text[max(0, match.start() - 12) : match.start()]
    if _MONEY_AFTER.match(text, match.end()) or _MONEY_BEFORE.search(before):
        return False
    gaps = _GAPS.findall(found)
    if "." in "".join(gaps) and len(gaps) < 2:
        return False
    return len(gaps) <= 4 or (len(gaps) == 10 and len(set(gaps)) == 1)
