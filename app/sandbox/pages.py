"""Markup of the invented sites; every text is escaped, for some of it comes from a user's file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape

from app.sandbox.scenario import SandboxPost
from domain.local_time import SHANGHAI

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ARTICLE = """<!DOCTYPE html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>{title} - {site}</title>
<meta property="og:title" content="{title}"><meta property="og:type" content="article">
<meta property="article:published_time" content="{iso}"><meta name="author" content="{author}">
<style>body{{font:16px/1.8 sans-serif;max-width:46em;margin:0 auto;padding:0 1em}}nav a{{margin-right:1em}}
aside{{color:#666;font-size:14px}}</style></head>
<body>
<header><a class="logo" href="/">{site}</a>
<nav><a href="/">首页</a><a href="/rss.xml">快讯</a><a href="/markets">市场</a><a href="/life">生活</a></nav></header>
<main><article class="article">
<h1>{title}</h1>
<p class="meta"><span class="author">{author}</span> <time datetime="{iso}">{shown}</time></p>
<div class="article-content">{paragraphs}</div>
<p class="copyright">本站为本机演练用的虚构站点，内容均为虚构。</p>
</article>
<section class="comments"><h2>评论</h2><ul><li>已阅</li><li>路过，坐等后续</li></ul></section></main>
<aside class="sidebar"><h3>最新文章</h3><ul>{latest}</ul><h3>天气</h3><p>江城 多云 12～18℃</p></aside>
<footer>{site} · 关于我们 · 联系我们 · 广告合作</footer>
</body></html>
"""

_BOARD = """<!DOCTYPE html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>{brand}吧 - 股言堂</title></head>
<body><h1>{brand}吧</h1><ul>{items}</ul>
<script>var article_list={data};</script>
</body></html>
"""


def article_page(post: SandboxPost, site: str, latest: Sequence[tuple[str, str]]) -> str:
    """A page with navigation, the text, comments and a sidebar. ``latest``: (title, path)."""
    local = post.at.astimezone(SHANGHAI)
    paragraphs = "".join(f"<p>{escape(part)}</p>" for part in post.text.splitlines() if part.strip())
    return _ARTICLE.format(
        title=escape(post.title or post.text[:30]),
        site=site,
        author=escape(post.writer.name),
        iso=local.isoformat(timespec="seconds"),
        shown=f"{local:%Y-%m-%d %H:%M}",
        paragraphs=paragraphs,
        latest="".join(f'<li><a href="{escape(path)}">{escape(title)}</a></li>' for title, path in latest),
    )


def board_page(brand: str, rows: Sequence[Mapping[str, object]], total: int) -> str:
    """A board with its posts as links and, as the real one, inline as data."""
    data = json.dumps({"re": list(rows), "count": total, "rc": 1}, ensure_ascii=False)
    items = "".join(
        f'<li><a href="/news,{row["stockbar_code"]},{row["post_id"]}.html">{row["post_title"]}</a></li>'
        for row in rows
    )
    # A text must not end the script element that it stands in.
    return _BOARD.format(brand=escape(brand), items=items, data=data.replace("<", "\\u003c"))


def rss(title: str, base: str, entries: Sequence[Mapping[str, str]], built: str) -> str:
    """An RSS 2.0 feed; entries have title, link, date and summary."""
    items = "".join(
        f"<item><title>{_html(entry['title'])}</title><link>{_xml(entry['link'])}</link>"
        f'<guid isPermaLink="true">{_xml(entry["link"])}</guid><pubDate>{_xml(entry["date"])}</pubDate>'
        f"<description>{_html(entry['summary'])}</description></item>"
        for entry in entries
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel>'
        f"<title>{_xml(title)}</title><link>{_xml(base)}</link><description>{_xml(title)}</description>"
        f"<language>zh-CN</language><lastBuildDate>{_xml(built)}</lastBuildDate>{items}</channel></rss>"
    )


def _html(text: str) -> str:
    """Readers of feeds take titles and summaries for HTML."""
    return _xml(escape(text, quote=False))


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("", text), quote=False)
