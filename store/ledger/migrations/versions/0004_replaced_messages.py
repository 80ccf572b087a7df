"""Of messages grouped into another: which one tells them, where others took its place, and when it was sent.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

GROUPED, REPLACED = "grouped:", "replaced by "
"""How ``error`` begins; the id of the other message follows."""
OUTBOX = sa.table(
    "outbox", sa.column("id"), sa.column("state"), sa.column("error", sa.Text()), sa.column("sent_at")
)


def upgrade() -> None:
    replaced, grouped = _others(REPLACED), _others(GROUPED)
    lead = OUTBOX.alias()
    for id_, first in grouped.items():
        last = first
        while last in replaced:
            last = replaced[last]
        sent_at = sa.select(lead.c.sent_at).where(lead.c.id == last).scalar_subquery()
        which = (OUTBOX.c.id == id_, OUTBOX.c.error == f"{GROUPED}{first}")
        op.execute(sa.update(OUTBOX).where(*which).values(error=f"{GROUPED}{last}", sent_at=sent_at))


def _others(beginning: str) -> dict[str, str]:
    """Dropped messages that nobody is known to have got, each with the one that was told instead."""
    begins = (OUTBOX.c.state == "dropped", OUTBOX.c.sent_at.is_(None), OUTBOX.c.error.startswith(beginning))
    rows = op.get_bind().execute(sa.select(OUTBOX.c.id, OUTBOX.c.error).where(*begins))
    return {row.id: row.error.removeprefix(beginning) for row in rows}


def downgrade() -> None:
    """Older versions read both forms."""
