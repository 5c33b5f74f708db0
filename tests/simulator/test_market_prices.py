"""The synthetic market: no arbitrage, real grids, a VIX that follows from the surface, dynamics that hang together."""

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from adapters.simulator.dynamics import Factors, opening_factors
from adapters.simulator.names import INDEX, NAMES
from adapters.simulator.scenarios import SCENARIOS, ScenarioError, scenario_of
from adapters.simulator.surface import level_of, strip_variance, vix_of
from adapters.simulator.types import Instrument, ModelGreeks, VenueQuote
from adapters.simulator.venue import Venue, VenueConfig
from models.quant.implied import implied_vol
from models.quant.option import Right
from models.quant.product import expiry_instant, product_of, settlement_minute, years_to
from models.quant.regime import detect, load_regimes
from tests.still_venue import NOON, option, still, stock, to_time

Row = tuple[Instrument, VenueQuote, ModelGreeks]


@pytest.fixture(scope="module")
def venue() -> Venue:
    return still()


def chain(venue: Venue, symbol: str) -> list[Row]:
    items = [i for i in venue.market.find(symbol=symbol, sec_type="OPT") if expiry_instant(i.contract) > NOON]
    ids = [i.con_id for i in items]
    quotes, models = venue.market.quotes(ids), venue.market.models(ids)
    assert all(q is not None and m is not None for q, m in zip(quotes, models, strict=True))
    return list(zip(items, quotes, models, strict=True))  # type: ignore[arg-type]


def by_slice(rows: list[Row]) -> dict[tuple[str, object, Right], list[Row]]:
    found: dict[tuple[str, object, Right], list[Row]] = defaultdict(list)
    for row in rows:
        c = row[0].contract
        assert c.right is not None
        found[c.trading_class, c.expiry, c.right].append(row)
    for group in found.values():
        group.sort(key=lambda r: r[0].contract.strike or 0.0)
    return found


@pytest.mark.parametrize("symbol", ["SPX", "SPY", "AAPL", "TSLA"])
def test_every_quote_lies_on_its_grid_with_the_model_inside(venue: Venue, symbol: str) -> None:
    for item, quote, model in chain(venue, symbol):
        product = product_of(item.contract)
        assert quote.bid is not None and quote.ask is not None
        assert 0 <= quote.bid < quote.ask
        assert quote.bid - 1e-9 <= model.price <= quote.ask + 1e-9
        for price in (quote.bid, quote.ask):
            steps = price / product.tick(price)
            assert abs(steps - round(steps)) < 1e-6, (item.local_symbol, price)


def test_put_and_call_agree_on_one_forward_per_expiry(venue: Venue) -> None:
    slices = by_slice(chain(venue, "SPX"))
    for (cls, expiry, right), calls in slices.items():
        if right is not Right.CALL:
            continue
        puts = {r[0].contract.strike: r for r in slices[cls, expiry, Right.PUT]}
        t = years_to(expiry_instant(calls[0][0].contract), NOON)
        rate, dividend = 0.041, INDEX.dividend
        spot = calls[0][2].under_price
        for item, quote, model in calls:
            strike = item.contract.strike or 0.0
            _, put_quote, put_model = puts[strike]
            carried = spot * np.exp(-dividend * t) - strike * np.exp(-rate * t)
            assert model.price - put_model.price == pytest.approx(carried, abs=1e-6)
            # nobody can trade against it either: conversion and reversal both cost money
            assert quote.ask - put_quote.bid >= carried - 1e-9  # type: ignore[operator]
            assert quote.bid - put_quote.ask <= carried + 1e-9  # type: ignore[operator]


@pytest.mark.parametrize("symbol", ["SPX", "SPY", "NVDA"])
def test_no_butterfly_and_no_vertical_pays_for_nothing(venue: Venue, symbol: str) -> None:
    for (_, _, right), rows in by_slice(chain(venue, symbol)).items():
        strikes = np.array([r[0].contract.strike for r in rows])
        price = np.array([r[2].price for r in rows])
        slope = np.diff(price) / np.diff(strikes)
        signed = -slope if right is Right.CALL else slope
        assert (signed >= -1e-9).all() and (signed <= 1 + 1e-9).all()
        assert (np.diff(slope) >= -1e-9).all(), "convex in strike"
        bids, asks = np.array([r[1].bid for r in rows]), np.array([r[1].ask for r in rows])
        weight = (strikes[2:] - strikes[1:-1]) / (strikes[2:] - strikes[:-2])
        assert (weight * asks[:-2] + (1 - weight) * asks[2:] - bids[1:-1] >= -1e-9).all(), "executable butterfly"


def test_no_calendar_pays_for_nothing(venue: Venue) -> None:
    """Total variance at equal moneyness of the forward grows with time."""
    surface: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for (cls, _, right), rows in by_slice(chain(venue, "SPX")).items():
        if right is not Right.CALL or cls != "SPXW":
            continue
        t = years_to(expiry_instant(rows[0][0].contract), NOON)
        forward = rows[0][2].under_price * np.exp((0.041 - INDEX.dividend) * t)
        k = np.log([r[0].contract.strike / forward for r in rows])  # type: ignore[operator]
        w = np.array([r[2].iv ** 2 * t for r in rows])
        for point in (-0.15, -0.05, 0.0, 0.05):
            surface[point].append((t, float(np.interp(point, k, w))))
    for series in surface.values():
        series.sort()
        assert all(later[1] > earlier[1] for earlier, later in pairwise(series))


def test_the_smile_falls_with_strike_and_calms_with_time(venue: Venue) -> None:
    low, high = option(venue, 7000, "P"), option(venue, 7800, "P")
    near, far = option(venue, 6500, "P"), option(venue, 6500, "P", "SPX", venue.market.find(
        symbol="SPX", trading_class="SPX", sec_type="OPT")[-1].contract.expiry)  # fmt: skip
    iv = {i.con_id: m.iv for i in (low, high, near, far) if (m := venue.market.model(i.con_id))}
    assert iv[low.con_id] > iv[high.con_id] + 0.03
    assert iv[near.con_id] > iv[far.con_id]


def test_model_greeks_are_those_of_an_independent_implied_volatility(venue: Venue) -> None:
    item = option(venue, 7200, "P")
    model = venue.market.model(item.con_id)
    assert model is not None
    t = years_to(settlement_minute(item.contract.expiry, product_of(item.contract).settlement), NOON)  # type: ignore[arg-type]
    found = implied_vol(model.price, model.under_price, 7200.0, t, 0.041, INDEX.dividend, False)
    assert float(found) == pytest.approx(model.iv, abs=1e-9)
    assert -1 < model.delta < 0 < model.gamma and model.vega > 0 > model.theta


def test_vix_is_the_strip_of_the_venues_own_surface() -> None:
    for vix in (11.0, 17.0, 30.0, 60.0):
        level = level_of(INDEX.smile, vix)
        assert vix_of(INDEX.smile, level) == pytest.approx(vix, abs=1e-6)
        assert 100 * np.sqrt(strip_variance(INDEX.smile, level, 30 / 365)) == pytest.approx(vix, rel=2e-3)


def test_etf_and_futures_move_with_the_index() -> None:
    venue = still()
    before = {r: venue.market.quote(i.con_id) for r, i in _family(venue).items()}
    venue.control({"move": {"spot_pct": -2.0}})
    for root, item in _family(venue).items():
        old, new = before[root], venue.market.quote(item.con_id)
        assert old is not None and new is not None and old.mid and new.mid
        assert new.mid / old.mid == pytest.approx(0.98, abs=2e-4)


def _family(venue: Venue) -> dict[str, Instrument]:
    futures = {r: venue.market.find(symbol=r, sec_type="FUT")[0] for r in ("ES", "MES")}
    return {"SPY": stock(venue), **futures}


@pytest.mark.parametrize(
    ("name", "regime"),
    [("calm", "high_volatility"), ("low_volatility", "low_volatility"), ("neutral_volatility", "neutral_volatility"),
     ("high_volatility", "high_volatility"), ("crisis", "crisis_mode")],
)  # fmt: skip
def test_each_scenario_reaches_its_regime(name: str, regime: str) -> None:
    factors = opening_factors(7, NOON)
    factors.apply(SCENARIOS[name], standing=True)
    rules = load_regimes(_rules(), "risk_regimes.toml").detection
    assert detect(factors.vix, factors.vix3m, factors.vvix, None, rules).regime == regime


def _rules() -> str:
    from tests.conftest import ROOT

    return (ROOT / "models" / "risk_regimes.toml").read_text()


def test_a_crash_is_three_per_cent_and_a_gap_happens_at_once() -> None:
    for name, move in (("crash", -0.03), ("gap", -0.04)):
        factors = opening_factors(7, NOON)
        before, calm = factors.index, factors.vix
        factors.apply(SCENARIOS[name], standing=True)
        assert factors.index / before - 1 == pytest.approx(move, abs=1e-12)
        assert factors.vix > calm


def test_a_crash_under_a_running_clock_takes_its_time() -> None:
    factors = opening_factors(7, NOON)
    before = factors.index
    factors.apply(SCENARIOS["crash"], standing=False)
    factors.advance(NOON + timedelta(minutes=10), 1.0)
    assert -0.02 < factors.index / before - 1 < 0.005
    factors.advance(NOON + timedelta(minutes=121), 1.0)
    assert factors.index / before - 1 == pytest.approx(-0.03, abs=0.015)
    assert factors.push is None


def test_an_unknown_scenario_lists_those_there_are() -> None:
    with pytest.raises(ScenarioError, match="crisis"):
        scenario_of("boom")


def path(seed: int, steps: int = 240) -> np.ndarray:
    factors = opening_factors(seed, NOON)
    seen = []
    for minute in range(1, steps + 1):
        factors.advance(NOON + timedelta(minutes=minute), 1.0)
        seen.append((*factors.spots, factors.vix))
    return np.array(seen)


def test_the_same_seed_walks_the_same_path_however_often_it_is_looked_at() -> None:
    once, again = path(5), path(5)
    assert (once == again).all()
    assert not (once == path(6)).all()
    coarse = opening_factors(5, NOON)
    for minute in range(20, 241, 20):
        coarse.advance(NOON + timedelta(minutes=minute), 1.0)
    assert coarse.index == pytest.approx(once[-1, 0], rel=1e-12)


def test_vix_moves_against_the_index_and_shares_move_with_it() -> None:
    returns = np.diff(np.log(path(3, 600)), axis=0)
    index, vix = returns[:, 0], returns[:, -1]
    assert np.corrcoef(index, vix)[0, 1] < -0.6
    shares = [i for i, n in enumerate(NAMES) if n.symbol in ("AAPL", "NVDA", "JPM")]
    for i in shares:
        assert np.corrcoef(index, returns[:, i])[0, 1] > 0.2
    assert 0.05 < index.std() * np.sqrt(252 * 390) < 0.5


def test_a_halted_feed_stands_still_and_says_so() -> None:
    venue = still()
    venue.control({"scenario": "halted"})
    item = option(venue, 7500, "C")
    before = venue.market.quote(item.con_id)
    to_time(venue, NOON + timedelta(minutes=5))
    after = venue.market.quote(item.con_id)
    assert before is not None and after is not None
    assert after.halted and (after.bid, after.ask) == (before.bid, before.ask)
    venue.control({"scenario": "resume"})
    to_time(venue, NOON + timedelta(minutes=6))
    moved = venue.market.quote(item.con_id)
    assert moved is not None and not moved.halted and (moved.bid, moved.ask) != (before.bid, before.ask)


def test_quotes_are_kept_until_the_market_moves() -> None:
    venue = still()
    item = option(venue, 7500, "C")
    assert venue.market.quote(item.con_id) is venue.market.quote(item.con_id)
    first = venue.market.quote(item.con_id)
    venue.control({"move": {"spot_pct": 0.5}})
    assert venue.market.quote(item.con_id) is not first


def test_an_index_has_a_value_but_no_market(venue: Venue) -> None:
    quote = venue.market.quote(venue.market.find(symbol="VIX", sec_type="IND")[0].con_id)
    assert quote is not None and quote.bid is None and quote.ask is None and quote.mid is None
    assert quote.last == pytest.approx(venue.market.factors.vix, abs=0.01)


def test_factors_that_are_asked_to_go_back_stay() -> None:
    factors: Factors = opening_factors(7, NOON)
    factors.advance(NOON + timedelta(minutes=1), 1.0)
    at, index = factors.at, factors.index
    factors.advance(NOON, 1.0)
    assert (factors.at, factors.index) == (at, index)


def test_a_venue_that_only_looks_stays_as_it_was() -> None:
    venue = still(VenueConfig(seed=3))
    before = venue.snapshot()
    venue.advance()
    venue.market.quotes([i.con_id for i in venue.market.find(symbol="SPY", sec_type="OPT")])
    assert venue.snapshot() == before
