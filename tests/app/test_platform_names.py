"""People read names of platforms, not ids."""

from __future__ import annotations

import re

import pytest

from app.sandbox.rows import built_in
from app.sandbox.scenario import SITES
from app.wire import PLATFORMS
from config.environment import shipped
from config.load import load

FORMS = ("app_review", "comment", "complaint", "guba", "news", "notice", "tieba", "weibo", "zhihu")
"""Forms of the authored corpora, which come back as platforms of imports."""


def used() -> set[str]:
    rows = (*built_in("calm").rows, *built_in("crisis").rows)
    configured = {source.platform for source in load(shipped()).sources}
    return configured | {row.platform for row in rows if row.platform} | set(SITES) | {*FORMS, "import"}


@pytest.mark.parametrize("platform", sorted(used()))
def test_every_platform_of_ours_has_a_chinese_name(platform: str) -> None:
    assert re.search(r"[\u4e00-\u9fff]", PLATFORMS[platform])
