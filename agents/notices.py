"""Tells the person: one alert row per cause, and a message to their own channels when the cause is new.

The rules of when (DOMAIN.md section 4): a hedge scores above the threshold, the regime is crisis, a breach stands above
110 % of its limit on two checks running, or a breach has no feasible hedge. Red in crisis, else yellow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.base import Notice
from agents.desk import Desk
from models.quant.breach import Breach
from models.quant.regime_rules import Regime

FAR_OVER = 1.10
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
    over_before: frozenset[str] = frozenset()
    """Kinds that stood above 110 % of their limit at the previous check."""


def far_over(breaches: Sequence[Breach]) -> frozenset[str]:
    """Kinds of caps above 110 % of their limit; a limit of zero is over at once."""
    return frozenset(b.kind.value for b in breaches if b.is_cap and (b.use is None or b.use > FAR_OVER))


def due(outcome: Outcome, threshold: float) -> dict[str, str | None]:
    """Cause → what to say, or None where the cause is over and its alert settles."""
    caps = [b for b in outcome.breaches if b.is_cap]
    stubborn = far_over(outcome.breaches) & outcome.over_before
    words = "; ".join(b.words.rstrip(".") for b in caps)
    good = outcome.proposed and outcome.best_score is not None and outcome.best_score > threshold
    return {
        "hedge": f"{outcome.proposed} hedges are proposed. {outcome.sentence}" if good else None,
        "crisis": f"The regime is crisis. {outcome.sentence}" if outcome.regime is Regime.CRISIS else None,
        "stands": f"Above 110 % of its limit on two checks running: {words}." if stubborn else None,
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
    for name, words in due(outcome, desk.settings.proposer_notify_threshold).items():
        cause, now = f"{name}:{outcome.account_id}", desk.machine_now()
        if words is None:
            await desk.store.control.settle_alert(cause, now)
        elif await desk.store.control.raise_alert(cause, severity, TITLES[name], words, SOURCE, now):
            await send(desk, Notice(severity, TITLES[name], words, cause=cause))
            sent += 1
    return sent


async def send(desk: Desk, notice: Notice) -> None:
    """To the person's channels, where there are any; a channel that fails is itself an alert, never a failed pass."""
    if not desk.settings.notify_urls:
        return
    from adapters.connect import open_notifier  # brings every channel's library with it

    answer = await open_notifier(desk.settings).send_alert(notice)
    now = desk.machine_now()
    if answer.failed:
        await desk.store.control.raise_alert(
            "notifier", "yellow", "A notice could not be delivered", answer.failure or "", SOURCE, now
        )
    else:
        await desk.store.control.settle_alert("notifier", now)
