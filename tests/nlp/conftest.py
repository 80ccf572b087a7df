from __future__ import annotations

from pathlib import Path

import pytest

from nlp.bundle import shipped
from nlp.corpus import Example, read
from nlp.runtime import Runtime
from nlp.segment import Segmenter

HERE = Path(__file__).parent
EVALUATION = HERE / "authored_eval.jsonl"


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return Runtime.load(shipped())


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return Segmenter(["云桥金融"], cache=tmp_path_factory.mktemp("jieba"))


@pytest.fixture(scope="session")
def authored(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "authored_posts.jsonl").write_bytes(EVALUATION.read_bytes())
    return read(folder, "authored_posts")
