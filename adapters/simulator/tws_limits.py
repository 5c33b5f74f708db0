"""IBKR's limits as small meters: message rate, market-data lines, history pacing. Pure: `now` is monotonic seconds."""

from collections import defaultdict, deque
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Rules:
    """What this venue enforces and how patient it is; the defaults are IBKR's. Times are machine seconds."""

    market_data_lines: int = 100  # one user's, over all of its clients; a pending snapshot is a line too
    messages_a_second: int = 50
    rate_strikes: int = 3  # this many broken seconds (or as many excess messages again) and the client is cut off
    history_requests: int = 60
    history_window: float = 600.0
    identical_history: float = 15.0
    what_if_seconds: float = 0.02  # how long one what-if takes; the others of the user wait their turn
    what_ifs_waiting: int = 8
    what_ifs_lost: frozenset[int] = frozenset()  # these of the user's what-ifs, counted from 1, are never answered
    what_ifs_unset: frozenset[int] = frozenset()  # these are answered with the initial margin alone
    snapshot_patience: float = 11.0
    tick_seconds: float = 0.25
    account_seconds: float = 3.0
    pnl_seconds: float = 1.0
    reconnect_quiet: float = 0.0  # refuse a client id that left less than this ago (326), as TWS does for a moment
    announce_tif: bool = False  # error 10349 when the venue fills in a missing time in force


class Pace(Enum):
    OK = "ok"
    TOLD = "over the rate: refuse and say so"
    SILENT = "over the rate, already told this second"
    CUT_OFF = "too often over the rate"


class MessageRate:
    """A token bucket of one second's messages. Each broken second, or each further bucket of excess, is a strike."""

    def __init__(self, rate: int, strikes: int) -> None:
        self.rate = rate
        self._strikes_left = strikes
        self._tokens = float(rate)
        self._at: float | None = None
        self._told_at = float("-inf")
        self._excess = 0

    def _refill(self, now: float) -> None:
        if self._at is not None:
            self._tokens = min(float(self.rate), self._tokens + (now - self._at) * self.rate)
        self._at = now

    def admit(self, now: float) -> Pace:
        """Whether one more message may be served."""
        self._refill(now)
        if self._tokens >= 1:
            self._tokens -= 1
            return Pace.OK
        self._excess += 1
        if now - self._told_at < 1 and self._excess % self.rate:
            return Pace.SILENT
        self._told_at = now
        self._strikes_left -= 1
        return Pace.TOLD if self._strikes_left > 0 else Pace.CUT_OFF

    def wait(self, now: float) -> float:
        """Seconds until a message would be admitted (for clients that asked to be paced: +PACEAPI)."""
        self._refill(now)
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) / self.rate + 1e-3


class Lines:
    """The market-data lines of one user: who holds how many. Every request is a line, also of the same contract."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: set[Hashable] = set()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, key: Hashable) -> bool:
        """Take a line under `key`; False when all are taken."""
        if len(self._held) >= self.most:
            return False
        self._held.add(key)
        return True

    def give_back(self, key: Hashable) -> None:
        self._held.discard(key)


class HistoryPace:
    """Historical requests of one user: so many in the window, and none identical within seconds."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._times: deque[float] = deque()
        self._latest: dict[Hashable, float] = defaultdict(lambda: float("-inf"))

    def refuse(self, key: Hashable, now: float, weight: int = 1) -> str | None:
        """Why a request may not be served now, or None, which counts it. BID_ASK weighs two, as at IBKR."""
        while self._times and now - self._times[0] >= self._rules.history_window:
            self._times.popleft()
        if now - self._latest[key] < self._rules.identical_history:
            return f"identical request within {self._rules.identical_history:g} seconds"
        if len(self._times) + weight > self._rules.history_requests:
            return f"more than {self._rules.history_requests} requests in {self._rules.history_window / 60:g} minutes"
        self._latest = defaultdict(
            lambda: float("-inf"),
            {k: at for k, at in self._latest.items() if now - at < self._rules.identical_history},
        )
        self._latest[key] = now
        self._times.extend([now] * weight)
        return None
