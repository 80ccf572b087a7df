"""The import, against a small stand-in for Kibana's documented API (not Kibana: none runs here)."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.cli import cli, run
from deploy.kibana import shipped
from deploy.kibana.push import push
from deploy.kibana.remote import Remote
from domain.errors import StoreError, UsageError

PASSWORD = "geheim 密"


class Kibana(ThreadingHTTPServer):
    """Answers as told, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = "8.19.3"
        self.status: tuple[int, Any] = (200, None)
        self.imported: tuple[int, Any] = (200, None)
        self.location = ""
        self.asked: list[str] = []
        self.lines: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Kibana

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, body: Any) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _authorized(self) -> bool:
        pair = base64.b64encode(f"elastic:{PASSWORD}".encode()).decode()
        return self.headers["Authorization"] in (f"Basic {pair}", "ApiKey key==")

    def do_GET(self) -> None:
        self.server.asked.append(f"GET {self.path}")
        code, body = self.server.status
        if not self._authorized():
            code, body = 401, {"statusCode": 401, "error": "Unauthorized"}
        self._answer(code, body if body is not None else {"version": {"number": self.server.version}})

    def do_POST(self) -> None:
        self.server.asked.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "kbn-xsrf" not in self.headers:
            self._answer(400, {"message": "Request must contain a kbn-xsrf header."})
            return
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        (part,) = email.message_from_bytes(head + body, policy=email.policy.HTTP).iter_parts()
        assert part.get_filename() == "yujing.ndjson"
        self.server.lines = [json.loads(line) for line in part.get_payload(decode=True).splitlines()]
        code, told = self.server.imported
        self._answer(
            code, told if told is not None else {"success": True, "successCount": len(self.server.lines)}
        )


@pytest.fixture
def kibana() -> Iterator[Kibana]:
    with Kibana() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _remote(kibana: Kibana, *, user: str = "elastic@", password: str = PASSWORD, key: str = "") -> Remote:
    return Remote(
        f"http://{user}{kibana.address}",
        name="Kibana",
        password=SecretStr(password),
        api_key=SecretStr(key),
        timeout_s=60,
    )


TEXT = shipped().read_text("utf-8")


def test_everything_arrives_as_it_was_made(kibana: Kibana) -> None:
    assert push(_remote(kibana), TEXT) == ("8.19.3", 18)
    assert kibana.asked == ["GET /api/status", "POST /api/saved_objects/_import?overwrite=true"]
    assert kibana.lines == [json.loads(line) for line in TEXT.splitlines()]


def test_an_api_key_opens_too(kibana: Kibana) -> None:
    assert push(_remote(kibana, user="", password="", key="key=="), TEXT)[1] == 18


@pytest.mark.parametrize(
    ("status", "imported", "told"),
    [
        ((403, {"message": "no"}), (200, None), "没有权限（403）：no"),
        ((404, {"error": "no handler found"}), (200, None), "不是 Kibana"),
        ((200, b"<html>hello</html>"), (200, None), "不是 Kibana"),
        ((200, {"status": {}}), (200, None), "不是 Kibana"),
        ((200, []), (200, None), "不是 Kibana"),
        ((503, {"version": {"number": "8.19.3"}}), (200, None), "还没有就绪"),
        ((200, {"version": {"number": "8.12.0"}}), (200, None), "Kibana 是 8.12.0"),
        ((200, {"version": {"number": "10.0.0"}}), (200, None), "Kibana 是 10.0.0"),
        (
            (200, None),
            (403, {"message": "Unable to bulk_create dashboard"}),
            "Unable to bulk_create dashboard",
        ),
        ((200, None), (413, {"message": "too big"}), "嫌内容太大"),
        ((200, None), (500, b"oops"), "没有接受导入（500）"),
        (
            (200, None),
            (
                200,
                {
                    "success": False,
                    "successCount": 16,
                    "errors": [
                        {"type": "search", "id": "yujing-today", "error": {"type": "conflict"}},
                        {
                            "type": "dashboard",
                            "id": "yujing-crisis",
                            "error": {
                                "type": "missing_references",
                                "references": [{"type": "index-pattern", "id": "yujing-posts"}],
                            },
                        },
                    ],
                },
            ),
            "只导入了 16 个，这些没有导入：search yujing-today（已有同名对象）；"
            "dashboard yujing-crisis（缺少 index-pattern yujing-posts）",
        ),
    ],
)
def test_a_refusal_says_what_to_do(kibana: Kibana, status: Any, imported: Any, told: str) -> None:
    kibana.status, kibana.imported = status, imported
    with pytest.raises(StoreError) as refused:
        push(_remote(kibana), TEXT)
    assert told in str(refused.value)
    assert PASSWORD not in str(refused.value)
    if status[1] is not None:
        assert not any(asked.startswith("POST") for asked in kibana.asked)


def test_a_wrong_password_is_told(kibana: Kibana) -> None:
    with pytest.raises(StoreError, match="401"):
        push(_remote(kibana, password="wrong"), TEXT)


def test_a_redirect_is_not_followed(kibana: Kibana) -> None:
    with Kibana() as other:
        kibana.status, kibana.location = (302, {}), f"http://{other.address}/api/status"
        with pytest.raises(StoreError, match="不会带着密码跟过去"):
            push(_remote(kibana), TEXT)
    assert other.asked == []


def test_nobody_there(kibana: Kibana) -> None:
    with Kibana() as gone:
        remote = _remote(gone)
    with pytest.raises(StoreError, match="连不上 Kibana") as refused:
        push(remote, TEXT)
    assert not refused.value.permanent


def test_an_endless_answer_is_cut(kibana: Kibana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.kibana.remote.LARGEST", 1000)
    kibana.status = (200, b"x" * 1001)
    with pytest.raises(StoreError, match="不像是它"):
        push(_remote(kibana), TEXT)


def test_more_than_kibana_takes_is_not_sent(kibana: Kibana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.kibana.push.LARGEST", 1000)
    with pytest.raises(StoreError, match="超过 Kibana 默认"):
        push(_remote(kibana), TEXT)
    assert kibana.asked == ["GET /api/status"]


@pytest.mark.parametrize(
    ("url", "password", "told"),
    [
        ("ftp://a@b", "x", "地址要写成"),
        ("http://a@b:x", "x", "地址要写成"),
        ("http://a:secret@b", "", "不要把 Kibana 的密码写在地址里"),
        ("http://a@b", "", "两样要么都有"),
        ("http://b", "x", "两样要么都有"),
    ],
)
def test_an_address_that_is_none(url: str, password: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        Remote(url, name="Kibana", password=SecretStr(password), api_key=SecretStr(""))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("remembered", [False, True])
def test_the_command_imports(
    kibana: Kibana, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, remembered: bool
) -> None:
    monkeypatch.setenv("YUJING_HOME", str(tmp_path))
    if remembered:
        (tmp_path / "settings.env").write_text(f"YUJING_KIBANA_PASSWORD='{PASSWORD}'\n", "utf-8")
    else:
        monkeypatch.setenv("YUJING_KIBANA_PASSWORD", PASSWORD)
    done = CliRunner().invoke(
        cli, ["kibana", "--push", f"http://elastic@{kibana.address}", "--prefix", "acme"]
    )
    assert done.exit_code == 0, done.output
    assert (
        f"已导入 18 个对象到 Kibana 8.19.3：http://{kibana.address}/app/dashboards#/view/acme-overview"
        in done.output
    )
    assert {line["id"].partition("-")[0] for line in kibana.lines} == {"acme"}


def test_the_command_says_why_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: Any) -> None:
    monkeypatch.setenv("YUJING_HOME", str(tmp_path))
    code = run(
        lambda: CliRunner().invoke(cli, ["kibana", "--preview", str(tmp_path)], catch_exceptions=False)
    )
    assert code == 2
    assert "YUJING_POSTS_URL 现在不是 elasticsearch://" in capsys.readouterr().err
