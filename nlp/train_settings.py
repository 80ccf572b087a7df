"""Settings of ``yujing train``: ``nlp/train.yaml``, and over it what a file of one's own says otherwise.

A mistake would show after the n-grams, or never: every key and value is looked at before anything begins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from domain.errors import ConfigError
from nlp import corpus

_GRAMS = {"features": int, "least": int, "strength": float}
_ABOVE_ZERO = {"passes", "warmup", "tokens", "threads", "accumulate", *_GRAMS}
_MOST = 1e12
_SHARES = {"warmup", "dropout", "rename", "average", "focus_from", "masked", "dropped"}
"""What is at most one."""
_SETS = {*corpus.LABELLED, *corpus.OTHERS, corpus.UNLABELLED}


def read(path: Path | None = None) -> dict[str, Any]:
    """The settings; a file of one's own holds only what differs. Raises ``ConfigError`` naming file and key."""
    shipped = _yaml(resources.files("nlp") / "train.yaml", "nlp/train.yaml")
    if path is None:
        return shipped
    own = _yaml(path, str(path))
    try:
        return _merged(shipped, own, _kinds(shipped))
    except ConfigError as error:
        raise ConfigError(f"训练设置 {path}：{error}") from error


def before_torch() -> None:
    """What torch reads in the environment when it is imported, where nobody has said otherwise.

    Threads of OpenMP that spin while they wait make a shared machine five times slower. Kernels are kept for every
    shape that a training meets, not for the last few.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")


def _yaml(path: Traversable | Path, name: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"读不了训练设置 {name}：{' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"训练设置 {name} 应是一组键值")
    return found


def _kinds(shipped: Mapping[str, Any]) -> dict[str, Any]:
    """Every key with the type of its value; those of a table are the shipped ones."""
    before_torch()
    from nlp.distil import Lessons
    from nlp.imitate import Practice
    from nlp.learn import Recipe
    from nlp.pretrain import Course

    kinds: dict[str, Any] = {"held_out": float, "wide": _GRAMS, "kinds": _GRAMS}
    for part, kind in (("encoder", Recipe), ("pretrain", Course), ("imitate", Practice), ("distil", Lessons)):
        kinds[part] = {
            name: dict.fromkeys(shipped[part][name], float) if hint == dict[str, float] else hint
            for name, hint in get_type_hints(kind).items()
        }
    return kinds


def _merged(
    chosen: Mapping[str, Any], own: Mapping[Any, Any], kinds: Mapping[str, Any], above: str = ""
) -> dict[str, Any]:
    """``own`` over ``chosen``, at every depth."""
    merged = dict(chosen)
    for key, value in own.items():
        name = f"{above}{key}"
        if key not in kinds and not _is_set(name):
            raise ConfigError(f"没有 {name} 这一项，只有 {'、'.join(kinds)}")
        kind = kinds.get(key, float)
        if not isinstance(kind, dict):
            merged[key] = _value(value, kind, str(key), name)
        elif isinstance(value, dict):
            merged[key] = _merged(chosen[key], value, kind, f"{name}.")
        else:
            raise ConfigError(f"{name} 应是一组键值")
    return merged


def _is_set(name: str) -> bool:
    """Whether it names something to read in a table that takes more than what ships: SET or SET/SOURCE.

    What is read before the labels may come from any file, and one that is missing is named with the corpora.
    """
    return name.startswith(("pretrain.sets.", "imitate.sets.")) or (
        name.startswith("distil.variants.") and name.split(".", maxsplit=2)[2].partition("/")[0] in _SETS
    )


def _value(value: Any, kind: type, key: str, name: str) -> Any:
    if kind is str:
        return _precision(value, name)
    number = value
    if isinstance(value, str):  # YAML 1.1 takes 3e-5, without a point, for a word
        try:
            number = float(value)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < _MOST:
        raise ConfigError(f"{name} 应是数字，不是 {value!r}")
    if kind is int:
        if number != int(number):
            raise ConfigError(f"{name} 应是整数，不是 {value!r}")
        number = int(number)
    if name == "held_out" and not 0 < number < 1:
        raise ConfigError(f"{name} 应在 0 与 1 之间，不是 {value!r}：没有留出的帖子就无法校准和评测")
    if number < 0 or (number == 0 and key in _ABOVE_ZERO) or (number > 1 and key in _SHARES):
        least = "大于 0" if key in _ABOVE_ZERO else "不小于 0"
        raise ConfigError(f"{name} 应{least}{'且不大于 1' if key in _SHARES else ''}，不是 {value!r}")
    return number


def _precision(value: Any, name: str) -> str:
    from nlp.precision import PRECISIONS

    if value not in PRECISIONS:
        raise ConfigError(f"{name} 应是 {'、'.join(PRECISIONS)}，不是 {value!r}")
    return str(value)
