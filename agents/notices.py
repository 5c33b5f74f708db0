"""Tells the person: one alert row per cause, and a message to their own channels when the cause is new.

The rules of when (DOMAIN.md section 4): a hedge scores above the threshold, the regime is crisis, a breach stands above
110 % of its limit on two checks running, or a breach has no feasible hedge. Red in crisis, else yellow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.base import Notice
from agents.desk import Desk
from bridge.notices import channels_are_known, deliver
from models.quant.breach import Breach, breach_key
from models.quant.regime_rules import Regime

SOURCE = "trade_proposer"


@dataclass(frozen=True)
class Outcome:
    """What a completed check of one account found, as far as somebody must be told of it."""

    account_id: str
    regime: Regime
    breaches: Sequence[Breach]
    best_score: float | None
    proposed: int
    sentence: str
    far_over: frozenset[str] = frozenset()
    """Caps that stand above 110 % of their limit, as `far_over` names them."""
    over_before: frozenset[str] = frozenset()
    """Those of the previous check."""


def far_over(breaches: Sequence[Breach], share: float) -> frozenset[str]:
    """Caps above `share` of their limit, by kind and subject; a limit of zero is over at once."""
    over = (b for b in breaches if b.is_cap and (b.use is None or b.use > share + 1e-12))
    return frozenset(breach_key(b.kind, b.subject) for b in over)


def due(outcome: Outcome, threshold: float) -> dict[str, str | None]:
    """Cause → what to say, or None where the cause is over and its alert settles."""
    caps = [b for b in outcome.breaches if b.is_cap]
    stubborn = outcome.far_over & outcome.over_before
    words = "; ".join(b.words.rstrip(".") for b in caps if breach_key(b.kind, b.subject) in stubborn)
    good = outcome.proposed and outcome.best_score is not None and outcome.best_score > threshold
    return {
        "hedge": f"{outcome.proposed} hedges are proposed. {outcome.sentence}" if good else None,
        "crisis": f"The regime is crisis. {outcome.sentence}" if outcome.regime is Regime.CRISIS else None,
        "stands": f"Far over its limit on two checks running: {words}." if words else None,
        "no-hedge": f"No feasible hedge was found. {outcome.sentence}" if caps and not outcome.proposed else None,
    }


TITLES = {
    "hedge": "A hedge is worth your look",
    "crisis": "Crisis regime",
    "stands": "A breach stands",
    "no-hedge": "No feasible hedge",
}


async def tell(desk: Desk, outcome: Outcome) -> int:
    """Raise, count or settle the alerts of this outcome; answers how many were new and sent."""
    severity = "red" if outcome.regime is Regime.CRISIS else "yellow"
    sent = 0
    if desk.settings.notify_urls:
        await channels_are_known(desk.store, desk.machine_now())
    for name, words in due(outcome, desk.settings.proposer_notify_threshold).items():
        cause = f"{name}:{outcome.account_id}"
        if words is None:
            await desk.store.control.settle_alert(cause, desk.machine_now())
        else:
            sent += await alert(desk, Notice(severity, TITLES[name], words, cause=cause), SOURCE)
    return sent


async def alert(desk: Desk, notice: Notice, source: str) -> bool:
    """Raise or count the alert of a notice's cause; True when it was new, and so was sent."""
    now = desk.machine_now()
    new = await desk.store.control.raise_alert(
        notice.cause, notice.severity, notice.title, notice.body, source, now
    )  # fmt: skip
    if new:
        await send(desk, notice)
    return new


async def send(desk: Desk, notice: Notice) -> None:
    """To the person's channels; a channel that fails is itself an alert, never a failed pass."""
    from adapters.connect import open_notifier  # with it comes the road to the broker, which no thinker takes

    await deliver(desk.store, open_notifier(desk.settings), notice, SOURCE, desk.machine_now())
