"""An Elasticsearch server of our own: Elastic's minimal distribution, out of Maven Central."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from deploy.engines import Missing, Process, free_port, other_user, own

VERSION = "8.19.21"
USER = "elastic"
OLDEST_JAVA = 17
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Past any proxy of the environment: the server is on this machine."""


class ElasticsearchServer:
    """One node with a small heap; with a password, security is on (see ``deploy.engines.Server``).

    ``settings`` are lines of ``elasticsearch.yml`` over ours. ``snapshots`` is a folder that it may write to
    (``path.repo``).
    """

    def __init__(
        self,
        folder: Path,
        *,
        password: str = "",
        heap_mb: int = 512,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._program = _installed()
        self._java = java()
        self._user = other_user("elasticsearch", "nobody")
        self._folder, self._password, self._heap_mb = folder, password, heap_mb
        self._settings = dict(settings or {})
        self.port, self._transport = free_port(), free_port()
        self.snapshots = folder / "snapshots"
        self._configuration = folder / "config"
        own(folder, self._user)
        self._process = Process(folder, user=self._user)

    @property
    def url(self) -> str:
        """Without the password."""
        user = f"{USER}@" if self._password else ""
        return f"elasticsearch://{user}127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        """Of ``elastic``; empty without security."""
        return self._password

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of a service that uses this server."""
        return {"YUJING_POSTS_URL": self.url} | (
            {"YUJING_POSTS_PASSWORD": self._password} if self._password else {}
        )

    def start(self) -> None:
        """Serve."""
        if not self._configuration.exists():
            self._configure()
        self._process.start(
            [str(self._program / "bin" / "elasticsearch")],
            ready=self._ready,
            within_s=150,
            env=self._environment(),
        )

    def stop(self) -> None:
        """End in order."""
        self._process.stop()

    def kill(self) -> None:
        """End at once."""
        self._process.kill()

    def _environment(self) -> dict[str, str]:
        heap = f"-Xms{self._heap_mb}m -Xmx{self._heap_mb}m"
        return {
            "ES_JAVA_HOME": str(self._java),
            "ES_PATH_CONF": str(self._configuration),
            # The node uses what the machine has to spare: two cores must not be taken for a cluster's.
            "ES_JAVA_OPTS": f"{heap} -XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
            "HOME": str(self._folder),
            "ES_TMPDIR": str(self._folder / "tmp"),
        }

    def _configure(self) -> None:
        secured = "true" if self._password else "false"
        settings = {
            "cluster.name": "yujing-engines",
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": str(self.port),
            "transport.port": str(self._transport),
            # In quotes: " #" begins a comment.
            "path.data": json.dumps(str(self._folder / "data")),
            "path.logs": json.dumps(str(self._folder / "logs")),
            "path.repo": json.dumps(str(self.snapshots)),
            "xpack.security.enabled": secured,
            # A machine whose disk is nearly full is no reason to refuse a few test posts.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }
        if self._password:
            settings |= {
                "xpack.security.enrollment.enabled": "false",
                "xpack.security.http.ssl.enabled": "false",
                "xpack.security.transport.ssl.enabled": "false",
            }
        draft = self._folder / "config.part"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(self._program / "config", draft)
        lines = [f"{name}: {value}\n" for name, value in (settings | self._settings).items()]
        (draft / "elasticsearch.yml").write_text("".join(lines), "utf-8")
        draft.rename(self._configuration)
        for path in (self._configuration, self.snapshots, self._folder / "tmp"):
            path.mkdir(exist_ok=True)
            for each in (path, *path.rglob("*")):
                if self._user:
                    shutil.chown(each, self._user)
        if self._password:
            self._keystore("create")
            self._keystore("add", "-x", "bootstrap.password", told=self._password)

    def _keystore(self, *arguments: str, told: str = "") -> None:
        done = subprocess.run(
            [str(self._program / "bin" / "elasticsearch-keystore"), *arguments],
            input=told,
            text=True,
            capture_output=True,
            check=False,
            user=self._user,
            env={"PATH": os.environ.get("PATH", os.defpath), **self._environment()},
        )
        if done.returncode:
            raise RuntimeError(f"elasticsearch-keystore: {done.stderr.strip()[-1000:]}")

    def _ready(self) -> bool:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_cluster/health")
        if self._password:
            pair = base64.b64encode(f"{USER}:{self._password}".encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        try:
            with _OPENER.open(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _installed() -> Path:
    given = os.environ.get("YUJING_ENGINES")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folders = [Path(given)] if given else [Path("/var/cache/yujing/engines"), cache / "yujing" / "engines"]
    for folder in folders:
        if (folder / f"elasticsearch-{VERSION}" / "bin" / "elasticsearch").is_file():
            return folder / f"elasticsearch-{VERSION}"
    raise Missing(f"Elasticsearch {VERSION} 没有安装（运行 deploy/engines/install.sh）")


def java() -> Path:
    """Home of a Java that is new enough; an older one would end the server with a page of words."""
    wanted = Missing(
        f"没有 Java {OLDEST_JAVA} 或更新的版本（Debian：apt-get install openjdk-17-jre-headless）"
    )
    binary = shutil.which("java")
    if binary is None:
        raise wanted
    said = subprocess.run([binary, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < OLDEST_JAVA:
        raise wanted
    return Path(binary).resolve().parent.parent
