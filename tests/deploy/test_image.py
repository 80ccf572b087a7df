"""The Dockerfile, and the service without the libraries that its image leaves out.

Not here: the build itself, which needs a container engine and, for the target ``training``, PyTorch's own index.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from app.cli import TRAINING

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
LEFT_OUT = {
    line
    for line in (ROOT / "deploy/compose/training-only.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
}


def instructions() -> Iterator[tuple[str, str]]:
    """Each instruction and its words, continued lines joined."""
    lines = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, words = line.partition(" ")
            yield name, words


def sent(path: str) -> bool:
    """Whether ``.dockerignore`` lets a path of the repository into the build."""
    sending = True
    for rule in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!")
        parts = Path(path).parts
        above = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        names = parts if pattern.startswith("**/") else ()
        if any(fnmatch(each, pattern) for each in above) or any(fnmatch(n, pattern[3:]) for n in names):
            sending = rule.startswith("!")
    return sending


def test_everything_that_is_copied_is_there_and_sent() -> None:
    copied = set()
    for name, words in instructions():
        assert name != "ADD"
        if name == "COPY" and not words.startswith("--from="):
            sources = words.split()[:-1]
            copied |= set(sources)
            for source in sources:
                assert (ROOT / source).exists(), source
                assert sent(source), source
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    packages = [line for line in setup["options.packages.find"]["include"].split() if "." not in line]
    assert set(packages) <= copied
    assert setup["metadata"]["license_files"] in copied


@pytest.mark.parametrize(
    "path", [".env", ".git/config", "deploy/compose/secrets/elastic_password",
             "deploy/compose/config/brands.yaml", "tests/conftest.py", ".venv/bin/python",
             "app/__pycache__/cli.cpython-311.pyc"]
)  # fmt: skip
def test_what_is_nobodys_business_stays_out_of_the_build(path: str) -> None:
    assert not sent(path)


def test_stages_are_pinned_and_the_service_is_nobody() -> None:
    stages = [words.split() for name, words in instructions() if name == "FROM"]
    names = {words[2] for words in stages}
    assert all(words[0] in names or words[0] == "python:${PYTHON_TAG}" for words in stages)
    tag = re.search(r"^ARG PYTHON_TAG=(\S+)$", TEXT, re.MULTILINE)
    assert tag
    assert re.fullmatch(r"3\.11\.\d+-slim-\w+", tag[1])
    assert stages[-1] == ["base", "AS", "service"], "the last stage is the default one"
    base = TEXT[TEXT.index(" AS base") :]
    assert "\nUSER 10001:10001\n" in base
    assert "USER root" not in base
    assert "apt-get" not in TEXT
    last = [words for name, words in instructions() if name in {"ENTRYPOINT", "CMD"}]
    assert all(isinstance(json.loads(words), list) for words in last), "the exec form: signals arrive"


def test_the_build_runs_what_the_makefile_runs() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    version = re.search(r"^UV_VERSION := (\S+)$", makefile, re.MULTILINE)
    assert version
    assert f"ARG UV_VERSION={version[1]}\n" in TEXT
    families = re.search(r"\^\((torch[^)]*)\)==", makefile)
    assert families
    assert f"^({families[1]})==" in TEXT
    for name, words in instructions():
        if name == "RUN":
            done = subprocess.run(["sh", "-n"], input=words, text=True, capture_output=True)
            assert done.returncode == 0, done.stderr
            assert "|" not in re.sub(r"'[^']*'", "", words), "a pipe hides a failure"


def test_what_is_left_out_is_what_the_command_line_excuses() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = {re.split(r"[\[<>=]", line)[0] for line in setup["options"]["install_requires"].split()}
    assert LEFT_OUT == TRAINING
    assert required >= LEFT_OUT


BLOCKED = """
import sys
for name in {names!r}:
    sys.modules[name] = None
from app.cli import main
sys.argv = ["yujing", *sys.argv[1:]]
main()
"""


def without(names: set[str], home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of a program that cannot import some libraries."""
    return subprocess.run(
        [sys.executable, "-P", "-c", BLOCKED.format(names=sorted(names)), *arguments],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "YUJING_HOME": str(home),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.mark.slow
def test_the_service_needs_no_training_library(tmp_path: Path) -> None:
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"text": "云桥金融提现三天不到账，客服一直让等"}\n', "utf-8")
    for command in (
        ["import", str(posts)],
        ["work", "--once"],
        ["watch", "--once"],
        ["deliver", "--once"],
        ["status"],
    ):
        done = without(LEFT_OUT, tmp_path, *command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        if command[0] == "work":
            assert json.loads(done.stdout)["judged"] == 1


def test_training_without_its_libraries_says_so(tmp_path: Path) -> None:
    done = without(LEFT_OUT, tmp_path, "train", "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "training" in done.stderr
