"""Position numbers in the desk's units, one and two lots, long and short, call and put; unknown is never zero."""

from datetime import date

import numpy as np
import pytest

from models.quant.beta import Beta, beta_of
from models.quant.option import Contract, SecType
from models.quant.portfolio import (
    Exposure,
    Holding,
    by_expiry,
    by_underlying,
    expose,
    exposure_from,
    position_greeks,
    vectorise,
    vol_adjusted_delta,
)
from models.quant.pricing import Greeks, bsm
from models.quant.product import expiry_instant, years_to
from models.quant.structure import QuoteSource
from tests.quant.quant_market import DIVIDEND, EXPIRIES, NOW, RATE, SPOT, future, mark, market, option, smile, stock


def theirs(strike: float, right: str, expiry: date) -> Greeks:
    """The greeks of one contract from the smile itself."""
    c = option(strike, right, expiry)
    t = years_to(expiry_instant(c), NOW)
    return bsm(SPOT, strike, t, smile(np.array(strike), t), RATE, DIVIDEND, right == "C")


@pytest.mark.parametrize("quantity", [1, -1, 2, -2])
@pytest.mark.parametrize(("strike", "right"), [(5700.0, "P"), (6200.0, "C"), (6300.0, "P")])
def test_an_option_in_currency(quantity: int, strike: float, right: str) -> None:
    g = theirs(strike, right, EXPIRIES[1])
    (p,) = position_greeks([Holding(option(strike, right), quantity)], market())
    lots = quantity * 100
    assert p.spx_delta == pytest.approx(float(g.delta) * lots * SPOT * 0.01, rel=2e-3)
    assert p.gamma == pytest.approx(float(g.gamma) * lots * (SPOT * 0.01) ** 2, rel=1e-2)
    assert p.vega == pytest.approx(float(g.vega) * lots, rel=5e-3)
    assert p.vega_weighted == pytest.approx(float(g.vega) * lots * np.sqrt(30 / 31), rel=5e-3)
    assert p.theta == pytest.approx(float(g.theta) * lots, rel=1e-2)
    assert p.market_value == pytest.approx(float(g.price) * lots, rel=5e-3)
    assert p.missing == ()
    assert p.source == QuoteSource.MODELLED
    assert (p.beta, p.beta_source) == (1.0, "by definition")


def test_a_short_expiry_weighs_its_vega_as_seven_days() -> None:
    near = option(6000.0, "C", date(2026, 9, 4))
    view = market(marks={near.identity: mark(40.0)})
    (p,) = position_greeks([Holding(near, 1)], view)
    assert p.vega is not None
    assert p.vega_weighted == pytest.approx(p.vega * np.sqrt(30 / 7))
    assert p.iv is not None  # from its own price: the surface does not reach so near


def test_futures_and_shares_are_linear() -> None:
    es, mes, spy, tesla = future("ES", 50), future("MES", 5), stock("SPY"), stock("TSLA")
    marks = {es.identity: mark(6030.0), mes.identity: mark(6030.0), "SPY": mark(600.0), "TSLA": mark(400.0)}
    view = market(marks=marks, betas={"TSLA": Beta(2.0, "IBKR")})
    a, b, c, d = position_greeks([Holding(es, -2), Holding(mes, 1), Holding(spy, 100), Holding(tesla, 10)], view)
    assert a.spx_delta == pytest.approx(-2 * 50 * 6030 * 0.01)
    assert b.spx_delta == pytest.approx(5 * 6030 * 0.01)
    assert c.spx_delta == pytest.approx(100 * 600 * 0.01)
    assert d.spx_delta == pytest.approx(10 * 2 * 400 * 0.01)
    assert (a.gamma, a.vega, a.vega_weighted, a.theta, a.iv) == (0.0, 0.0, 0.0, 0.0, None)
    assert (d.beta, d.beta_source) == (2.0, "IBKR")


def test_beta_follows_the_order_of_sources() -> None:
    assert beta_of("SPY", {"SPY": Beta(0.9, "IBKR")}) == Beta(1.0, "by definition")
    assert beta_of(option(6000.0), {}).source == "by definition"
    assert beta_of("AAPL", {"AAPL": Beta(1.31, "tastytrade")}) == Beta(1.31, "tastytrade")
    assert beta_of("AAPL", {}).source == "static table"
    assert beta_of("AAPL", {"AAPL": Beta(1.0, "beta unavailable", flagged=True)}).source == "static table"
    unknown = beta_of("ZZZ", {})
    assert (unknown.value, unknown.source, unknown.flagged) == (1.0, "beta unavailable", True)


def test_a_real_mark_out_of_the_money_sets_the_volatility_and_in_the_money_the_surface_does() -> None:
    put, deep = option(5700.0, "P"), option(6600.0, "P")
    fitted = position_greeks([Holding(put, 1), Holding(deep, 1)], market())
    dear = market(marks={c.identity: mark(p.mark * 1.1) for c, p in zip((put, deep), fitted, strict=True)})  # type: ignore[operator]
    marked = position_greeks([Holding(put, 1), Holding(deep, 1)], dear)
    assert marked[0].iv > fitted[0].iv + 0.005  # type: ignore[operator]
    assert marked[1].iv == pytest.approx(fitted[1].iv)
    assert marked[1].market_value == pytest.approx(fitted[1].market_value * 1.1)  # type: ignore[operator]
    assert marked[0].source == QuoteSource.REAL


def test_without_a_volatility_everything_it_touches_is_unknown_and_named() -> None:
    blind = Contract("XYZ", SecType.OPTION, "XYZ", 100, EXPIRIES[1], 50.0, option(1.0).right)
    known = option(5700.0)
    view = market()
    (p,) = position_greeks([Holding(blind, 1)], view)
    assert (p.spx_delta, p.gamma, p.vega, p.theta, p.market_value, p.iv) == (None,) * 6
    assert "XYZ" in p.missing[0]
    whole = expose([Holding(known, -1), Holding(blind, 1)], view, 1e6, 1e5)
    assert whole.spx_delta is None and whole.vega_weighted is None and whole.stress_worst is None
    assert whole.vega_shares == {}
    assert any("XYZ" in reason for reason in whole.missing)
    vectors = vectorise([known, blind], view)
    assert exposure_from(vectors, [-1, 0], 1e6, 1e5).spx_delta is not None


def test_an_empty_book_is_all_zero_and_has_no_unknowns_but_the_account() -> None:
    e = expose([], market(), 1e6, 0.0)
    assert (e.spx_delta, e.gamma, e.vega, e.vega_weighted, e.theta, e.stress_near, e.stress_worst) == (0.0,) * 7
    assert (e.short_notional, e.defined_loss, e.vega_shares) == (0.0, 0.0, {})
    assert e.var_95 is None


def test_margin_and_net_value_unknown_stay_unknown() -> None:
    e = expose([Holding(stock("AAPL"), 1)], market(), None, None)
    assert (e.nlv, e.margin_used) == (None, None)
    assert {"net liquidation value unknown", "maintenance margin unknown"} <= set(e.missing)


def test_the_book_is_the_sum_of_its_positions_and_vectors_give_the_same() -> None:
    options = [
        (option(5600.0), -3),
        (option(5300.0), 3),
        (option(6200.0, "C"), -1),
        (option(6000.0, "C", EXPIRIES[3]), 2),
    ]
    holdings = [Holding(c, q) for c, q in (*options, (stock("SPY"), -50), (future("ES", 50), 1))]
    view = market()
    positions, e = position_greeks(holdings, view), expose(holdings, view, 1e6, 2e5)
    for name in ("spx_delta", "gamma", "vega", "vega_weighted", "theta", "market_value"):
        assert getattr(e, name) == pytest.approx(sum(getattr(p, name) for p in positions))
    vectors = vectorise([h.contract for h in holdings], view)
    again = exposure_from(vectors, [h.quantity for h in holdings], 1e6, 2e5)
    assert again.spx_delta == pytest.approx(e.spx_delta)
    assert again.stress == pytest.approx(e.stress)
    part = vectors.take([0, 1])
    assert part.contracts == (holdings[0].contract, holdings[1].contract)
    assert len(vectors.take(vectors.is_option)) == 4
    assert vectors.quantities({holdings[1].contract.identity: 5})[1] == 5


def test_quotes_become_mark_bid_and_ask_in_currency() -> None:
    put, call = option(5700.0), option(6300.0, "C")
    v = vectorise([put, call], market(), {put.identity: (40.0, 41.0), call.identity: (None, 12.0)})
    assert (v.bid[0], v.ask[0], v.value[0]) == (4000.0, 4100.0, 4050.0)
    assert np.isnan(v.bid[1]) and v.ask[1] == 1200.0
    assert list(v.source) == ["real", "modelled"]
    assert v.known.all()


def test_an_offer_without_a_bid_does_not_set_the_volatility() -> None:
    wing = option(4900.0)
    v = vectorise([wing, wing], market(), {wing.identity: (0.0, 5.0)})
    assert v.iv[0] == pytest.approx(float(market().surfaces["SPX"].iv(wing, 4900.0)))


def test_vega_shares_count_the_spx_family_as_one() -> None:
    apple = Contract("AAPL", SecType.OPTION, "AAPL", 100, EXPIRIES[1], 200.0, option(1.0).right)
    spy = Contract("SPY", SecType.OPTION, "SPY", 100, EXPIRIES[1], 600.0, option(1.0).right)
    view = market(marks={apple.identity: mark(6.0), spy.identity: mark(11.0)})
    holdings = [Holding(option(6000.0), -1), Holding(spy, 5), Holding(apple, -10)]
    a, b, c = position_greeks(holdings, view)
    e = expose(holdings, view, 1e6, 1e5)
    family, alone = abs(a.vega_weighted + b.vega_weighted), abs(c.vega_weighted)  # type: ignore[operator,arg-type]
    assert e.vega_shares == pytest.approx({"SPX": family / (family + alone), "AAPL": alone / (family + alone)})


def test_buckets_split_the_book_by_days_and_by_underlying() -> None:
    holdings = [Holding(option(6000.0, "P", e), 1) for e in EXPIRIES] + [Holding(stock("SPY"), 10)]
    positions = position_greeks(holdings, market())
    table = by_expiry(positions, NOW)
    assert list(table) == ["0–7", "8–30", "31–60", "61+"]
    assert table["0–7"]["vega"] == 0.0
    assert table["8–30"]["vega"] == pytest.approx(positions[0].vega)
    assert table["31–60"]["vega"] == pytest.approx(positions[1].vega + positions[2].vega)  # type: ignore[operator]
    assert table["61+"]["gamma"] == pytest.approx(positions[3].gamma)
    names = by_underlying(positions)
    assert list(names) == ["SPX", "SPY"]
    assert names["SPY"]["spx_delta"] == pytest.approx(60.0)


def test_vol_adjusted_delta_needs_both() -> None:
    assert vol_adjusted_delta(1000.0, -500.0) == 1700.0
    assert vol_adjusted_delta(None, -500.0) is None


def test_value_at_risk_is_a_full_revaluation_of_the_days_given() -> None:
    rng = np.random.default_rng(3)
    spx = rng.normal(0, 0.01, 500)
    history = np.column_stack([spx, -120 * spx])
    es = future("ES", 50)
    e = expose([Holding(es, 1)], market(marks={es.identity: mark(6000.0)}), 1e6, 2e4, history)
    assert e.var_95 == pytest.approx(-np.quantile(spx, 0.05) * 300_000, rel=1e-9)
    assert e.shortfall_975 == pytest.approx(-np.sort(spx)[:13].mean() * 300_000, rel=1e-9)
    short_put = expose([Holding(option(5700.0), -1)], market(), 1e6, 2e4, history)
    linear = abs(short_put.spx_delta * 1.645)  # type: ignore[operator]
    assert short_put.var_95 > linear  # gamma and vega make it worse than its delta alone
    assert expose([Holding(es, 1)], market(), 1e6, 2e4).var_95 is None
    assert expose([Holding(es, 1)], market(), 1e6, 2e4, history[:50]).var_95 is None
    with pytest.raises(ValueError, match="spx_vix_history"):
        expose([Holding(es, 1)], market(), 1e6, 2e4, history[:, :1])


def test_a_naked_put_and_a_covered_one_differ_in_notional_and_defined_loss() -> None:
    naked: Exposure = expose([Holding(option(5700.0), -2)], market(), 1e6, 1e5)
    assert naked.short_notional == pytest.approx(2 * 100 * SPOT)
    assert naked.defined_loss == 0.0
    holdings = [Holding(option(5700.0), -2), Holding(option(5600.0), 2)]
    spread = expose(holdings, market(), 1e6, 1e5)
    credit = -spread.market_value  # type: ignore[operator]
    assert spread.short_notional == 0.0
    assert spread.defined_loss == pytest.approx(2 * 100 * 100 - credit)
