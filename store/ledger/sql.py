"""The ledger over one SQL database: wires the repositories."""

from __future__ import annotations

from pathlib import Path

from store.ledger import (
    Alerts,
    Audit,
    Corrections,
    Incidents,
    Journal,
    Outbox,
    PlanRuns,
    Signals,
    Silences,
    SourceRuns,
    States,
)
from store.ledger.alerts import SqlAlerts
from store.ledger.audit import SqlAudit
from store.ledger.corrections import SqlCorrections
from store.ledger.engine import Handle, sqlite_handle
from store.ledger.incidents import SqlIncidents
from store.ledger.journal import SqlJournal
from store.ledger.migrate import migrate
from store.ledger.outbox import SqlOutbox
from store.ledger.plan_runs import SqlPlanRuns
from store.ledger.signals import SqlSignals
from store.ledger.silences import SqlSilences
from store.ledger.source_runs import SqlSourceRuns
from store.ledger.states import SqlStates


class SqlLedger:
    """See ``store.ledger.Ledger``. Opening brings the schema to this version."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        migrate(handle)
        self.states: States = SqlStates(handle)
        self.signals: Signals = SqlSignals(handle)
        self.alerts: Alerts = SqlAlerts(handle)
        self.outbox: Outbox = SqlOutbox(handle)
        self.incidents: Incidents = SqlIncidents(handle)
        self.journal: Journal = SqlJournal(handle)
        self.plan_runs: PlanRuns = SqlPlanRuns(handle)
        self.silences: Silences = SqlSilences(handle)
        self.corrections: Corrections = SqlCorrections(handle)
        self.source_runs: SourceRuns = SqlSourceRuns(handle)
        self.audit: Audit = SqlAudit(handle)

    @classmethod
    def sqlite(cls, path: Path) -> SqlLedger:
        """The ledger in an SQLite file. Raises ``StoreError`` when the file cannot be used."""
        handle = sqlite_handle(path)
        try:
            return cls(handle)
        except BaseException:
            handle.close()
            raise

    def close(self) -> None:
        """Release connections."""
        self._handle.close()
