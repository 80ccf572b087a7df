"""docker-compose.yml, its scripts and the Dockerfile: whatever can be checked without a container engine.

The schema is the Compose specification's (``compose_spec/``, Apache-2.0, as check-jsonschema 0.39.0 carries it).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from jsonschema import Draft202012Validator

from app.cli import COMMANDS
from config.environment import VARIABLES, read_environment
from config.load import check
from deploy.engines import elasticsearch, free_port
from deploy.engines.postgresql import PostgresqlServer

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy" / "compose"
TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("yujing:")}
ONCE = {"volumes", "users", "prepare", "dashboards"}
SETTINGS = dict(
    line.split("=", 1) for line in (HERE / "env.template").read_text("utf-8").splitlines() if "=" in line[:30]
)

PROGRAMS = {
    "docker.elastic.co/elasticsearch/elasticsearch": {
        "/bin/bash", "/bin/chown", "cat", "printf",  # Red Hat's base image
        "curl",  # Elastic's own example of a compose file checks with it
        "/usr/local/bin/docker-entrypoint.sh",  # the image's entry point
    },
    "docker.elastic.co/kibana/kibana": {
        "/bin/bash", "cat",
        "curl", "grep",  # as above
        "/usr/local/bin/kibana-docker",  # the image's command
    },
    "redis": {
        "/bin/sh", "cat", "echo", "grep", "printf", "umask",  # Debian and the shell
        "redis-server", "redis-cli",  # what the image is for
    },
    "postgres": {"postgres", "pg_isready"},
    "yujing": {"yujing"},
}  # fmt: skip
"""What the commands and health checks may call, an image: it is in there, for the reason given."""


def shells(service: dict[str, Any]) -> Iterator[str]:
    """The shell scripts in a service, as the container sees them."""
    for words in (service.get("entrypoint", []), service.get("command", [])):
        if words and Path(words[0]).name in {"sh", "bash"} and words[1].startswith("-"):
            yield _seen(words[2])
    test = service.get("healthcheck", {}).get("test", [])
    if test and test[0] == "CMD-SHELL":
        yield _seen(test[1])


def _seen(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: SETTINGS[found[1]], text).replace("$$", "$")


def called(script: str) -> set[str]:
    """The programs that a script calls: the first word of each command, assignments skipped."""
    plain = re.sub(r"'[^']*'", "''", script)
    commands = re.split(r"[\n|;{}()]|&&", re.sub(r"\$\(", "(", plain.replace('"', " ")))
    words = (re.sub(r"^(?:\w+=\s*)*(?:exec\s+)?", "", command.strip()).split() for command in commands)
    return {each[0] for each in words if each and not each[0].startswith(("-", ">", "'", "http"))}


def test_the_file_is_of_the_specification() -> None:
    schema = json.loads((Path(__file__).parent / "compose_spec" / "compose-spec.json").read_text("utf-8"))
    assert not [error.message for error in Draft202012Validator(schema).iter_errors(COMPOSE)]
    wrong = {**COMPOSE, "services": {"one": {"imagee": "x"}}}
    assert [*Draft202012Validator(schema).iter_errors(wrong)], "the schema refuses nothing"


def test_every_variable_is_in_the_template_and_every_setting_is_used() -> None:
    assert set(re.findall(r"(?<!\$)\$\{(\w+)\}", TEXT)) == set(SETTINGS)
    assert not re.findall(r"(?<!\$)\$(?![{$])", TEXT), "a $ that is neither ${NAME} nor $$"
    assert SETTINGS["ELASTIC_VERSION"] == elasticsearch.VERSION


def test_ports_are_open_on_loopback_only_and_workers_have_none() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert "container_name" not in service, name
    assert not SERVICES["worker"].get("ports")
    assert SERVICES["worker"]["networks"] == ["engines"]
    assert COMPOSE["networks"]["engines"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["CHOWN"] if name == "volumes" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == ("on-failure:5" if name in ONCE else "unless-stopped")
    assert re.search(r":(\$\{\w+\}|[\w.-]*\d[\w.-]*)$", service["image"]), "an image without a tag"
    # Elasticsearch and Kibana write into their program folders.
    assert service.get("read_only", False) is (name not in {"elasticsearch", "kibana"})
    if name in OURS:
        assert "user" not in service, "the image's own user"
        assert service["tmpfs"]
    if name not in ONCE:
        assert service["stop_grace_period"]
        assert service["healthcheck"].keys() >= {"test", "interval", "timeout", "start_period", "retries"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_come(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_completed_successfully":
            assert other in ONCE
        else:
            assert how["condition"] == "service_healthy"
            assert SERVICES[other]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_reads_is_mounted(name: str) -> None:
    service = SERVICES[name]
    text = json.dumps({**service, "secrets": [], "configs": []})
    mounted = set(service.get("secrets", []))
    read = set(re.findall(r"/run/secrets/(\w+)", text))
    if name in {"users", "postgresql"}:  # their scripts read what the file does not name
        scripts = (HERE / {"users": "users.sh", "postgresql": "postgresql-init.sh"}[name]).read_text("utf-8")
        read |= {secret for secret in mounted if secret in scripts}
    assert read == mounted
    assert mounted <= COMPOSE["secrets"].keys()
    for config in service.get("configs", []):
        assert (ROOT / COMPOSE["configs"][config["source"]]["file"]).is_file()
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or (source.startswith("${") and volume.endswith(":ro"))


def test_nothing_is_declared_that_no_service_uses() -> None:
    for kind, part in (("volumes", 0), ("secrets", None), ("networks", None)):
        used = {
            each.split(":")[0] if part == 0 else each for s in SERVICES.values() for each in s.get(kind, [])
        }
        assert COMPOSE[kind].keys() <= used, kind
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}
    assert COMPOSE["configs"].keys() == used


@pytest.mark.parametrize("name", SERVICES)
def test_commands_call_what_the_image_has(name: str) -> None:
    service = SERVICES[name]
    programs = PROGRAMS[service["image"].partition(":")[0].removesuffix(":")]
    words = [service[key][0] for key in ("entrypoint", "command") if service.get(key) and name not in OURS]
    for script in shells(service):
        checked = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True)
        assert checked.returncode == 0, checked.stderr
        words += called(script)
    assert set(words) <= programs
    if name in OURS:
        assert service["command"][0] in COMMANDS


def test_the_service_understands_its_environment(tmp_path: Path) -> None:
    subprocess.run([HERE / "env.sh", tmp_path], check=True, capture_output=True)
    secrets = tmp_path / "deploy" / "compose" / "secrets"
    for name in OURS - {"dashboards"}:
        given = {key: _seen(str(value)) for key, value in SERVICES[name]["environment"].items()}
        assert {key.removesuffix("_FILE") for key in given} <= VARIABLES.keys()
        given = {key: value.replace("/run/secrets", str(secrets)) for key, value in given.items()}
        seen = read_environment({**given, "YUJING_HOME": str(tmp_path / "home")})
        assert (seen.posts_url, seen.inbox_url) == (
            "elasticsearch://yujing@elasticsearch:9200",
            "redis://redis:6379/0",
        )
        for access, file in (
            (seen.posts_access, "yujing_posts_password"),
            (seen.inbox_access, "redis_password"),
            (seen.ledger_access, "yujing_ledger_password"),
        ):
            assert access.password.get_secret_value() == (secrets / file).read_text()


def test_kibana_gets_each_variable_that_its_settings_name() -> None:
    text = (HERE / "kibana.yml").read_text("utf-8")
    (entry,) = (script for script in shells(SERVICES["kibana"]) if "kibana-docker" in script)
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(re.findall(r"(\w+)=", entry))
    assert {"server.host", "elasticsearch.password", "i18n.locale"} <= yaml.safe_load(text).keys()


# --------------------------------------------------------------------------------------------- make compose-env


def test_env_is_written_once_and_passwords_are_not_shown(tmp_path: Path) -> None:
    def run() -> str:
        done = subprocess.run([HERE / "env.sh", tmp_path], check=True, capture_output=True, text=True)
        return done.stdout + done.stderr

    said = run()
    folder = tmp_path / "deploy" / "compose" / "secrets"
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert made.keys() == COMPOSE["secrets"].keys()
    assert made.pop("smtp_password") == ""
    assert all(re.fullmatch(r"[0-9a-f]{48}", password) for password in made.values())
    assert len(set(made.values())) == len(made)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444, 0o644}
    (tmp_path / ".env").write_text("KIBANA_PORT=7000")
    said += run()
    assert {name: (folder / name).read_text() for name in made} == made
    kept = (tmp_path / ".env").read_text().splitlines()
    assert kept[0] == "KIBANA_PORT=7000"
    assert {line.partition("=")[0] for line in kept} == set(SETTINGS)
    assert len(kept) == len(SETTINGS)
    assert not [name for name, password in made.items() if password in said]


def test_passwords_go_where_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SECRETS_FOLDER=./kept/here\nCONFIG_FOLDER=./own\n")
    subprocess.run([HERE / "env.sh", tmp_path], check=True, capture_output=True)
    assert (tmp_path / "own" / "brands.yaml").is_file()
    assert {path.name for path in (tmp_path / "kept" / "here").iterdir()} == COMPOSE["secrets"].keys()
    assert not (tmp_path / "deploy").exists()


def test_the_configuration_to_edit_is_a_copy_that_git_does_not_know(tmp_path: Path) -> None:
    def run() -> str:
        return subprocess.run([HERE / "env.sh", tmp_path], check=True, capture_output=True, text=True).stdout

    assert "for you to edit" in run()
    folder = tmp_path / SETTINGS["CONFIG_FOLDER"]
    assert check(folder) == []
    assert all(path.stat().st_mode & 0o004 for path in (folder, *folder.rglob("*")))
    (folder / "brands.yaml").write_text("mine")
    assert "for you to edit" not in run()
    assert (folder / "brands.yaml").read_text() == "mine"
    for ignore in (".gitignore", ".dockerignore"):
        ignored = {line.rstrip("/") for line in (ROOT / ignore).read_text().splitlines()}
        assert {"deploy/compose/config", "deploy/compose/secrets"} <= ignored


def test_a_password_that_the_containers_could_not_read_is_named(tmp_path: Path) -> None:
    def run() -> str:
        return subprocess.run([HERE / "env.sh", tmp_path], check=True, capture_output=True, text=True).stderr

    assert run() == ""
    secret = tmp_path / "deploy" / "compose" / "secrets" / "yujing_secret"
    secret.chmod(0o600)
    assert str(secret) in run()
    (tmp_path / "old").write_text("0f" * 32)
    subprocess.run(["install", "-m", "444", tmp_path / "old", secret], check=True)
    assert run() == ""


def test_two_at_once_agree(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    both = [subprocess.Popen([HERE / "env.sh", folder], stdout=subprocess.PIPE, text=True) for _ in "ab"]
    said = "".join(process.communicate()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    made = sum(int(count) for count in re.findall(r"made (\d+) of", said))
    assert made == len(COMPOSE["secrets"]) - 1, "each password has one maker"
    assert len([*(folder / "deploy" / "compose" / "secrets").iterdir()]) == len(COMPOSE["secrets"])


# --------------------------------------------------------------------------------------------- scripts, for real


def test_redis_serves_as_it_is_configured(tmp_path: Path) -> None:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    port = free_port()
    (tmp_path / "redis_password").write_text("0f")
    command, check = shells(SERVICES["redis"])
    for text, here in (("/run/secrets", str(tmp_path)), ("/tmp/redis.conf", str(tmp_path / "redis.conf"))):
        command, check = command.replace(text, here), check.replace(text, here)
    command = command.replace("'dir /data'", f"'dir {tmp_path}'; echo 'port {port}'; echo 'bind 127.0.0.1'")
    check = check.replace("redis-cli", f"redis-cli -p {port}")
    with subprocess.Popen(["sh", "-ec", command], stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                if subprocess.run(["sh", "-c", check], capture_output=True).returncode == 0:
                    break
            asked = ["redis-cli", "-p", str(port), "config", "get", "append*"]
            refused = subprocess.run(asked, capture_output=True, text=True)
            answer = subprocess.run(
                asked, capture_output=True, text=True, env={**os.environ, "REDISCLI_AUTH": "0f"}
            )
        finally:
            server.terminate()
    assert "NOAUTH" in refused.stdout + refused.stderr
    settings = answer.stdout.split()
    assert settings[settings.index("appendonly") + 1] == "yes"
    assert settings[settings.index("appendfsync") + 1] == "always"
    assert (tmp_path / "redis.conf").stat().st_mode & 0o077 == 0


def test_postgresql_gets_a_role_that_is_no_superuser_and_its_dump_can_be_restored(
    postgresql_server: PostgresqlServer, tmp_path: Path
) -> None:
    server = postgresql_server
    environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(server.port)}
    (tmp_path / "yujing_ledger_password").write_text("0f")
    script = (HERE / "postgresql-init.sh").read_text("utf-8")
    script = script.replace("/run/secrets", str(tmp_path)).replace("ROLE yujing", "ROLE composed")
    script = script.replace("DATABASE yujing", "DATABASE composed").replace("OWNER yujing", "OWNER composed")
    as_superuser = {**environment, "PGPASSWORD": server.password}
    script = script.replace("--username=postgres", "--username=yujing")
    subprocess.run(["bash", "-c", script], check=True, env=as_superuser, capture_output=True)
    address = f"postgresql://composed@127.0.0.1:{server.port}/composed"
    with psycopg.connect(address, password="0f") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == (False, False, False)
    for line in _documented("docker compose exec -T postgresql "):
        command = re.sub(r"\byujing\b", "composed", line).replace("-U postgres", "-U yujing")
        secret = "0f" if "-U composed" in command else server.password
        given = {**environment, "PGPASSWORD": secret}
        subprocess.run(["bash", "-c", command], check=True, env=given, cwd=tmp_path, capture_output=True)
    with psycopg.connect(address, password="0f") as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)


def _documented(prefix: str) -> list[str]:
    """What stands behind a prefix in the lines of docs/operations.md, in their order."""
    lines = (ROOT / "docs" / "operations.md").read_text("utf-8").splitlines()
    return [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]


@contextmanager
def recording(refuse: str = "") -> Iterator[tuple[str, list[tuple[str, str, str, Any]]]]:
    """A server that notes every request: method, path, who, body."""
    seen: list[tuple[str, str, str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            who = b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
            seen.append((self.command, self.path, who, json.loads(body)))
            self.send_response(403 if refuse and refuse in self.path else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST = answer

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()


@pytest.fixture
def making_users(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs users.sh with what its service mounts."""
    secrets, roles = tmp_path / "secrets", tmp_path / "roles"
    secrets.mkdir()
    roles.mkdir()
    for name in SERVICES["users"]["secrets"]:
        (secrets / name).write_text(f"{name}-0f")
    for config in SERVICES["users"]["configs"]:
        if config["target"].startswith("/setup/roles/"):
            shutil.copy(
                ROOT / COMPOSE["configs"][config["source"]]["file"], roles / Path(config["target"]).name
            )

    def run(url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", HERE / "users.sh"],
            env={**os.environ, "ELASTICSEARCH": url, "SECRETS": str(secrets), "ROLES": str(roles)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_users_get_their_roles_and_passwords(making_users: Callable) -> None:
    with recording() as (url, seen):
        done = making_users(url)
    assert done.returncode == 0, done.stderr
    assert {who for _, _, who, _ in seen} == {"elastic:elastic_password-0f"}
    assert "0f" not in done.stdout + done.stderr
    asked = {path.removeprefix("/_security/"): body for _, path, _, body in seen}
    assert asked["user/kibana_system/_password"] == {"password": "kibana_system_password-0f"}
    assert asked["user/yujing"] == {"password": "yujing_posts_password-0f", "roles": ["yujing"]}
    for name in ("yujing", "yujing_importer", "yujing_reader"):
        role = asked[f"role/{name}"]
        assert "all" not in role.get("cluster", [])
        assert "superuser" not in json.dumps(role)
        for index in role.get("indices", []):
            assert all(pattern.startswith("yujing-") for pattern in index["names"])
    assert asked["role/yujing_reader"]["indices"][0]["privileges"] == ["read", "view_index_metadata"]


def test_a_user_that_cannot_be_made_is_a_failure(making_users: Callable) -> None:
    with recording(refuse="role/yujing_reader") as (url, seen):
        done = making_users(url)
    assert done.returncode != 0
    assert "403" in done.stderr
    assert not [path for _, path, _, _ in seen if path.endswith("user/yujing_reader")]


def test_scripts_pass_shellcheck() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    scripts = [*HERE.glob("*.sh"), ROOT / ".ci" / "run", ROOT / "deploy" / "engines" / "install.sh"]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
