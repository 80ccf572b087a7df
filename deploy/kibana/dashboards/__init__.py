"""The dashboards, one module each; ``ALL`` is their order in the navigation line."""

from __future__ import annotations

from deploy.kibana.dashboards import competitors, crisis, overview, response, sources, spread
from deploy.kibana.panels import Dashboard, Names


def dashboards(names: Names) -> tuple[Dashboard, ...]:
    """All of them, for an installation's brands."""
    return (
        overview.dashboard(),
        crisis.dashboard(),
        competitors.dashboard(names),
        spread.dashboard(),
        sources.dashboard(),
        response.dashboard(),
    )
