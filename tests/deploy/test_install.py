"""install.sh where something is missing, broken or done twice at once; what it fetches lies on this disk."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.engines import Missing, elasticsearch, own

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / "deploy" / "engines" / "install.sh").read_text("utf-8")
# Not apt-get: nothing is installed here.
TOOLS = (
    "bash",
    "id",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "chmod",
    "ls",
    "grep",
    "echo",
    "cat",
    "sha256sum",
    "curl",
    "unzip",
)


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the script with a small zip for Elasticsearch's and a PATH of its own."""
    name = f"elasticsearch-{elasticsearch.VERSION}"
    zip_ = (
        tmp_path
        / "org/elasticsearch/distribution/integ-test-zip/elasticsearch"
        / elasticsearch.VERSION
        / f"{name}.zip"
    )
    zip_.parent.mkdir(parents=True)
    with zipfile.ZipFile(zip_, "w") as archive:
        program = zipfile.ZipInfo(f"{name}/bin/elasticsearch")
        program.external_attr = 0o100755 << 16
        archive.writestr(program, "#!/bin/sh\n")
    digest = hashlib.sha256(zip_.read_bytes()).hexdigest()
    script = tmp_path / "install.sh"
    script.write_text(re.sub(r"(?m)^SHA256=\w+$", f"SHA256={digest}", SCRIPT), "utf-8")

    def run(*, without: tuple[str, ...] = (), corrupt: bool = False) -> subprocess.Popen[str]:
        tools = tmp_path / "tools"
        tools.mkdir(exist_ok=True)
        for tool in set(TOOLS) - set(without):
            found = shutil.which(tool)
            assert found, tool
            if not (tools / tool).exists():
                (tools / tool).symlink_to(found)
        if corrupt:
            zip_.write_bytes(zip_.read_bytes()[:-1])
        return subprocess.Popen(
            [tools / "bash", script],
            env={
                "PATH": str(tools),
                "YUJING_ENGINES": str(tmp_path / "a folder"),
                "YUJING_MAVEN": tmp_path.as_uri(),
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def test_elasticsearch_is_installed_whole_by_one_of_two(start: Callable, tmp_path: Path) -> None:
    both = [start(), start()]
    said = "".join(process.communicate(timeout=120)[1] for process in both)
    assert [process.returncode for process in both] == [0, 0], said
    (installed,) = (tmp_path / "a folder").iterdir()
    assert installed.name == f"elasticsearch-{elasticsearch.VERSION}"
    assert (installed / "bin" / "elasticsearch").stat().st_mode & 0o111
    assert [path.name for path in installed.iterdir()] == ["bin"]


@pytest.mark.parametrize("tool", ["curl", "unzip"])
def test_what_is_missing_is_named_and_fails_nothing(start: Callable, tool: str) -> None:
    process = start(without=(tool,))
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0
    assert "needs curl and unzip" in said


def test_another_file_is_refused_and_leaves_nothing(start: Callable, tmp_path: Path) -> None:
    process = start(corrupt=True)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "is not Elasticsearch" in said
    assert not [*(tmp_path / "a folder").iterdir()]


def test_an_old_java_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="Java 17"):
        elasticsearch.java()


def test_folders_of_others_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "temporary"))
    monkeypatch.setattr("shutil.chown", lambda *_: None)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(Missing, match="o\\+x"):
        own(private / "server", "somebody")
    assert private.stat().st_mode & 0o777 == 0o700
