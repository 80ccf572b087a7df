"""The wheel holds what the service needs, and works where the repository is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("alerts", "app", "config", "crawlers", "deploy", "domain", "monitor", "nlp", "response", "store")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=240)
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.parametrize("package", PACKAGES)
def test_root_package_is_ours_and_nobody_elses(package: str) -> None:
    spec = find_spec(package)
    assert spec and spec.origin
    assert Path(spec.origin).is_relative_to(ROOT)
    assert set(packages_distributions().get(package, ["yujing"])) == {"yujing"}


def test_wheel_holds_packages_and_their_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == set(PACKAGES)
    for wanted in (
        "config/brands.yaml",
        "config/plans/withdrawal_difficulty.yaml",
        "nlp/weights/card.json",
        "nlp/corpora/authored_posts.jsonl.gz",
        "nlp/train.yaml",
        "nlp/adapt.yaml",
        "alerts/templates/",
        "alerts/fonts/",
        "store/ledger/migrations/versions/",
        "deploy/elasticsearch/posts-mappings.json",
        "app/sandbox/posts/",
        "deploy/engines/install.sh",
    ):
        assert any(name.startswith(wanted) for name in names), wanted


@pytest.mark.slow
def test_wheel_analyzes_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    venv, lock = tmp_path / "venv", ROOT / "requirements.lock"
    python = venv / "bin" / "python"

    def run(*command: str | Path) -> None:
        subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=280)

    run(uv, "venv", "--quiet", "--python", sys.executable, venv)
    run(uv, "pip", "install", "--quiet", "--python", python, "--requirement", lock)
    run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel)
    row = {"id": 7, "text": "云桥金融提现三天不到账，客服一直让等", "entities": ["云桥金融"]}
    answer = subprocess.run(
        [str(venv / "bin" / "yujing"), "analyze"],
        input=json.dumps(row, ensure_ascii=False),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"},
    )
    judged = json.loads(answer.stdout)
    assert judged["id"] == 7
    assert judged["sentiment"] == "negative"
    assert judged["entities"][0]["name"] == "云桥金融"
