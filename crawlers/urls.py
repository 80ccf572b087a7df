"""Addresses: one spelling for one page, and which of them may be fetched."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from w3lib.url import canonicalize_url

MAX_URL = 2000

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ud800-\udfff]")

_DROP = re.compile(
    r"^(utm_\w+|spm|scm|gclid|fbclid|yclid|msclkid|mc_[ce]id|_hs(enc|mi)|ref_src|ref_url|share_\w+|"
    r"sharefrom|share|vd_source|bd_vid|hmsr|hmpl|hmcu|hmkw|hmci|wm|isappinstalled|nsukey|timestamp_share)$",
    re.IGNORECASE,
)

_SITE_DROP: dict[str, frozenset[str]] = {
    "weibo.com": frozenset({"from", "wvr", "mod", "refer_flag", "loc", "type", "sudaref", "display", "retcode"}),
    "weibo.cn": frozenset({"from", "wvr", "lfid", "luicode", "featurecode", "oid", "sourcetype", "jumpfrom"}),
    "toutiao.com": frozenset({"log_from", "app", "tt_from", "iid", "device_id", "req_id", "group_id", "wid"}),
    "weixin.qq.com": frozenset(
        {"chksm", "scene", "srcid", "sharer_sharetime", "sharer_shareid", "key", "ascene", "devicetype", "version",
         "pass_ticket", "subscene", "exportkey", "clicktime", "enterid", "sessionid", "mpshare", "uin", "lang"}
    ),
    "bilibili.com": frozenset({"from", "seid", "spm_id_from", "unique_k", "from_source", "p_source"}),
    "zhihu.com": frozenset({"from", "source", "hybrid_search_source", "search_source", "s_r"}),
    "xiaohongshu.com": frozenset({"xsec_source", "xhsshare", "appuid", "apptime", "author_share", "type"}),
    "douyin.com": frozenset({"from", "previous_page", "enter_from", "source", "region", "mid"}),
    "baidu.com": frozenset({"fr", "lfr", "wfr", "for", "frwh"}),
    "163.com": frozenset({"from", "f", "spss", "spssid", "spsnuid"}),
    "qq.com": frozenset({"from", "uid", "shareto", "devid", "qimei"}),
    "sina.com.cn": frozenset({"from", "vt", "cid", "node_id", "wm", "sudaref", "finpagefr", "cre", "mod", "loc", "r"}),
    "sina.cn": frozenset({"from", "vt", "cid", "node_id", "wm", "sudaref", "finpagefr", "cre", "mod", "loc", "r"}),
    "eastmoney.com": frozenset({"from", "guba", "name", "gubaurl", "jumph5"}),
    "xueqiu.com": frozenset({"from", "source"}),
    "36kr.com": frozenset({"f", "from", "channel"}),
}  # fmt: skip
"""Parameters that never change what a page shows, by site; w3lib keeps all of them."""


@lru_cache(maxsize=4096)
def canonical(url: str, base: str = "") -> str:
    """One spelling of an http(s) address: sorted parameters, no trackers, no user info; else empty.

    Fragments go, but for those of single-page sites (``#/…``, ``#!…``), where they name the page.
    """
    url = _UNPRINTABLE.sub("", url).strip().replace("\\", "/")
    try:
        parts = urlsplit(urljoin(base, url) if base else ("https:" + url if url.startswith("//") else url))
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host or len(url) > MAX_URL or " " in host:
        return ""
    netloc = f"[{host}]" if ":" in host else host
    if port and port != {"http": 80, "https": 443}[parts.scheme]:
        netloc += f":{port}"
    keep = parts.fragment if parts.fragment.startswith(("/", "!")) else ""
    query = _without_trackers(parts.query, host) if parts.query else ""
    try:
        return canonicalize_url(
            urlunsplit((parts.scheme, netloc, parts.path or "/", query, keep)), keep_fragments=bool(keep)
        )
    except (ValueError, UnicodeError):
        return ""


def _without_trackers(query: str, host: str) -> str:
    drop = next(
        (names for site, names in _SITE_DROP.items() if host == site or host.endswith("." + site)), ()
    )
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [(k, v) for k, v in pairs if not _DROP.match(k) and k.lower() not in drop]
    return query if len(kept) == len(pairs) else urlencode(kept)


def same_site(url: str, base: str) -> bool:
    """Whether ``url`` belongs to the site of ``base``, so that a crawl of ``base`` may fetch it.

    Same host and port; or the same registrable domain on the default ports, which never holds for IP
    addresses and bare names (``localhost``): what stands on another port there is another service.
    """
    try:
        one, two = urlsplit(url), urlsplit(base)
        if one.scheme not in ("http", "https"):
            return False
        if (one.hostname, _port(one.scheme, one.port)) == (two.hostname, _port(two.scheme, two.port)):
            return True
        if one.port not in (None, 80, 443):
            return False
    except ValueError:
        return False
    domain = registrable(two.hostname or "")
    return bool(domain) and registrable(one.hostname or "") == domain


def same_origin(url: str, base: str) -> bool:
    """Whether two addresses have the same scheme, host and port: what is said to one may be said to the other."""
    try:
        one, two = (
            (part.scheme, part.hostname, _port(part.scheme, part.port)) for part in map(urlsplit, (url, base))
        )
    except ValueError:
        return False
    return one == two


def _port(scheme: str, port: int | None) -> int:
    return port or (443 if scheme == "https" else 80)


@lru_cache(maxsize=1024)
def registrable(host: str) -> str:
    """Registrable domain of a host (``finance.sina.com.cn`` → ``sina.com.cn``); empty when there is none."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        from tldextract import TLDExtract

        # No suffix_list_urls: the bundled list, never the network. Its private part: a.github.io is not b.github.io.
        extract = TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)
        found = extract(host)
        return f"{found.domain}.{found.suffix}" if found.domain and found.suffix else ""
    return ""


def public_address(address: str) -> bool:
    """Whether an IP address is out in the Internet (not private, loopback, link-local, reserved)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_global and not (mapped or ip).is_multicast
