"""The whole ingest (page → parsed → masked → inbox → judged → stored) beside plain Scrapy and the model alone.

One run, the same posts on the same local sites: plain Scrapy fetches the same lists and pages and writes what it
finds as JSON lines; the model alone judges the same texts in memory. Each as a process of its own, start-up
included, since that is what a scheduler pays. ``python -m bench.ingest [POSTS]``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from app.clock import wall
from app.demo import configuration
from app.demo.cast import cast
from app.sandbox.rows import Row, Rows, built_in
from app.sandbox.web import Web


def main() -> None:
    """Print the table."""
    wanted = int(sys.argv[1]) if sys.argv[1:] else 1500
    base = [row for row in built_in("calm").rows if row.text]
    # A tail makes every text one of a kind: repeated texts would be judged once, and flatter us.
    rows = [
        Row(
            text=f"{base[n % len(base)].text}（第{n}条）",
            brand="云桥金融",
            platform="news" if n % 5 == 0 else "weibo",
        )
        for n in range(wanted)
    ]
    made = cast(
        known=configuration.shipped().brands,
        crisis=None,
        calm=Rows(rows=tuple(rows)),
        campaign=True,
        ends=wall() - timedelta(hours=1),
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Web(made.scenario, configuration.directory(made.brands), wall) as web:
            configuration.write(folder / "config", made, web.urls, 5)
            _table(folder)


def _table(folder: Path) -> None:
    environment = {**os.environ, "YUJING_HOME": str(folder), "YUJING_CONFIG": str(folder / "config")}
    sources = _sources(folder / "config")
    starts = [(s["kind"], s["url"]) for s in sources]
    plain_out = folder / "plain.jsonl"
    timings = {
        "plain Scrapy, fetch and write": _timed(
            [sys.executable, "-m", "bench._plain_spider", json.dumps(starts), str(plain_out)], environment
        )
    }
    plain = sum(1 for _ in plain_out.open(encoding="utf-8"))
    crawl = _timed([sys.executable, "-m", "app", "crawl", *(s["id"] for s in sources)], environment)
    work = _timed([sys.executable, "-m", "app", "work", "--once"], environment)
    timings["yujing crawl (parse, mask, dedupe, inbox)"] = crawl
    timings["yujing work (judge, stories, store)"] = work
    timings["the whole ingest"] = crawl + work
    timings["the model alone, same texts"] = _timed(
        [sys.executable, "-m", "bench._model_alone", str(plain_out)], environment
    )
    stored = json.loads(_run([sys.executable, "-m", "app", "status", "--json"], environment))["posts"]
    whole = stored / timings["the whole ingest"]
    print(f"{stored} posts stored by yujing, {plain} found by plain Scrapy\n")
    print("| | seconds | posts/s | the whole ingest runs at |\n|---|---|---|---|")
    for name, seconds in timings.items():
        rate = (plain if "Scrapy" in name else stored) / seconds
        print(f"| {name} | {seconds:.1f} | {rate:.0f} | {whole / rate:.2f} of it |")


def _sources(folder: Path) -> list[dict[str, str]]:
    from config.load import load

    chosen = []
    for source in load(folder).sources:
        if source.kind == "weibo" and source.enabled:
            for query in source.queries:
                asked = f"containerid=100103type%3D61&q={query}&page_type=searchall&page=1"
                url = f"{source.base_url}/api/container/getIndex?{asked}"
                chosen.append({"id": source.id, "kind": "weibo", "url": url})
        elif source.kind == "feed" and source.enabled:
            chosen += [
                {"id": source.id, "kind": "news", "url": source.base_url + path} for path in source.paths
            ]
    return chosen


def _timed(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    _run(command, environment)
    return time.perf_counter() - began


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:5])} failed: {done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
