"""MOCK_BREACH: one whole check offline: an aggregate exposure, a made-up chain, rows that can never be approved."""

import asyncio
import uuid
from typing import TYPE_CHECKING

from agents.hedge_rows import proposal_row, sentence_of
from agents.mock_market import mock_market
from agents.proposer_engine import RiskRegimeLoader, nobody
from agents.runner import Report
from models.proposed_trade import Check, Origin
from models.quant.breach import MOCK_TERM, MOCK_VIX, mock_exposure, smallest_hedge_lot
from models.quant.margin import margin_change
from models.quant.margin_rules import IBKR
from models.quant.proposing import MarginEffect, Scene, propose, top_three
from models.quant.regime_rules import Regime
from models.quant.vectors import vectorise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from agents.desk import Desk
    from models.quant.terms import Holding

ACCOUNT = "SIMMOCK"


async def check_mock(desk: "Desk", life: "timedelta") -> Report:
    """Propose against the mock breach and write one to three Pending rows of origin mock."""
    began, started = desk.machine_now(), asyncio.get_running_loop().time()
    now = await desk.now()
    outlook = await RiskRegimeLoader(desk.store, desk.settings).load(nobody(ACCOUNT), (), now, began)
    exposure = mock_exposure()
    limits = outlook.appetite.limits(outlook.profile, Regime.NEUTRAL, exposure.nlv, MOCK_VIX, MOCK_TERM)
    view, contracts = mock_market(now)

    def estimate(added: "Sequence[Holding]") -> MarginEffect | None:
        change = margin_change((), added, view, IBKR)
        return None if change.initial is None else MarginEffect(change.initial, change.maintenance)

    scene = Scene(
        vectors=vectorise(contracts, view),
        exposure=exposure,
        limits=limits,
        hedges=outlook.appetite.hedges,
        gates=outlook.appetite.gates,
        spx=view.spx,
        smallest_lot=smallest_hedge_lot(view.spx),
        margin_of=estimate,
        mock=True,
    )
    proposals = await asyncio.to_thread(propose, scene)
    chosen = top_three(proposals.ranked, scene)
    created, set_id = desk.machine_now(), uuid.uuid4().hex
    rows = [proposal_row(c, ACCOUNT, Origin.MOCK, set_id, created, created + life) for c in chosen]
    for row in rows:
        row.regime, row.profile = Regime.NEUTRAL.value, outlook.profile.value
    check = Check(
        account_id=ACCOUNT,
        at=began,
        desk_at=now,
        regime=Regime.NEUTRAL.value,
        profile=outlook.profile.value,
        breaches=sum(breach.is_cap for breach in proposals.breaches),
        candidates=proposals.looked_at,
        refused=proposals.refusals.to_json(),
        proposed=len(rows),
        seconds=asyncio.get_running_loop().time() - started,
        sentence="MOCK: " + sentence_of(proposals.breaches, chosen, proposals.looked_at, {}),
        breach_set_id=set_id,
    )
    sentence = check.sentence
    await desk.store.proposals.replace_pending(ACCOUNT, Origin.MOCK, rows, check, created)
    return Report(sentence, rows=len(chosen), detail={"mock": True})
