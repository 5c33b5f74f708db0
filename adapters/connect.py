"""Settings to adapters: the only file that knows which is which, and where the interlock between mode and account is.

In DEMO the broker is our own venue on loopback: it is found or started here. PAPER and LIVE only change the address.
"""

import asyncio
from collections.abc import Callable

from adapters.base import ConfigurationError, Notifier
from adapters.ibkr_adapter import IbkrBroker, Road
from adapters.ibkr_market import IbkrMarketData
from models.settings import Mode, Settings, is_loopback, mask_account


async def open_broker(settings: Settings) -> IbkrBroker:
    """A broker for the bridge, not connected yet: `connect` may be tried again. Raises ConfigurationError."""
    _refuse_unsafe_road(settings)
    return IbkrBroker(await road(settings), account_check(settings))


async def open_market_data(settings: Settings) -> IbkrMarketData:
    """Quotes for the streams process, not connected yet."""
    _refuse_unsafe_road(settings)
    return IbkrMarketData(await road(settings), settings.quotes_client_id)


def open_notifier(settings: Settings) -> Notifier | None:
    """The person's channels; None while NOTIFY_URLS is empty."""
    if not settings.notify_urls:
        return None
    from adapters.notifier import NotificationDispatcher  # brings every channel's library with it

    return NotificationDispatcher(settings.notify_urls)


async def road(settings: Settings) -> Road:
    """Where the broker is. In DEMO without IB_PORT the venue of this machine is attached to, or started."""
    host, port, account = settings.ib_host, settings.ib_port, settings.ib_account
    if settings.mode is Mode.DEMO and port == 0:
        from adapters.simulator.launch import LaunchError, attach_or_start  # only the demo has a simulator

        try:
            address = await asyncio.to_thread(attach_or_start, settings, settings.var_dir)
        except LaunchError as error:
            raise ConfigurationError(str(error)) from error
        host, port, account = address.host, address.port, address.account
    demo = settings.mode is Mode.DEMO
    return Road(
        host=host,
        port=port,
        orders_client_id=settings.orders_client_id,
        account_client_id=settings.what_if_client_id,
        account=account,
        clock_rate=_venue_rate(settings) if demo else 1.0,
        follows_broker_clock=demo,
        what_if_deadline=settings.what_if_deadline,
    )


def _venue_rate(settings: Settings) -> float:
    """How fast the venue's clock is expected to run; a recorded chain stands still unless a speed was asked for."""
    return 0.0 if settings.venue_chain and settings.venue_speed == 1.0 else settings.venue_speed


def account_check(settings: Settings) -> Callable[[tuple[str, ...]], str | None]:
    """The interlock on connected accounts: why they may not be used in this mode, or None."""

    def check(accounts: tuple[str, ...]) -> str | None:
        shown = ", ".join(mask_account(account) for account in accounts) or "none"
        if settings.mode is Mode.DEMO:
            if accounts and all(account.startswith("SIM") for account in accounts):
                return None
            return f"wrong account: DEMO trades only our own venue's SIM accounts, the broker offers {shown}"
        if settings.ib_account not in accounts:
            return (
                f"wrong account: IB_ACCOUNT {mask_account(settings.ib_account)} is not offered; the broker has {shown}"
            )
        paper = settings.ib_account.upper().startswith("D")
        if settings.mode is Mode.PAPER and not paper:
            return f"wrong account: PAPER trades only paper accounts (D…), the broker offers {shown}"
        if settings.mode is Mode.LIVE and paper:
            return f"wrong account: LIVE refuses the paper account {shown}"
        return None

    return check


def _refuse_unsafe_road(settings: Settings) -> None:
    if settings.mode is Mode.DEMO and not is_loopback(settings.ib_host):
        raise ConfigurationError("IB_HOST must be loopback in DEMO; set DESK_MODE=PAPER for a broker elsewhere")
