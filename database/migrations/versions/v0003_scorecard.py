"""The scorecard: proposals followed for their life, one row a desk day."""

import sqlalchemy as sa
from alembic import op

from models import columns

revision = 'v0003_scorecard'
down_revision = 'v0002_market_facts'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('followed_days',
    sa.Column('id', columns.id_type(), nullable=False),
    sa.Column('followed_id', columns.id_type(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('at', columns.UtcDateTime(), nullable=False),
    sa.Column('closed', sa.Boolean(), nullable=False),
    sa.Column('value', sa.Float(), nullable=True),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('profit', sa.Float(), nullable=True),
    sa.Column('profit_mid', sa.Float(), nullable=True),
    sa.Column('theta', sa.Float(), nullable=True),
    sa.Column('decay', sa.Float(), nullable=True),
    sa.Column('spent', sa.Float(), nullable=True),
    sa.Column('breach', sa.Float(), nullable=True),
    sa.Column('breach_with', sa.Float(), nullable=True),
    sa.Column('kept', sa.Float(), nullable=True),
    sa.Column('why', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('followed_id', 'day')
    )
    op.create_table('followed_proposals',
    sa.Column('id', columns.id_type(), nullable=False),
    sa.Column('proposal_id', columns.id_type(), nullable=False),
    sa.Column('last_proposal_id', columns.id_type(), nullable=False),
    sa.Column('times', sa.Integer(), nullable=False),
    sa.Column('desk_at', columns.UtcDateTime(), nullable=False),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.Column('breach_known', sa.Boolean(), nullable=False),
    sa.Column('breach_until', columns.UtcDateTime(), nullable=True),
    sa.Column('breach_ended', sa.String(), nullable=True),
    sa.Column('filled', sa.Integer(), nullable=False),
    sa.Column('fill_price', sa.Float(), nullable=True),
    sa.Column('fill_fees', sa.Float(), nullable=True),
    sa.Column('unfilled_reason', sa.String(), nullable=False),
    sa.Column('settlements', columns.json_type(), nullable=False),
    sa.Column('ended_at', columns.UtcDateTime(), nullable=True),
    sa.Column('verdict', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('proposal_id')
    )
    with op.batch_alter_table('followed_proposals', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_followed_proposals_ended_at'), ['ended_at'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('followed_proposals', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_followed_proposals_ended_at'))

    op.drop_table('followed_proposals')
    op.drop_table('followed_days')
