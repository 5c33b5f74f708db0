"""What the broker says of an account's money, and the one brake it pulls: a day's loss over its limit pauses the desk.

The pause is set once per account and trading day; only a person releases it, and a release holds for that day.
"""

from datetime import datetime
from decimal import Decimal

from adapters.base import AccountValues
from bridge.claims import BRIDGE
from bridge.life import Life
from models.book import AccountSnapshot
from models.control import SwitchName
from models.quant.limits import Limits
from models.quant.product import NEW_YORK
from models.settings import mask_account

DAILY_LOSS = "daily loss"

MONEY = (
    "net_liquidation", "equity_with_loan", "initial_margin", "maintenance_margin", "available_funds",
    "excess_liquidity", "buying_power", "cash", "day_pnl", "unrealized_pnl", "realized_pnl",
)  # fmt: skip


def snapshot_of(values: AccountValues, machine: datetime, desk_now: datetime) -> AccountSnapshot:
    """The account's money as a row; NULL where the broker did not say."""
    row = AccountSnapshot(account_id=values.account_id, at=machine, desk_at=desk_now)
    for name in MONEY:
        value = getattr(values, name)
        setattr(row, name, None if value is None else Decimal(str(value)))
    return row


def loses_too_much(day_pnl: float | None, limit: float | None) -> bool:
    """Whether a day's result (currency, loss negative) is over its limit (positive); exactly at it, or unknown, is not.

    DOMAIN.md section 2: a daily loss of 3 % of net liquidation sets pause.
    """
    return day_pnl is not None and limit is not None and -day_pnl > limit


async def brake_on_loss(life: Life, values: AccountValues, limits: Limits, desk_now: datetime) -> None:
    """Set pause, audited, with a red alert, the first time an account's day loses too much; settle it once released."""
    control = life.store.control
    pause = await control.switch(SwitchName.PAUSE)
    paused = pause is None or pause.value != "off"
    if not paused:
        for alert in await control.alerts():
            if alert.cause.startswith(DAILY_LOSS):
                await life.settle(alert.cause)
    if not loses_too_much(values.day_pnl, limits.daily_loss):
        return
    day = desk_now.astimezone(NEW_YORK).date()
    cause = f"{DAILY_LOSS} {mask_account(values.account_id)} {day}"
    if any(alert.cause == cause for alert in await control.alerts(settled=True)):
        return  # said and braked today; what a person did since then stands
    words = f"the day's result is {values.day_pnl:,.0f}, over the limit of {-(limits.daily_loss or 0.0):,.0f}"
    if not paused:
        await control.set_switch(SwitchName.PAUSE, "on", BRIDGE, words, life.now())
    await life.alarm(cause, "red", "Daily loss: the desk is paused, only reducing trades go", words)
