"""${message}."""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Additive, so that servers of the version before go on beside those of this one."""
    ${upgrades if upgrades else "pass"}
