"""Read ``config/``: every file, every fault at once, or the typed settings."""

from __future__ import annotations

import json
import os
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config import references
from config.document import Document, Key, read
from config.files import BrandsFile, PlanFile, RoutesFile, SourcesFile, TopicsFile
from config.messages import chinese, choices
from config.problems import Problem, near
from config.settings import Rules, Schedules, Settings
from domain.errors import ConfigError
from domain.plan import ROLES, Plan

FILES: dict[str, type[BaseModel]] = {
    "brands.yaml": BrandsFile,
    "sources.yaml": SourcesFile,
    "topics.yaml": TopicsFile,
    "rules.yaml": Rules,
    "routes.yaml": RoutesFile,
    "service.yaml": Schedules,
}
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
    if not folder.is_dir():
        message = "应该是文件夹，却是文件" if folder.exists() else "配置文件夹不存在"
        return _Reading(settings=None, problems=[Problem(file=str(folder), line=0, key="", message=message)])
    documents = {name: read(folder / name) for name in FILES}
    models = {name: _validate(document, FILES[name]) for name, document in documents.items()}
    plan_documents, problems = _plan_documents(folder)
    plan_models = {name: _validate(document, PlanFile) for name, document in plan_documents.items()}
    references.check(documents, models, plan_documents, plan_models)
    for document in (*documents.values(), *plan_documents.values()):
        problems += document.problems
    problems.sort(key=lambda problem: (problem.file, problem.line, problem.key))
    return _Reading(settings=None if problems else _settings(folder, models, plan_models), problems=problems)


def _settings(
    folder: Path, models: dict[str, BaseModel | None], plan_models: dict[str, BaseModel | None]
) -> Settings:
    plans: dict[str, Plan] = {}
    for model in plan_models.values():
        assert isinstance(model, PlanFile)
        plans[model.id] = model.noun()
    found: Any = models
    return Settings(
        folder=folder,
        brands=found["brands.yaml"].brands,
        sources=found["sources.yaml"].sources,
        topics=found["topics.yaml"].topics,
        rules=found["rules.yaml"],
        routes=found["routes.yaml"].routes,
        service=found["service.yaml"],
        plans=plans,
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
    except PermissionError:
        problem = "没有读取权限"
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


def _validate(document: Document, shape: type[BaseModel]) -> BaseModel | None:
    """The typed file, or None with its problems noted."""
    if document.value is None and document.problems:
        return None
    try:
        # JSON's strictness is what people expect of a file: a list may become a tuple, but
        # "5" does not become 5, nor true become 1.
        return shape.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            _note(document, shape, found)
        return None


def _note(document: Document, shape: type[BaseModel], error: ErrorDetails) -> None:
    path = tuple(error["loc"])
    suggestion = ""
    if error["type"] == "extra_forbidden":
        suggestion = near(str(path[-1]), _fields(shape, path[:-1]))
    elif choices(error) and isinstance(error["input"], str):
        suggestion = near(error["input"], choices(error))
    elif error["type"] == "string_type" and isinstance(error["input"], int | float):
        suggestion = json.dumps(str(error["input"]).lower())
    elif path[-1:] == ("role",) and isinstance(error["input"], str):
        suggestion = near(error["input"], ROLES)
    document.report(path, chinese(error), suggestion)


def _fields(shape: type[BaseModel], path: Sequence[Key]) -> list[str]:
    """Names of the fields of the model at a path."""
    for part in path:
        if isinstance(part, str) and part in shape.model_fields:
            inner = _model_in(shape.model_fields[part].annotation)
            if inner is None:
                return []
            shape = inner
    return list(shape.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model inside ``tuple[Model, ...]`` or ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        inner = _model_in(argument)
        if inner is not None:
            return inner
    return None
