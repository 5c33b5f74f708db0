"""What the venue lists, as data: the underlyings with their character, and how each option class is laid out.

Numbers here are the demo's opening world, not opinions: a spot, how strongly a name follows the index (`beta`), how
much it moves on its own, and the shape of its smile. A recorded chain replaces spot and smile of what it records.
"""

from dataclasses import dataclass

from models.quant.option import SecType

RATE = 0.041  # continuous, flat


@dataclass(frozen=True)
class SmileShape:
    """SSVI smile: ATM variance reverts from today's level to `long_vol`; `rho` and `eta` give skew and curvature.

    eta × (1 + |rho|) ≤ 2 keeps it free of butterfly arbitrage (Gatheral & Jacquier 2014, theorem 4.2).
    """

    long_vol: float
    rho: float
    eta: float
    reversion: float = 4.0


@dataclass(frozen=True)
class Name:
    """One independent underlying. Volatilities are annual fractions, `dividend` a continuous yield."""

    symbol: str
    long_name: str
    sec_type: SecType
    spot: float
    beta: float
    own_vol: float
    smile: SmileShape
    dividend: float
    primary_exchange: str
    industry: str = ""
    vol_follow: float = 1.0  # how strongly its ATM volatility follows the index's, 1 = one for one


def _share(
    symbol: str,
    long_name: str,
    spot: float,
    beta: float,
    own_vol: float,
    vol: float,
    dividend: float,
    venue: str,
    industry: str,
) -> Name:
    return Name(
        symbol,
        long_name,
        SecType.STOCK,
        spot,
        beta,
        own_vol,
        SmileShape(vol, -0.35, 0.75),
        dividend,
        venue,
        industry,
        0.7,
    )


INDEX = Name(
    "SPX", "S&P 500 Stock Index", SecType.INDEX, 7500.0, 1.0, 0.0, SmileShape(0.185, -0.70, 0.95), 0.012, "CBOE"
)

SHARES: tuple[Name, ...] = (
    _share("AAPL", "APPLE INC", 290.0, 1.15, 0.17, 0.27, 0.004, "NASDAQ", "Technology"),
    _share("MSFT", "MICROSOFT CORP", 520.0, 1.05, 0.15, 0.25, 0.007, "NASDAQ", "Technology"),
    _share("NVDA", "NVIDIA CORP", 190.0, 1.75, 0.28, 0.42, 0.0002, "NASDAQ", "Technology"),
    _share("AMZN", "AMAZON.COM INC", 235.0, 1.25, 0.20, 0.31, 0.0, "NASDAQ", "Communications"),
    _share("GOOGL", "ALPHABET INC-CL A", 300.0, 1.10, 0.19, 0.29, 0.003, "NASDAQ", "Communications"),
    _share("META", "META PLATFORMS INC-CLASS A", 640.0, 1.30, 0.22, 0.33, 0.003, "NASDAQ", "Communications"),
    _share("TSLA", "TESLA INC", 430.0, 1.90, 0.38, 0.55, 0.0, "NASDAQ", "Consumer, Cyclical"),
    _share("AMD", "ADVANCED MICRO DEVICES", 230.0, 1.80, 0.33, 0.48, 0.0, "NASDAQ", "Technology"),
    _share("AVGO", "BROADCOM INC", 350.0, 1.50, 0.26, 0.40, 0.007, "NASDAQ", "Technology"),
    _share("JPM", "JPMORGAN CHASE & CO", 310.0, 1.05, 0.14, 0.24, 0.018, "NYSE", "Financial"),
    _share("XOM", "EXXON MOBIL CORP", 117.0, 0.60, 0.18, 0.24, 0.034, "NYSE", "Energy"),
    _share("UNH", "UNITEDHEALTH GROUP INC", 330.0, 0.55, 0.24, 0.32, 0.026, "NYSE", "Consumer, Non-cyclical"),
)  # fmt: skip

CRUDE = Name(
    "CL", "Light Sweet Crude Oil", SecType.FUTURE, 62.0, 0.35, 0.33, SmileShape(0.33, -0.2, 0.6), 0.0, "NYMEX", "", 0.3
)
CRUDE_CARRY = -0.03  # per year: the curve is in mild backwardation

NAMES: tuple[Name, ...] = (INDEX, CRUDE, *SHARES)

SPY_RATIO = 0.1  # SPY's price per SPX point
VOLATILITY_INDICES = (
    ("VIX", "CBOE Volatility Index"),
    ("VIX3M", "CBOE 3-Month Volatility Index"),
    ("VVIX", "CBOE VIX Volatility Index"),
)


@dataclass(frozen=True)
class StrikeBand:
    """Strikes every `step` while within `reach` of the money (fraction below, fraction above)."""

    step: float
    below: float
    above: float


@dataclass(frozen=True)
class ClassLayout:
    """How one option class is listed: daily expiries for `daily` days, Fridays for `weekly`, months for `monthly`."""

    trading_class: str
    symbol: str
    daily: int
    weekly: int
    monthly: int
    bands: tuple[StrikeBand, ...]


INDEX_BANDS = (
    StrikeBand(5, 0.03, 0.02),
    StrikeBand(10, 0.09, 0.05),
    StrikeBand(25, 0.20, 0.10),
    StrikeBand(50, 0.40, 0.16),
)
ETF_BANDS = (StrikeBand(1, 0.06, 0.04), StrikeBand(5, 0.22, 0.12), StrikeBand(10, 0.40, 0.20))
SHARE_BANDS = (StrikeBand(2.5, 0.10, 0.10), StrikeBand(5, 0.20, 0.20), StrikeBand(10, 0.45, 0.45))
DEAR_SHARE_BANDS = (StrikeBand(5, 0.10, 0.10), StrikeBand(10, 0.20, 0.20), StrikeBand(20, 0.45, 0.45))
DEAR = 280.0  # shares above this price list wider strikes

LAYOUTS: tuple[ClassLayout, ...] = (
    ClassLayout("SPX", "SPX", 0, 0, 200, INDEX_BANDS),
    ClassLayout("SPXW", "SPX", 35, 63, 125, INDEX_BANDS),
    ClassLayout("SPY", "SPY", 14, 49, 125, ETF_BANDS),
    *(
        ClassLayout(n.symbol, n.symbol, 0, 35, 125, DEAR_SHARE_BANDS if n.spot > DEAR else SHARE_BANDS)
        for n in SHARES
    ),
)  # fmt: skip

FUTURES_LISTED = {"ES": 4, "MES": 4, "CL": 6}  # how many expiries each root shows
