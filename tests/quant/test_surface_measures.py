"""The surface in a few numbers, each against a hand computation or the smile that made the quotes."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from scipy.stats import norm

from models.quant.option import Contract, Right, SecType
from models.quant.pricing import bsm_price
from models.quant.product import expiry_instant, years_to
from models.quant.smile import Svi
from models.quant.surface import OptionQuote, Slice, Surface
from models.quant.surface_measures import (
    TermShape,
    atm_vol,
    constant_maturity,
    expected_move,
    iv_percentile,
    iv_rank,
    skew,
    strike_of_delta,
    term_shape,
    term_structure,
)
from models.quant.volatility_index import strip_of, strips_of, volatility_index
from tests.quant.quant_market import EXPIRIES, smile, surface

NOW = datetime(2026, 9, 1, 20, 0, tzinfo=UTC)


def flat(vol: float, days: float, forward: float = 6000.0, discount: float = 1.0) -> Slice:
    t = days / 365
    svi = Svi(vol * vol * t, 0.0, 0.0, 0.0, 0.1)
    return Slice("SPXW", date(2026, 10, 1), t, forward, discount, svi, 0.0, 50, 20, 3000.0, 9000.0)


def surface_of(*slices: Slice) -> Surface:
    return Surface("SPX", NOW, 6000.0, slices)


def test_the_vol_at_the_money_is_the_smiles_at_the_forward() -> None:
    for s in surface().slices:
        assert atm_vol(s) == pytest.approx(float(smile(np.array(s.forward), s.t_years)), abs=2e-4)


@pytest.mark.parametrize("delta", [0.05, 0.1, 0.25, 0.4])
@pytest.mark.parametrize("is_call", [True, False])
def test_the_strike_of_a_delta_has_that_delta(delta: float, is_call: bool) -> None:
    for s in surface().slices:
        strike = strike_of_delta(s, delta, is_call)
        deviation = float(s.iv(strike)) * math.sqrt(s.t_years)
        d1 = math.log(s.forward / strike) / deviation + 0.5 * deviation
        assert norm.cdf(d1 if is_call else -d1) == pytest.approx(delta, abs=1e-9)
        assert (strike > s.forward) == is_call


def test_a_flat_smile_has_its_delta_strikes_where_black_puts_them() -> None:
    s = flat(0.2, 30)
    deviation = 0.2 * math.sqrt(30 / 365)
    by_hand = 6000 * math.exp(0.5 * deviation**2 + deviation * 0.6744897501960817)  # N⁻¹(.75)
    assert strike_of_delta(s, 0.25, True) == pytest.approx(by_hand, rel=1e-12)
    assert skew(s).risk_reversal == pytest.approx(0.0, abs=1e-12)
    assert skew(s).butterfly == pytest.approx(0.0, abs=1e-12)
    assert skew(s).slope == 0.0


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.25, 25.0])
def test_a_delta_outside_zero_and_one_is_refused_by_name(delta: float) -> None:
    with pytest.raises(ValueError, match="delta"):
        strike_of_delta(flat(0.2, 30), delta, True)


def test_the_skew_is_that_of_the_smile() -> None:
    for s in surface().slices:
        found = skew(s)
        step = 1e-4
        up, down = (float(s.iv(s.forward * math.exp(x))) for x in (step, -step))
        assert found.slope == pytest.approx((up - down) / (2 * step), rel=1e-4)
        assert found.slope < 0
        assert found.risk_reversal < 0 < found.butterfly
        assert found.atm == pytest.approx(atm_vol(s))
        put = strike_of_delta(s, 0.25, False)
        assert found.put == pytest.approx(float(smile(np.array(put), s.t_years)), abs=5e-4)


def test_constant_maturity_is_linear_in_total_variance() -> None:
    found = surface_of(flat(0.10, 20), flat(0.20, 40))
    by_hand = math.sqrt((0.5 * 0.01 * 20 + 0.5 * 0.04 * 40) / 30)
    assert float(constant_maturity(found, 30)) == pytest.approx(by_hand, rel=1e-12)
    np.testing.assert_allclose(constant_maturity(found, [20, 40]), [0.10, 0.20])
    assert np.isnan(constant_maturity(found, [19.9, 40.1, 0.0])).all()
    assert np.isnan(constant_maturity(surface_of(), 30)).all()


def test_the_term_structure_tells_the_volatility_between_expiries() -> None:
    first, second = term_structure(surface_of(flat(0.10, 20), flat(0.20, 40)))
    assert first.forward_vol == pytest.approx(0.10)
    assert second.forward_vol == pytest.approx(math.sqrt((0.04 * 40 - 0.01 * 20) / 20))
    assert (first.days, second.days) == pytest.approx((20, 40))
    falling = term_structure(surface_of(flat(0.30, 20), flat(0.20, 40)))
    assert math.isnan(falling[1].forward_vol)


@pytest.mark.parametrize(
    ("near", "far", "shape"),
    [
        (0.15, 0.18, TermShape.CONTANGO),
        (0.30, 0.22, TermShape.BACKWARDATION),
        (0.15, 0.151, TermShape.FLAT),
    ],
)
def test_the_shape_of_the_term_structure_has_its_name(near: float, far: float, shape: TermShape) -> None:
    assert term_shape(surface_of(flat(near, 30), flat(far, 90))) is shape


def test_a_surface_that_ends_before_ninety_days_has_no_shape() -> None:
    assert term_shape(surface_of(flat(0.15, 20), flat(0.18, 60))) is None
    assert term_shape(surface_of()) is None


def test_expected_moves_by_hand() -> None:
    move = expected_move(flat(0.20, 30, discount=0.99))
    assert move.one_sigma == pytest.approx(6000 * 0.2 * math.sqrt(30 / 365), rel=1e-12)
    deviation = 0.2 * math.sqrt(30 / 365)
    straddle = 0.99 * 2 * 6000 * (2 * norm.cdf(deviation / 2) - 1)
    assert move.straddle == pytest.approx(straddle, rel=1e-12)
    assert move.by_straddle == pytest.approx(0.85 * straddle)
    # the straddle is the mean absolute move, √(2/π) of a standard deviation
    assert expected_move(flat(0.20, 30)).straddle / move.one_sigma == pytest.approx(math.sqrt(2 / math.pi), rel=1e-3)


def test_iv_rank_and_percentile_by_hand() -> None:
    history = [10.0 + i % 11 for i in range(220)]  # 10 to 20, each twenty times
    assert iv_rank(history, 15.0) == pytest.approx(0.5)
    assert iv_percentile(history, 15.0) == pytest.approx(5 / 11)
    assert iv_rank(history, 22.0) == pytest.approx(1.2)
    assert iv_percentile(history, 22.0) == 1.0
    assert iv_rank(history, 10.0) == 0.0
    assert iv_percentile(history, 10.0) == 0.0


@pytest.mark.parametrize("rank", [iv_rank, iv_percentile])
def test_a_short_history_or_an_unknown_level_has_no_rank(rank) -> None:  # type: ignore[no-untyped-def]
    history = [10.0, 20.0] * 63
    assert rank(history, 15.0) is not None
    assert rank(history[:-1], 15.0) is None
    assert rank([*history[:-1], math.nan], 15.0) is None
    assert rank(history, math.nan) is None
    assert rank(history[:-1], 15.0, least=20) is not None


def test_a_history_that_never_moved_has_no_rank() -> None:
    assert iv_rank([15.0] * 200, 15.0) is None
    assert iv_percentile([15.0] * 200, 16.0) == 1.0


# ── the index of the strip ───────────────────────────────────────────────────────────────────────────────────────────
RATE = 0.04
NEAR, FAR = date(2026, 9, 25), date(2026, 10, 2)  # Fridays, 24 and 31 days from NOW


def strip(vol: float, expiry: date, step: float = 5.0, trading_class: str = "SPXW") -> list[OptionQuote]:
    out = []
    for strike in np.arange(3500.0, 9000.0, step):
        for right in Right:
            c = Contract("SPX", SecType.OPTION, trading_class, 100, expiry, float(strike), right)
            t = years_to(expiry_instant(c), NOW)
            price = float(bsm_price(6000.0, strike, t, vol, RATE, 0.0, right is Right.CALL))
            out.append(OptionQuote(c, max(price - 0.01, 0.0) or None, price + 0.01))
    return out


@pytest.mark.parametrize("vol", [0.12, 0.2, 0.45])
def test_a_flat_market_has_its_volatility_as_index(vol: float) -> None:
    found = volatility_index([*strip(vol, NEAR), *strip(vol, FAR)], NOW, RATE)
    assert found == pytest.approx(100 * vol, abs=0.05)


def test_the_index_is_linear_in_total_variance_between_its_terms() -> None:
    found = volatility_index([*strip(0.10, NEAR), *strip(0.20, FAR)], NOW, RATE)
    total = 0.01 * 24 * (1 / 7) + 0.04 * 31 * (6 / 7)
    assert found == pytest.approx(100 * math.sqrt(total / 30), abs=0.05)


def test_two_zero_bids_end_the_strip() -> None:
    quotes = strip(0.2, NEAR)
    t = years_to(expiry_instant(quotes[0].contract), NOW)
    whole = strip_of(quotes, t, RATE)
    holes = {6500.0, 6505.0}
    cut = [replace(q, bid=None) if q.contract.strike in holes else q for q in quotes]
    ended = strip_of(cut, t, RATE)
    gone = [q for q in quotes if not (q.contract.right is Right.CALL and q.contract.strike >= 6500.0)]  # type: ignore[operator]
    without = strip_of(gone, t, RATE)
    assert whole is not None
    assert ended is not None
    assert without is not None
    assert ended.variance == pytest.approx(without.variance, rel=1e-12)
    assert ended.variance < whole.variance
    one_hole = strip_of([replace(q, bid=None) if q.contract.strike == 6500.0 else q for q in quotes], t, RATE)
    assert one_hole is not None
    assert one_hole.strikes == whole.strikes - 1


def test_without_terms_on_both_sides_there_is_no_index() -> None:
    assert volatility_index(strip(0.2, NEAR), NOW, RATE) is None
    assert volatility_index(strip(0.2, FAR), NOW, RATE) is None
    assert volatility_index([], NOW, RATE) is None


def test_the_morning_class_of_a_third_friday_goes_first() -> None:
    quotes = [*strip(0.2, NEAR, 25.0), *strip(0.2, NEAR, 25.0, "SPX")]
    (only,) = strips_of(quotes, NOW, RATE)
    assert only.trading_class == "SPX"


def test_expiries_of_the_known_market_are_in_order() -> None:
    points = term_structure(surface())
    assert [p.expiry for p in points] == list(EXPIRIES)
    assert all(p.forward_vol > 0 for p in points)
    assert [p.move.one_sigma for p in points] == sorted(p.move.one_sigma for p in points)
