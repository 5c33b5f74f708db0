"""Facts of the market that hedges rest on: open interest, dividends to come, and how far modelled prices were off."""

import sqlalchemy as sa
from alembic import op

from models import columns

revision = 'v0002_market_facts'
down_revision = 'v0001_first_tables'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('dividends',
    sa.Column('symbol', sa.String(), nullable=False),
    sa.Column('ex_date', sa.Date(), nullable=False),
    sa.Column('amount', sa.Float(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('at', columns.UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('symbol', 'ex_date')
    )
    op.create_table('surface_misses',
    sa.Column('symbol', sa.String(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('points', columns.json_type(), nullable=False),
    sa.Column('vol_points', columns.json_type(), nullable=False),
    sa.Column('half_spreads', columns.json_type(), nullable=False),
    sa.Column('since', columns.UtcDateTime(), nullable=False),
    sa.Column('at', columns.UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('symbol', 'day')
    )
    with op.batch_alter_table('quotes', schema=None) as batch_op:
        batch_op.add_column(sa.Column('open_interest', sa.Float(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('quotes', schema=None) as batch_op:
        batch_op.drop_column('open_interest')

    op.drop_table('surface_misses')
    op.drop_table('dividends')
