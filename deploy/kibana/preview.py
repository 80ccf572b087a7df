"""What people will get, without a Kibana: a page a dashboard, drawn by ECharts from the replayed answers.

Each page is one file that loads nothing: it can be mailed. Its policy lets only our two scripts run, by digest;
the posts in it are data, put on the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime, timedelta
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from deploy.kibana.dashboards import dashboards
from deploy.kibana.drawing import draw, draw_posts
from deploy.kibana.objects import HEAD_HEIGHT, placed
from deploy.kibana.panels import Dashboard, Names, Posts
from deploy.kibana.replay import Ask, found, replay
from deploy.kibana.searches import SEARCHES
from deploy.kibana.words import label
from domain.local_time import SHANGHAI

ROW_PX = 22
ROWS_SHOWN = 40
"""Documents of a saved search that are fetched; the page shows as many as fit."""


def preview(folder: Path, names: Names, ask: Ask, *, until: datetime, prefix: str) -> list[Path]:
    """Write the pages; returns their paths, in the order of the navigation line."""
    everything = dashboards(names)
    written = []
    for dashboard in everything:
        path = folder / f"{dashboard.id}.html"
        content = _content(dashboard, everything, names, ask, until=until, prefix=prefix)
        path.write_text(page(dashboard.title, content), encoding="utf-8")
        written.append(path)
    return written


def _content(
    dashboard: Dashboard,
    everything: tuple[Dashboard, ...],
    names: Names,
    ask: Ask,
    *,
    until: datetime,
    prefix: str,
) -> dict[str, Any]:
    local = until.astimezone(SHANGHAI)
    first = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=dashboard.days - 1)
    searches = {search.id: search for search in SEARCHES}
    panels = []
    for panel, place in placed(dashboard):
        if isinstance(panel, Posts):
            search = searches[panel.search]
            documents = found(search, ask, since=first, until=until, prefix=prefix, limit=ROWS_SHOWN)
            title, note, drawn = search.title, search.purpose, draw_posts(search, documents, names)
        else:
            tables = replay(panel, ask, since=first, until=until, prefix=prefix)
            title, note, drawn = panel.title, panel.note, draw(panel, tables, names)
        panels.append({"title": title, "note": note, **drawn, "place": place})
    return {
        "title": dashboard.title,
        "question": dashboard.question,
        "range": f"{first:%Y-%m-%d} 00:00 至 {local:%Y-%m-%d %H:%M}（北京时间）",
        "controls": [label(name, events=dashboard.events) for name in dashboard.controls],
        "links": [
            {"title": other.title, "file": f"{other.id}.html", "here": other is dashboard}
            for other in everything
        ],
        "head": HEAD_HEIGHT,
        "row": ROW_PX,
        "panels": panels,
    }


def page(title: str, content: dict[str, Any]) -> str:
    """The page as one file."""
    parts = files("deploy.kibana").joinpath("preview")
    scripts = [parts.joinpath(name).read_text("utf-8") for name in ("echarts.min.js", "page.js")]
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    style = parts.joinpath("page.css").read_text("utf-8")
    policy = f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    # "<" is written as an escape, so that no text in the data can end the element that holds it.
    data = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")
    return (
        '<!doctype html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}（预览）</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body>\n<main id="page"></main>\n<script type="application/json" id="content">{data}</script>\n'
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body>\n</html>\n"
    )
