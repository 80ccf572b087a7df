"""The desk: alerts become incidents, and people decide about them.

Every change is conditional on the version that was read, and is tried again on what another process left; every
step is written to the timeline with who and why. All of it may be called again for the same alert revision:
what was done once is found in the timeline and not done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from domain.alert import Alert, AlertState, Change, Level
from domain.errors import InputError, StoreError
from domain.incident import OPEN, RULE, Incident, IncidentStatus, TimelineEvent, highest_told, tells
from domain.plan import Plan, PlanRun
from response import mails
from response import plans as running
from store.ledger import MOST_OPEN, AuditEntry, Ledger

ENDED = tuple(status for status in IncidentStatus if not status.open)
ATTEMPTS = 8
"""Times to try a change that other processes overtake."""

Step = Callable[[Incident], tuple[Incident, TimelineEvent] | None]
"""From the stored incident to the next one with its event; None: there is nothing to change."""


class Desk:
    """Opens, joins and changes incidents, and starts plans."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        plans: Mapping[str, Plan],
        plan_for: Callable[[str, Level], Plan | None],
    ) -> None:
        """``plans``: by id. ``plan_for``: the plan proposed for a topic at a level, or None."""
        self._ledger = ledger
        self._plans = plans
        self._plan_for = plan_for

    # ------------------------------------------------------------------ alerts

    def on_alert(self, alert: Alert, *, now: datetime) -> Incident | None:
        """The incident that an alert revision opens, joins or belongs to; None when it needs none.

        Operator alerts, alerts below 黄 that nobody works on, and those that people ended already (until the
        level rises above what was called false, or there is news after the close) need none.
        """
        if not alert.brand:
            return None
        known = self._ledger.incidents.find(brand=alert.brand, statuses=OPEN, limit=MOST_OPEN)
        ended = self._ledger.incidents.find(brand=alert.brand, statuses=ENDED)
        holder = next((i for i in known if alert.id in i.alerts), None)
        last = next((i for i in ended if alert.id in i.alerts), None)
        if holder is None and last is not None and self._is_settled(last, alert):
            return None
        if holder is None and alert.level < Level.YELLOW:
            return None
        if alert.change is Change.RECOVERED:
            return self._noted(holder, alert, "recovered", now=now) if holder else None
        if holder is None:
            alike = (i for i in known if i.topic == alert.lead_topic)
            holder = next(alike, None) or self._open(alert, now=now)
        incident = self._change(holder.id, lambda current: self._absorbed(current, alert, now=now))
        if not incident.status.open:  # somebody ended it this moment: it takes nothing in any more
            return self.on_alert(alert, now=now)
        self._append_tasks(incident, now=now)
        return self._noted(incident, alert, "updated", now=now)

    def _is_settled(self, ended: Incident, alert: Alert) -> bool:
        """Whether an ended incident already answers this revision: told of it, or called it false."""
        if ended.status is IncidentStatus.FALSE_ALARM:
            timeline = self._ledger.incidents.timeline(ended.id)
            return alert.level <= highest_told(timeline, self._ledger.journal.revisions(alert.id))
        return alert.change is Change.RECOVERED or self._tells(ended, alert)

    def _tells(self, incident: Incident, alert: Alert) -> bool:
        return tells(self._ledger.incidents.timeline(incident.id), alert)

    def _noted(self, incident: Incident, alert: Alert, kind: str, *, now: datetime) -> Incident:
        """The incident, its timeline telling of this revision: once, whatever else it changed."""
        if not self._tells(incident, alert):
            event = _rule_event(incident.id, alert, kind, reason=alert.explanation, now=now)
            # Asked again where no other process can come between the question and the entry.
            self._ledger.incidents.note(event, unless=lambda told: tells(told, alert))
        return incident

    def _open(self, alert: Alert, *, now: datetime) -> Incident:
        """A new incident, or the one that another process opened first."""
        plan = self._plan_for(alert.lead_topic, alert.level)
        incident = Incident(
            id="",
            brand=alert.brand,
            topic=alert.lead_topic,
            level=alert.level,
            status=IncidentStatus.TRIAGE,
            opened_at=now,
            onset=alert.onset,
            plan=plan.id if plan else "",
            alerts=(alert.id,),
        )
        after = {"level": alert.level.id, "topic": alert.lead_topic, "plan": incident.plan}
        event = _rule_event("", alert, "opened", reason=alert.explanation, now=now, after=after)
        return self._ledger.incidents.open(incident, event)

    def _absorbed(
        self, incident: Incident, alert: Alert, *, now: datetime
    ) -> tuple[Incident, TimelineEvent] | None:
        """The incident with this alert in it, at the higher of both levels, with topic and plan if it had none.

        None when that changes nothing, or the incident has ended.
        """
        if not incident.status.open:
            return None
        topic = incident.topic or self._free_topic(incident, alert)
        level = max(incident.level, alert.level)
        plan = self._plan_for(topic, level)
        after = replace(
            incident,
            alerts=incident.alerts if alert.id in incident.alerts else (*incident.alerts, alert.id),
            level=level,
            topic=topic,
            plan=incident.plan or (plan.id if plan else ""),
            onset=min(incident.onset, alert.onset) if alert.id not in incident.alerts else incident.onset,
        )
        if after == incident:
            return None
        kind = "level" if level > incident.level else "joined" if after.alerts != incident.alerts else "topic"
        event = _rule_event(
            incident.id,
            alert,
            kind,
            reason=alert.explanation,
            now=now,
            before={"level": incident.level.id, "topic": incident.topic, "plan": incident.plan},
            after={"level": level.id, "topic": topic, "plan": after.plan},
        )
        return after, event

    def _free_topic(self, incident: Incident, alert: Alert) -> str:
        """The alert's topic for an incident that has none, unless another open incident has it."""
        taken = self._ledger.incidents.find(brand=incident.brand, topic=alert.lead_topic, statuses=OPEN)
        return "" if taken else alert.lead_topic

    def _append_tasks(self, incident: Incident, *, now: datetime) -> None:
        """Tasks that the incident's level asks for and its running plans do not have yet; none is ever deleted."""
        for run in self._ledger.plan_runs.find(incident=incident.id):
            new = running.missing(run, level=incident.level, now=now)
            if new:
                event = TimelineEvent(
                    incident=incident.id,
                    at=now,
                    actor=RULE,
                    kind="tasks_added",
                    reason=f"级别为{incident.level.colour}色，追加 {len(new)} 项任务",
                    after={"plan": run.plan, "tasks": ", ".join(task.task for task in new)},
                )
                self._ledger.plan_runs.add_tasks(run.id, new, event)

    # --------------------------------------------------------------- decisions

    def acknowledge(self, id_: str, *, actor: str, reason: str = "", now: datetime) -> Incident:
        """Take it over: ``actor`` owns it from now on. Raises ``InputError`` when it is closed or unknown."""

        def step(incident: Incident) -> tuple[Incident, TimelineEvent] | None:
            if incident.owner == actor:
                return None
            after = replace(incident, owner=actor, acknowledged_at=incident.acknowledged_at or now)
            return after, _decision(incident, after, "acknowledged", actor=actor, reason=reason, now=now)

        return self._decide(id_, "acknowledge", step, actor=actor, reason=reason, now=now)

    def confirm(self, id_: str, *, actor: str, reason: str = "", now: datetime) -> Incident:
        """It is real. Raises ``InputError`` when it is closed or unknown."""

        def step(incident: Incident) -> tuple[Incident, TimelineEvent] | None:
            if incident.status is not IncidentStatus.TRIAGE:
                return None
            after = _owned(replace(incident, status=IncidentStatus.CONFIRMED), actor, now)
            return after, _decision(incident, after, "confirmed", actor=actor, reason=reason, now=now)

        return self._decide(id_, "confirm", step, actor=actor, reason=reason, now=now)

    def false_alarm(self, id_: str, *, actor: str, reason: str, now: datetime) -> Incident:
        """It is not real: nothing more is sent for it unless its level rises.

        Raises ``InputError`` when it is closed or unknown, or without a reason.
        """
        return self._end(id_, IncidentStatus.FALSE_ALARM, actor=actor, reason=reason, now=now)

    def close(self, id_: str, *, actor: str, reason: str, now: datetime) -> Incident:
        """It is over. Raises ``InputError`` when it is closed or unknown, or without a reason."""
        return self._end(id_, IncidentStatus.CLOSED, actor=actor, reason=reason, now=now)

    def declare(self, id_: str, level: Level, *, actor: str, reason: str, now: datetime) -> Incident:
        """Set the level (调级). Raised at once, with the tasks that it asks for; lowered only after its alerts
        have recovered, which takes ``downgrade_after_hours`` of calm: tasks stay.

        Raises ``InputError`` when it is closed or unknown, without a reason, or too early.
        """
        if not reason.strip():
            raise InputError("需要写明原因")
        if level is Level.NONE:
            raise InputError("级别只能是 blue、yellow、orange、red")

        def step(incident: Incident) -> tuple[Incident, TimelineEvent] | None:
            if level == incident.level:
                return None
            if level < incident.level:
                self._must_have_recovered(incident)
            plan = self._plan_for(incident.topic, level)
            after = _owned(
                replace(incident, level=level, plan=incident.plan or (plan.id if plan else "")), actor, now
            )
            event = _decision(incident, after, "declared", actor=actor, reason=reason, now=now)
            before = {**event.before, "level": incident.level.id}
            return after, replace(event, before=before, after={**event.after, "level": level.id})

        incident = self._decide(id_, "declare_level", step, actor=actor, reason=reason, now=now)
        self._append_tasks(incident, now=now)
        return incident

    def _must_have_recovered(self, incident: Incident) -> None:
        found = (self._ledger.alerts.get(id_) for id_ in incident.alerts)
        firing = [alert.id for alert in found if alert is not None and alert.state is not AlertState.RESOLVED]
        if firing:
            raise InputError(f"事件 {incident.id} 还不能降级：预警 {'、'.join(firing)} 尚未恢复")

    def start_plan(self, incident_id: str, plan_id: str, *, actor: str, now: datetime) -> PlanRun:
        """Start a plan: a frozen copy of it, and tasks with due times, at the incident's level.

        An empty ``plan_id`` means the proposed plan. Raises ``InputError`` for an unknown incident or plan, a
        closed incident, or a plan that runs already.
        """
        incident = self._of(incident_id)
        _must_be_open(incident)
        plan = self._plan(incident, plan_id)
        if any(run.plan == plan.id for run in self._ledger.plan_runs.find(incident=incident.id)):
            raise InputError(f"事件 {incident.id} 已经启动过预案 {plan.id}")

        def respond(current: Incident) -> tuple[Incident, TimelineEvent] | None:
            after = _owned(replace(current, status=IncidentStatus.RESPONDING), actor, now)
            if after == current:
                return None
            return after, _decision(current, after, "responding", actor=actor, reason="", now=now)

        incident = self._change(incident.id, respond, when=_must_be_open)
        run = running.started(plan, incident=incident.id, level=incident.level, actor=actor, now=now)
        event = TimelineEvent(
            incident=incident.id,
            at=now,
            actor=actor,
            kind="plan_started",
            reason=f"启动{plan.name}，{len(run.tasks)} 项任务",
            after={"plan": plan.id, "version": plan.version, "tasks": str(len(run.tasks))},
        )
        if not self._ledger.plan_runs.start(run, event):
            raise InputError(f"事件 {incident.id} 已经启动过预案 {plan.id}")
        self._audit("start_plan", run.id, actor=actor, reason="", now=now)
        # The level may have risen between reading it and storing the run.
        self._append_tasks(self._of(incident.id), now=now)
        return next(kept for kept in self._ledger.plan_runs.find(incident=incident.id) if kept.id == run.id)

    def _plan(self, incident: Incident, plan_id: str) -> Plan:
        if not plan_id and not incident.plan:
            raise InputError(f"事件 {incident.id} 没有建议的预案，请写明预案编号")
        plan = self._plans.get(plan_id or incident.plan)
        if plan is None:
            raise InputError(f"没有预案 {plan_id or incident.plan}")
        return plan

    def _end(self, id_: str, status: IncidentStatus, *, actor: str, reason: str, now: datetime) -> Incident:
        if not reason.strip():
            raise InputError("需要写明原因")
        kind = "false_alarm" if status is IncidentStatus.FALSE_ALARM else "closed"

        def step(incident: Incident) -> tuple[Incident, TimelineEvent]:
            after = _owned(replace(incident, status=status, closed_at=now), actor, now)
            return after, _decision(incident, after, kind, actor=actor, reason=reason, now=now)

        incident = self._decide(id_, kind, step, actor=actor, reason=reason, now=now)
        if status is IncidentStatus.FALSE_ALARM:
            mails.take_back(self._ledger, incident, now=now)
        return incident

    # ------------------------------------------------------------------ ledger

    def _decide(
        self, id_: str, action: str, step: Step, *, actor: str, reason: str, now: datetime
    ) -> Incident:
        """A person's decision about an open incident: the change, its alerts acknowledged, and the audit."""
        before = self._of(id_)
        incident = self._change(id_, step, when=_must_be_open)
        # Acknowledged, not resolved: a resolved alert would fire again as a new one on the same counts.
        for alert in incident.alerts:
            self._ledger.alerts.set_state(alert, AlertState.ACKNOWLEDGED, expect=(AlertState.FIRING,))
        if incident.version != before.version:
            self._audit(action, id_, actor=actor, reason=reason, now=now)
        return incident

    def _change(self, id_: str, step: Step, *, when: Callable[[Incident], None] | None = None) -> Incident:
        """Apply a step to what is stored; when another process changed it meanwhile, to what that left."""
        for _ in range(ATTEMPTS):
            incident = self._of(id_)
            if when is not None:
                when(incident)
            change = step(incident)
            if change is None:
                return incident
            after, event = change
            after = replace(after, version=incident.version + 1)
            if self._ledger.incidents.change(after, event):
                return after
        raise StoreError(f"事件 {id_} 正在被其他人修改：请稍后再试", permanent=False)

    def _of(self, id_: str) -> Incident:
        incident = self._ledger.incidents.get(id_)
        if incident is None:
            raise InputError(f"没有事件 {id_}")
        return incident

    def _audit(self, action: str, subject: str, *, actor: str, reason: str, now: datetime) -> None:
        self._ledger.audit.record(
            AuditEntry(at=now, actor=actor, action=action, subject=subject, reason=reason)
        )


def _owned(incident: Incident, actor: str, now: datetime) -> Incident:
    """Whoever decides about an incident that nobody has taken takes it."""
    return replace(incident, owner=incident.owner or actor, acknowledged_at=incident.acknowledged_at or now)


def _must_be_open(incident: Incident) -> None:
    if not incident.status.open:
        raise InputError(f"事件 {incident.id} 已结束（{incident.status.word}），不能再改")


def _decision(
    before: Incident, after: Incident, kind: str, *, actor: str, reason: str, now: datetime
) -> TimelineEvent:
    changed = _changed(before, after, ("status", "owner"))
    return TimelineEvent(
        incident=before.id,
        at=now,
        actor=actor,
        kind=kind,
        reason=reason,
        before={name: old for name, (old, _) in changed.items()},
        after={name: new for name, (_, new) in changed.items()},
    )


def _changed(before: Incident, after: Incident, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    values = {name: (str(getattr(before, name)), str(getattr(after, name))) for name in names}
    return {name: pair for name, pair in values.items() if pair[0] != pair[1]}


def _rule_event(
    incident: str,
    alert: Alert,
    kind: str,
    *,
    reason: str,
    now: datetime,
    before: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
) -> TimelineEvent:
    """An automatic step; ``after`` always names the alert's revision, so that it is not done twice."""
    return TimelineEvent(
        incident=incident,
        at=now,
        actor=RULE,
        kind=kind,
        reason=reason,
        before=dict(before or {}),
        after={"alert": alert.id, "revision": str(alert.revision), **(after or {})},
    )
