"""The TWS socket as ib_async speaks it: one session per purpose, one parse function, one translation of contracts.

Everything that ib_async leaves ambiguous ends here: unset doubles, -1 and -2 for "not computed", a request that failed
and came back as an empty list, a deadline that nobody keeps.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import ib_async
from ib_async.ib import StartupFetch
from ib_async.wrapper import RequestError

from adapters.base import Answer, NotConnected
from models.clock import DeskClock
from models.quant.option import Contract, Right, SecType, parse_osi
from models.quant.product import Settlement, product_of

T = TypeVar("T")
log = logging.getLogger(__name__)

UNSET_ABOVE = 1e300
"""IBKR writes "unset" as the largest double, 1.7976931348623157E308; no price or margin comes near."""
NO_SUCH_CONTRACT = 200


def number(value: Any, *unset: float) -> float | None:
    """The one place where a broker's number becomes ours: None for empty, NaN, infinite, unset or one of `unset`."""
    if value is None or value == "":
        return None
    try:
        parsed = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(parsed) or abs(parsed) > UNSET_ABOVE or parsed in unset:
        return None
    return parsed


# ── contracts ────────────────────────────────────────────────────────────────────────────────────────────────────
def to_ib(contract: Contract, con_id: int | None = None) -> ib_async.Contract:
    """Ours as the broker takes it. An AM option is asked for by its month: IBKR dates it the day before settlement."""
    product = product_of(contract)
    expiry = ""
    if contract.expiry is not None:
        monthly = contract.is_option and product.settlement is Settlement.AM
        expiry = contract.expiry.strftime("%Y%m" if monthly else "%Y%m%d")
    return ib_async.Contract(
        conId=con_id or 0,
        secType=contract.sec_type.value,
        symbol=contract.symbol,
        lastTradeDateOrContractMonth=expiry,
        strike=contract.strike or 0.0,
        right=contract.right.value if contract.right else "",
        multiplier=f"{contract.multiplier:g}" if contract.is_option or contract.sec_type is SecType.FUTURE else "",
        exchange=route(contract),
        currency="USD",
        tradingClass=contract.trading_class if contract.is_option or contract.sec_type is SecType.FUTURE else "",
    )


def route(contract: Contract) -> str:
    """Where an order or a quote for it goes: the home exchange of futures and indices, else smart routing."""
    if contract.sec_type in (SecType.FUTURE, SecType.FUTURE_OPTION, SecType.INDEX):
        return product_of(contract).exchange
    return "SMART"


def from_ib(raw: ib_async.Contract) -> Contract:
    """The broker's as ours; raises ValueError for a security type or a date the desk does not know."""
    sec_type = SecType(raw.secType)
    size = number(raw.multiplier)
    expiry: date | None = None
    if raw.lastTradeDateOrContractMonth:
        expiry = datetime.strptime(raw.lastTradeDateOrContractMonth[:8], "%Y%m%d").replace(tzinfo=UTC).date()
    if sec_type is SecType.OPTION and raw.localSymbol:
        expiry = parse_osi(raw.localSymbol)[1]
    return Contract(
        symbol=raw.symbol,
        sec_type=sec_type,
        trading_class=(raw.tradingClass or raw.symbol) if sec_type.is_option or expiry else raw.symbol,
        multiplier=size if size else (100.0 if sec_type is SecType.OPTION else 1.0),
        expiry=expiry if sec_type.is_option or sec_type is SecType.FUTURE else None,
        strike=float(raw.strike) if sec_type.is_option else None,
        right=Right(raw.right[0]) if sec_type.is_option else None,
    )


# ── the broker's clock ───────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class ClockFit:
    """Desk time from the broker's whole seconds: every answer bounds the offset, the bounds are intersected.

    An answer outside the bounds means that the broker's clock was set or runs at another speed; the rate is then taken
    from the last two answers and the bounds begin anew.
    """

    rate: float = 1.0
    _origin: datetime | None = None
    _low: float = 0.0
    _high: float = 0.0
    _last: tuple[datetime, datetime] | None = None

    def hear(self, broker_second: datetime, machine_now: datetime) -> None:
        """`broker_second` is the broker's time cut to the second, heard at `machine_now`; both aware UTC."""
        if self._origin is None:
            self._begin(broker_second, machine_now)
        else:
            elapsed = (machine_now - self._origin).total_seconds() * self.rate
            low = (broker_second - self._origin).total_seconds() - elapsed
            if low >= self._high or low + 1.0 <= self._low:
                self.rate = self._rate_now(broker_second, machine_now)
                self._begin(broker_second, machine_now)
            else:
                self._low, self._high = max(low, self._low), min(low + 1.0, self._high)
        self._last = (broker_second, machine_now)

    def _begin(self, broker_second: datetime, machine_now: datetime) -> None:
        self._origin = machine_now
        self._low = (broker_second - machine_now).total_seconds()
        self._high = self._low + 1.0

    def _rate_now(self, broker_second: datetime, machine_now: datetime) -> float:
        """Broker seconds per machine second since the last answer; whole seconds cannot tell small differences."""
        assert self._last is not None
        passed = (machine_now - self._last[1]).total_seconds()
        if passed < SHORTEST_FIT:
            return self.rate
        moved = (broker_second - self._last[0]).total_seconds()
        error = 1.0 / passed
        for known in (self.rate, 0.0, 1.0, float(round(moved / passed))):
            if abs(moved / passed - known) <= error:
                return known
        return moved / passed

    def clock(self, machine_now: datetime) -> DeskClock:
        """The fitted clock; plain UTC while nothing was heard."""
        if self._origin is None:
            return DeskClock.utc(machine_now)
        offset = timedelta(seconds=(self._low + self._high) / 2)
        return DeskClock(self._origin, self._origin + offset, self.rate)


SHORTEST_FIT = 2.0
"""Machine seconds between two answers below which they say nothing about the broker's speed."""


# ── one session ──────────────────────────────────────────────────────────────────────────────────────────────────
class Link:
    """One socket session under one client id, for one purpose. Queries are asked one at a time, with a deadline."""

    def __init__(self, host: str, port: int, client_id: int, purpose: str, max_requests: int = 45) -> None:
        if client_id == 0:
            raise ValueError("client id 0 is the human's; choose another")
        self.host, self.port, self.client_id, self.purpose = host, port, client_id, purpose
        self.max_requests = max_requests
        self.ib = ib_async.IB()
        self.lost = asyncio.Event()
        self.errors: list[tuple[int, int, str]] = []
        self._gate = asyncio.Lock()

    @property
    def ready(self) -> bool:
        return bool(self.ib.isConnected())

    async def open(self, fetch: StartupFetch, deadline: float = 6.0) -> None:
        """Connect and sync; raises NotConnected with the broker's words when there are any."""
        ib = ib_async.IB()
        ib.RaiseRequestErrors = True  # otherwise a refused query comes back as an empty list
        ib.client.MaxRequests = self.max_requests
        ib.client.setConnectOptions("+PACEAPI")  # a burst is slowed by the broker, not refused with a lost answer
        said: list[str] = []

        def hear(_request: int, code: int, text: str, _contract: Any) -> None:
            if code not in FARM_NOTICES:
                said.append(f"{code}: {text}")

        ib.errorEvent += hear
        try:
            await ib.connectAsync(
                self.host, self.port, self.client_id, timeout=deadline, raiseSyncErrors=True,
                fetchFields=fetch,
            )  # fmt: skip
        except (OSError, TimeoutError, RequestError) as error:
            words = "; ".join(said[-3:]) or str(error) or type(error).__name__
            remedy = "is TWS, the gateway or the venue running with its API port open?"
            if any(text.startswith("326") for text in said):
                remedy = "another session holds this client id; wait for it to end or stop it"
            raise NotConnected(
                f"{self.purpose} connection to {self.host}:{self.port} as client {self.client_id}: {words}; {remedy}"
            ) from error
        finally:
            ib.errorEvent -= hear
        self.ib = ib
        self.lost = asyncio.Event()
        ib.client.apiEnd += self.lost.set

    def close(self) -> None:
        if self.ib.client.isConnected():
            self.ib.disconnect()
        self.lost.set()

    async def ask(self, what: str, question: Callable[[], Awaitable[T]], deadline: float) -> Answer[T]:
        """One query. Failed when not connected, refused, or late; a late one closes the session.

        ib_async tells answers apart by kind, not by request: a late answer to the first question would pass for the
        answer to the second, so a session that missed a deadline is not asked again.
        """
        async with self._gate:
            if not self.ready:
                return Answer.fail(f"{what}: the {self.purpose} connection is closed")
            try:
                return Answer.of(await asyncio.wait_for(_await(question), deadline))
            except TimeoutError:
                self.close()
                return Answer.fail(f"{what}: no answer within {deadline:g} s")
            except RequestError as error:
                return Answer.fail(f"{what}: {error.code}: {error.message}")
            except ConnectionError as error:
                return Answer.fail(f"{what}: the connection was lost ({error})")

    async def lookup(self, raw: ib_async.Contract, deadline: float) -> Answer[list[ib_async.ContractDetails]]:
        """Contract details; "no such contract" is an empty answer, everything else that goes wrong a failed one."""
        if not self.ready:
            return Answer.fail(f"contract details: the {self.purpose} connection is closed")
        try:
            found = await asyncio.wait_for(self.ib.reqContractDetailsAsync(raw), deadline)
        except TimeoutError:
            return Answer.fail(f"contract details: no answer within {deadline:g} s")
        except RequestError as error:
            if error.code == NO_SUCH_CONTRACT:
                return Answer.of([])
            return Answer.fail(f"contract details: {error.code}: {error.message}")
        except ConnectionError as error:
            return Answer.fail(f"contract details: the connection was lost ({error})")
        return Answer.of(list(found))

    async def broker_second(self, deadline: float) -> Answer[datetime]:
        return await self.ask("current time", lambda: self.ib.reqCurrentTimeAsync(), deadline)


FARM_NOTICES = frozenset({2103, 2104, 2105, 2106, 2107, 2108, 2119, 2158})


async def _await(question: Callable[[], Awaitable[T]]) -> T:
    return await question()


class Qualifier:
    """conIds of our contracts through one link, remembered for the life of the session."""

    CONCURRENT = 20

    def __init__(self, link: Link, deadline: float = 10.0) -> None:
        self._link = link
        self._deadline = deadline
        self._known: dict[str, int] = {}

    def forget(self) -> None:
        self._known.clear()

    def remember(self, details: Iterable[ib_async.ContractDetails]) -> tuple[Contract, ...]:
        """Ours of what the broker listed; their conIds need not be asked for one by one again."""
        found = []
        for raw in (line.contract for line in details if line.contract is not None):
            contract = from_ib(raw)
            self._known[contract.identity] = raw.conId
            found.append(contract)
        return tuple(found)

    async def con_ids(self, contracts: list[Contract]) -> Answer[dict[Contract, int]]:
        """conId per contract, absent where the broker lists no contract of that very identity."""
        missing = [c for c in dict.fromkeys(contracts) if c.identity not in self._known]
        gate = asyncio.Semaphore(self.CONCURRENT)
        failures: list[str] = []

        async def one(contract: Contract) -> None:
            async with gate:
                answer = await self._link.lookup(to_ib(contract), self._deadline)
            if answer.failure is not None:
                failures.append(f"{contract}: {answer.failure}")
                return
            for details in answer.data or []:
                if details.contract is not None and names(details.contract, contract):
                    self._known[contract.identity] = details.contract.conId

        await asyncio.gather(*(one(contract) for contract in missing))
        if failures:
            return Answer.fail(failures[0])
        return Answer.of({c: self._known[c.identity] for c in contracts if c.identity in self._known})


def names(raw: ib_async.Contract, contract: Contract) -> bool:
    """Whether the broker's contract is this very one: same identity and security type."""
    try:
        theirs = from_ib(raw)
    except ValueError:
        return False
    return theirs.identity == contract.identity and theirs.sec_type is contract.sec_type
