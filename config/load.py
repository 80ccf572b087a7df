"""Read ``config/``: every file, every fault at once, or the typed settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from config import references
from config.document import Document, read
from config.files import BrandsFile, PlanFile, RoutesFile, SourcesFile, TopicsFile
from config.problems import Problem
from config.settings import Rules, Schedules, Settings
from config.validation import validate
from domain.errors import ConfigError

FILES = ("brands.yaml", "sources.yaml", "topics.yaml", "rules.yaml", "routes.yaml", "service.yaml")
PLANS = "plans"
MAX_PLANS = 200


@dataclass(frozen=True, kw_only=True)
class _Reading:
    settings: Settings | None
    problems: list[Problem]


def load(folder: Path | str) -> Settings:
    """The settings of a folder. Raises ``ConfigError`` naming the first fault and how many there are."""
    reading = _read(Path(folder))
    if reading.settings is not None:
        return reading.settings
    first, more = reading.problems[0], len(reading.problems) - 1
    raise ConfigError(f"{first}" + (f"；另有 {more} 处问题，运行 yujing check 查看" if more else ""))


def check(folder: Path | str) -> list[Problem]:
    """All faults of a folder, by file and line; empty when it can be used."""
    return _read(Path(folder)).problems


def _read(folder: Path) -> _Reading:
    problem = _folder_problem(folder)
    if problem:
        return _Reading(settings=None, problems=[Problem(file=str(folder), line=0, key="", message=problem)])
    documents = {name: read(folder / name) for name in FILES}
    plans, problems = _plan_documents(folder)
    settings = _settings(folder, documents, plans)
    references.check(documents, plans)
    for document in (*documents.values(), *plans.values()):
        problems += document.problems
    problems.sort(key=lambda problem: (problem.file, problem.line, problem.key))
    return _Reading(settings=None if problems else settings, problems=problems)


def _folder_problem(folder: Path) -> str:
    try:
        if folder.is_dir():
            return ""
        return "应该是文件夹，却是文件" if folder.exists() else "配置文件夹不存在"
    except (OSError, ValueError):
        return "配置文件夹读不了"


def _settings(folder: Path, documents: dict[str, Document], plans: dict[str, Document]) -> Settings | None:
    """The typed settings; None when any file is not of its shape (noted in its document)."""
    brands = validate(documents["brands.yaml"], BrandsFile)
    sources = validate(documents["sources.yaml"], SourcesFile)
    topics = validate(documents["topics.yaml"], TopicsFile)
    rules = validate(documents["rules.yaml"], Rules)
    routes = validate(documents["routes.yaml"], RoutesFile)
    service = validate(documents["service.yaml"], Schedules)
    files = [validate(document, PlanFile) for document in plans.values()]
    if not (brands and sources and topics and rules and routes and service) or None in files:
        return None
    return Settings(
        folder=folder,
        brands=brands.brands,
        sources=sources.sources,
        topics=topics.topics,
        rules=rules,
        routes=routes.routes,
        service=service,
        plans={file.id: file.noun() for file in files if file},
    )


def _plan_documents(folder: Path) -> tuple[dict[str, Document], list[Problem]]:
    """The plan files by name without ``.yaml``, and what is wrong with their folder."""
    plans = folder / PLANS
    problem = ""
    names: list[str] = []
    try:
        names = sorted(entry.name for entry in os.scandir(plans) if entry.name.endswith((".yaml", ".yml")))
    except FileNotFoundError:
        problem = "预案文件夹不存在"
    except NotADirectoryError:
        problem = "应该是文件夹，却是文件"
    except OSError:
        problem = "没有读取权限，或读不了"
    if len(names) > MAX_PLANS:
        problem = f"预案文件超过 {MAX_PLANS} 个"
    problems = [Problem(file=str(plans), line=0, key="", message=problem)] if problem else []
    problems += [
        Problem(file=str(plans / name), line=0, key="", message="文件名要以 .yaml 结尾")
        for name in names
        if name.endswith(".yml")
    ]
    kept = [name for name in names[:MAX_PLANS] if name.endswith(".yaml")]
    return {name.removesuffix(".yaml"): read(plans / name) for name in kept}, problems
