from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from app.commands import analyze, evaluate, train
from domain.errors import InputError, ModelError, UsageError
from nlp.bundle import seal, shipped

ROWS = '{"id": 1, "text": "云桥金融跑路了"}\nrubbish\n{"id": "2", "text": ""}\n'


def run(command: Any, *args: str, **more: Any) -> Any:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(args), **more)


def parsed(output: bytes | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_analyze_reads_a_file_or_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text(ROWS, "utf-8")
    from_file, from_pipe = run(analyze.command, str(path)), run(analyze.command, input=ROWS)
    assert from_file.exit_code == from_pipe.exit_code == 0
    assert from_file.stdout == from_pipe.stdout
    one, bad, blank = parsed(from_file.stdout)
    assert (one["id"], one["sentiment"]) == (1, "negative")
    assert set(bad) == {"id", "error"} and blank["sentiment"] == "neutral"


def test_a_dash_is_the_pipe() -> None:
    assert run(analyze.command, "-", input=ROWS).stdout == run(analyze.command, input=ROWS).stdout


@pytest.mark.parametrize("redirect", ["<&-", ">&-", "| head -1"])
def test_a_closed_stream_is_no_traceback(tmp_path: Path, redirect: str) -> None:
    (tmp_path / "posts.jsonl").write_text(ROWS * 400, "utf-8")
    file = "" if redirect == "<&-" else str(tmp_path / "posts.jsonl")
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m app analyze {file} {redirect}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_empty_file_gives_nothing_and_succeeds(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    result = run(analyze.command, str(tmp_path / "empty"))
    assert (result.exit_code, result.stdout) == (0, "")


def test_files_that_cannot_be_read_are_one_clear_error(tmp_path: Path) -> None:
    for path, word in ((tmp_path, "目录"), (tmp_path / "none", "打不开")):
        error = run(analyze.command, str(path)).exception
        assert isinstance(error, InputError) and word in str(error) and "\n" not in str(error)
    error = run(analyze.command, "--model", str(tmp_path), input=ROWS).exception
    assert isinstance(error, ModelError)


def test_the_first_answer_comes_without_torch_and_soon() -> None:
    code = "import sys, typer; from app.commands.analyze import command\n"
    code += "typer.run(command) if not sys.argv[1:] else None"
    watch = (
        "import sys, runpy, atexit; atexit.register(lambda: sys.stderr.write(repr('torch' in sys.modules)));"
    )
    began = time.process_time()
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", watch + code],
        input=ROWS.encode(),
        capture_output=True,
        check=True,
    )
    after = os.times()
    assert parsed(done.stdout)[0]["id"] == 1
    assert done.stderr.decode() == "False"
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 8, f"{spent:.1f} s of CPU for one post"
    assert time.process_time() - began < 8


def test_evaluate_shows_the_cards_scores() -> None:
    result = run(evaluate.command, "--json")
    assert result.exit_code == 0
    (row,) = parsed(result.stdout)
    assert set(row["scores"]) == {"yujing", "encoder", "n-grams", "lexicon"}
    assert row["scores"]["yujing"]["authored_posts"]["posts"] > 300
    table = run(evaluate.command).stdout
    assert "authored_posts" in table and row["model"] in table


def test_an_adapted_model_does_not_call_its_parents_scores_its_own(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(shipped(), model)
    card = json.loads((model / "card.json").read_text("utf-8"))
    adapted = card | {"adapted_from": "yujing-bert@before", "compared": [{"name": "x"}]}
    (model / "card.json").write_text(json.dumps(adapted), "utf-8")
    seal(model)
    (row,) = parsed(run(evaluate.command, "--json", "--model", str(model)).stdout)
    assert row["scores"] is None and row["adapted_from"] == "yujing-bert@before"
    assert row["scores_before_adaptation"] == card["scores"] and row["compared"] == [{"name": "x"}]
    before, _, after = run(evaluate.command, "--model", str(model)).stdout.partition("# Model card")
    assert "yujing-bert@before" in before and "不是它的" in before and "authored_posts" in after


@pytest.mark.parametrize("content", ["{}", "[]", '{"scores": 1, "settings": [], "data_sha256": {}}'])
def test_a_card_that_says_nothing_is_one_clear_error(tmp_path: Path, content: str) -> None:
    model = tmp_path / "model"
    shutil.copytree(shipped(), model)
    (model / "card.json").write_text(content, "utf-8")
    seal(model)
    for args in ((), ("--data", str(tmp_path))):
        error = run(evaluate.command, "--model", str(model), *args).exception
        assert isinstance(error, ModelError) and "\n" not in str(error)


def test_train_names_what_is_missing(tmp_path: Path) -> None:
    args = ("--data", str(tmp_path), "--base", str(tmp_path), "--out", str(tmp_path / "out"))
    error = run(train.command, *args).exception
    assert isinstance(error, InputError) and "finance_posts.labelled.train" in str(error)


@pytest.mark.parametrize(
    ("args", "option"),
    [
        (["--rollback", "--budget-min", "5"], "--budget-min"),
        (["--rejudge", "--budget-min", "5"], "--budget-min"),
        (["--labels", "ledger", "--distil-min", "5"], "--distil-min"),
        (["--labels", "ledger", "--guide", "d"], "--guide"),
        (["--labels", "ledger", "--guide-min", "5"], "--guide-min"),
        (["--data", "d", "--out", "o", "--distil-min", "5"], "--teacher"),
        (["--data", "d", "--out", "o", "--guide-min", "5"], "--guide"),
        (["--data", "d", "--out", "o", "--by", "me"], "--by"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(args: list[str], option: str) -> None:
    error = run(train.command, *args).exception
    assert isinstance(error, UsageError) and option in str(error)


@pytest.mark.slow
def test_the_cards_scores_can_be_reproduced() -> None:
    folder = os.environ.get("YUJING_DATA")
    if not folder:
        pytest.skip("YUJING_DATA is not set: the corpora are not in this repository")
    result = run(evaluate.command, "--json", "--data", folder)
    (row,) = parsed(result.stdout)
    card = json.loads((shipped() / "card.json").read_text("utf-8"))["scores"]["yujing"]
    for name, scores in card.items():
        for key in ("accuracy", "macro_f1", "topics_micro_f1", "accused_f1"):
            if key in scores:
                assert row["scores"]["yujing"][name][key] == pytest.approx(scores[key], abs=0.005), (
                    name,
                    key,
                )
