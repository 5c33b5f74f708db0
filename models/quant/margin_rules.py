"""What the houses ask, as data: shares of the underlying for naked shorts, stock rates, loan values, scan ranges.

Strategy rules follow Cboe rule 10.3 and the Cboe Margin Manual; a house that asks otherwise is another frozen row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rule:
    """Share of the underlying for a naked short option; both shares are multiplied by an ETF's leverage."""

    share: float
    least: float
    leverage: float = 1.0


BROAD = Rule(0.15, 0.10)
NARROW = Rule(0.20, 0.10)
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("SPX", "XSP", "SPY", "NDX", "QQQ", "RUT", "IWM", "DJX", "DIA", "OEX", "XEO", "VOO", "IVV"), BROAD),
    **dict.fromkeys(("SSO", "QLD", "SDS", "QID"), Rule(0.15, 0.10, 2.0)),
    **dict.fromkeys(("UPRO", "SPXU", "SPXL", "SPXS", "TQQQ", "SQQQ"), Rule(0.15, 0.10, 3.0)),
}
"""By underlying; whatever is not named is an equity or a narrow index (20 %)."""


@dataclass(frozen=True)
class ShareRates:
    """Fractions of the shares' value, and of a strike where an option of the same account protects them."""

    initial: float = 0.50
    long_maintenance: float = 0.25
    short_maintenance: float = 0.30
    hedged: float = 0.10


@dataclass(frozen=True)
class Scan:
    """How far one futures family is scanned. `price` in points and `vol` as a share of the implied volatility are the
    whole range; `initial` is initial over maintenance; `days` of decay are counted in every scenario.
    """

    price: float
    vol: float
    initial: float = 1.1
    days: float = 1.0


# Of the size the exchange asks in calm times: its own scan (SPAN 2) moves daily and is not reproduced. The volatility
# range is the one of CME's own SPAN example for the S&P 500.
_ES, _CL = Scan(440.0, 0.35), Scan(6.0, 0.35)
SCANS: Mapping[str, tuple[str, Scan]] = {"ES": ("ES", _ES), "MES": ("ES", _ES), "CL": ("CL", _CL)}
"""Root of a future, or underlying of its options → the family it is scanned with, and the range."""

SCAN_STEPS: tuple[tuple[float, float, float], ...] = (
    *((price / 3.0, vol, 1.0) for price in (0, 1, -1, 2, -2, 3, -3) for vol in (1.0, -1.0)),
    (2.0, 0.0, 0.35),
    (-2.0, 0.0, 0.35),
)
"""The sixteen scenarios: price and volatility moves as shares of their ranges, and the share of the loss that counts.

Source: CME, SPAN methodology; McMillan, Options as a Strategic Investment, on SPAN.
"""


@dataclass(frozen=True)
class Tracker:
    """Shares that stand for an index under its options: `per_unit` shares for one unit of the index."""

    symbol: str
    per_unit: float


@dataclass(frozen=True)
class StrategyRules:
    """One house's strategy-based margin.

    `loan` is the part of its value that is lent on an option with more than `loan_years` to run. `trackers` lets
    shares of an index fund cover short options on its index (rule 10.3, covered index calls).
    """

    house: str
    classes: Mapping[str, Rule] = field(default_factory=lambda: RULES)
    other: Rule = NARROW
    shares: ShareRates = ShareRates()
    loan: float = 0.25
    loan_years: float = 0.75
    trackers: Mapping[str, Tracker] = field(
        default_factory=lambda: {"SPX": Tracker("SPY", 10.0), "XSP": Tracker("SPY", 1.0)}
    )
    scans: Mapping[str, tuple[str, Scan]] = field(default_factory=lambda: SCANS)

    def rule_of(self, symbol: str) -> Rule:
        return self.classes.get(symbol, self.other)


CBOE = StrategyRules("Cboe")
IBKR = StrategyRules("IBKR-like", loan=0.0, trackers={})
"""As its pages describe it: no loan on options, an index is not covered by a fund. Not the broker's own figures."""
