"""Where the surface is in doubt, what is quoted next, and what an old quote still tells."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quant.option import Contract, Right, SecType
from models.quant.pricing import black76
from models.quant.product import Settlement, settlement_minute, years_to
from models.quant.sightings import Sighting, carried, errors, vega, worn
from models.quant.smile import Svi
from models.quant.surface import OptionQuote, Slice
from models.quant.surface_doubt import Quoted, choose, doubt_of, moneyness

NOW = datetime(2026, 8, 21, 15, 0, tzinfo=UTC)
SPOT = 6400.0
STRIKES = np.arange(5000.0, 7200.0, 25.0)


def piece(expiry: date = date(2026, 10, 2)) -> Slice:
    t = years_to(settlement_minute(expiry, Settlement.PM), NOW)
    svi = Svi(0.02 * t, 0.12 * t, -0.6, 0.02, 0.12)
    return Slice("SPXW", expiry, t, SPOT * math.exp(0.03 * t), math.exp(-0.04 * t), svi, 0.0, 20, 3, 5000.0, 7175.0)


def expiry_with(quoted: dict[float, float], expiry: date = date(2026, 10, 2)) -> Quoted:
    error = np.array([quoted.get(k, math.inf) for k in STRIKES.tolist()])
    return Quoted(piece(expiry), STRIKES, error)


def vol_at(one: Quoted, strike: float, *others: Quoted) -> float:
    doubt = doubt_of([one, *others])
    z = float(moneyness(one.piece, np.array([strike]))[0])
    mine = np.flatnonzero(doubt.expiry == 0)
    return float(doubt.vol[mine[np.argmin(np.abs(doubt.z[mine] - z))]])


def test_doubt_grows_with_the_distance_to_the_nearest_quote() -> None:
    one = expiry_with({6400.0: 0.0005})
    near = [vol_at(one, strike) for strike in (6400.0, 6300.0, 6100.0, 5800.0)]
    assert near == sorted(near) and near[0] < 0.001 < near[-1]


def test_doubt_grows_with_a_wider_or_older_quote_and_never_with_another_quote() -> None:
    sharp, blunt = expiry_with({6400.0: 0.0005}), expiry_with({6400.0: 0.005})
    assert vol_at(sharp, 6400.0) < vol_at(blunt, 6400.0)
    more = expiry_with({6400.0: 0.0005, 6000.0: 0.002})
    assert (doubt_of([more]).vol <= doubt_of([sharp]).vol + 1e-12).all()


def test_an_expiry_without_quotes_is_in_doubt_the_less_the_nearer_a_quoted_one_is() -> None:
    quoted = {k: 0.0005 for k in STRIKES[::4].tolist()}
    bare = expiry_with({})
    beside = vol_at(bare, 6300.0, expiry_with(quoted, date(2026, 10, 1)))
    far = vol_at(bare, 6300.0, expiry_with(quoted, date(2026, 8, 31)))
    assert vol_at(expiry_with(quoted), 6300.0) < beside < far < vol_at(bare, 6300.0)


def test_doubt_in_points_is_doubt_in_volatility_times_vega() -> None:
    doubt = doubt_of([expiry_with({})])
    assert doubt.points == pytest.approx(doubt.vol * doubt.vega)
    middle = int(np.argmin(np.abs(doubt.z)))
    assert doubt.vega[middle] == pytest.approx(float(vega(piece(), np.array([piece().forward]))[0]), rel=0.02)
    assert float(vega(piece(), np.array([6300.0]))[0]) == pytest.approx(
        100
        * float(black76(piece().forward, 6300.0, piece().t_years, float(piece().iv([6300.0])[0]), 0.04, False).vega),
        rel=1e-3,
    )


def test_the_next_quotes_go_where_doubt_is_greatest_and_take_it_away() -> None:
    one = expiry_with({k: 0.0005 for k in STRIKES.tolist() if k >= 6200})
    picks = choose([one], 6)
    assert all(pick.strike < 6200 for pick in picks[:4]), "nothing was quoted below"
    assert len({pick.strike for pick in picks}) == 6
    before = doubt_of([one]).points.max()
    after = doubt_of([replace(one, error=np.where(np.isin(STRIKES, [p.strike for p in picks]), 0.0005, one.error))])
    assert after.points.max() < 0.75 * before


def test_the_expiry_looked_at_longest_ago_gets_its_share_however_certain_it_is() -> None:
    known = expiry_with({k: 0.0005 for k in STRIKES.tolist()})
    bare = [expiry_with({}, date(2026, 10, day)) for day in (5, 6, 7, 8, 9)]
    picks = choose([known, *bare], 20, first=0, share=6, most=4)
    assert sum(pick.expiry == 0 for pick in picks) >= 6
    assert len({pick.expiry for pick in picks}) <= 4 and len(picks) == 20


def test_nothing_is_chosen_where_nothing_can_be_quoted() -> None:
    assert choose([], 35) == ()
    nowhere = Quoted(piece(), np.zeros(0), np.zeros(0))
    assert choose([nowhere], 35, first=0, share=6) == ()
    assert len(choose([expiry_with({})], 500)) <= STRIKES.size


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, STRIKES.size - 1), max_size=30), st.floats(1e-4, 1e-2), st.integers(1, 40))
def test_choices_are_distinct_listed_strikes_and_doubt_is_a_deviation(at: set[int], error: float, count: int) -> None:
    one = expiry_with({float(STRIKES[i]): error for i in at})
    doubt = doubt_of([one])
    assert np.isfinite(doubt.points).all() and (doubt.points >= 0).all()
    picks = choose([one], count)
    assert len({p.strike for p in picks}) == len(picks) <= count
    assert {p.strike for p in picks} <= set(STRIKES.tolist())


# ── what an old quote still tells ────────────────────────────────────────────────────────────────────────────────
def sighting(strike: float, right: Right, spot: float = SPOT, age: float = 0.0, half: float = 0.2) -> Sighting:
    """Quoted by the smile itself as it stood at that spot and time."""
    now = piece()
    then = now.aged(now.t_years + age / (365 * 86400), now.forward * spot / SPOT)
    vol = float(then.iv([strike])[0])
    mid = float(black76(then.forward, strike, then.t_years, vol, 0.0, right is Right.CALL).price) * now.discount
    contract = Contract("SPX", SecType.OPTION, "SPXW", 100, now.expiry, strike, right)
    return Sighting(OptionQuote(contract, mid - half, mid + half), spot, NOW - timedelta(seconds=age))


@pytest.mark.parametrize("right", list(Right))
@pytest.mark.parametrize("strike", [5800.0, 6400.0, 6700.0])
def test_a_quote_is_carried_as_its_price_moves_and_widened_by_what_it_wore(strike: float, right: Right) -> None:
    old, fresh = sighting(strike, right, SPOT * 0.997, 60.0), sighting(strike, right)
    (moved,), (same,) = carried([old], piece(), SPOT, NOW), carried([fresh], piece(), SPOT, NOW)
    assert (same.bid, same.ask) == pytest.approx(fresh.sides)
    assert moved.bid is not None and moved.ask is not None
    assert (moved.bid + moved.ask) / 2 == pytest.approx(sum(fresh.sides) / 2, abs=0.01)
    wider = float(worn([old], piece(), SPOT, NOW)[0] * vega(piece(), np.array([strike]))[0])
    assert moved.ask - moved.bid == pytest.approx(0.4 + 2 * wider) and wider > 0


def test_what_a_quote_tells_wears_off_with_time_and_with_the_spot() -> None:
    at = [
        sighting(6400.0, Right.CALL, SPOT * (1 - move), age) for move, age in ((0, 0), (0, 60), (0, 240), (0.002, 60))
    ]
    told = errors(at, piece(), SPOT, NOW)
    assert told[0] < told[1] < told[2] and told[1] < told[3]
    assert worn(at, piece(), SPOT, NOW)[0] == 0.0


def test_a_quote_worn_below_nothing_is_gone() -> None:
    cheap = sighting(5000.0, Right.PUT, SPOT * 1.02, 7 * 86400.0, half=0.05)
    assert carried([cheap], piece(), SPOT, NOW) == ()
