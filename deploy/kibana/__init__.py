"""Kibana for brand managers: data views, saved searches and dashboards, made from code.

``panels`` is the language the dashboards are written in, ``words`` the one table of Chinese labels;
``objects`` turns them into what Kibana imports, ``lint`` checks that, ``replay`` asks Elasticsearch the same
questions, ``preview`` draws the answers, ``push`` imports.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from config.settings import Settings
from deploy.kibana.panels import Names

FILE = "yujing.ndjson"


def shipped() -> Traversable:
    """The saved objects of the configuration that comes along."""
    return files("deploy.kibana").joinpath(FILE)


def names(settings: Settings, platforms: Mapping[str, str]) -> Names:
    """What the configuration calls things; own brands first, since only so many get a line of their own."""
    brands = sorted(settings.brands, key=lambda brand: brand.kind != "own")
    return Names(
        brands={brand.id: brand.name for brand in brands},
        topics={topic.id: topic.name for topic in settings.topics},
        sources={source.id: source.name.partition("（")[0] for source in settings.sources},
        platforms=dict(platforms),
    )
