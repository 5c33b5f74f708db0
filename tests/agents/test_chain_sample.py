"""The sampled chain: every expiry in turn, lines within the budget, and modelled prices nearer to the real ones."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agents.chain_sample import SHARE, SIGHTING_LIFE, ChainSample, Point
from agents.subscriptions import Budget, Listing, SampledExpiry, sample_contracts, sample_expiries
from models.quant.fitted import distances
from models.quant.option import Contract, Right
from models.quant.product import dte
from models.quant.surface import OptionQuote, Surface, fit_surface
from models.quant.surface_misses import add_counts, count_misses, within
from models.quant.terms import MarketView
from tests.quant.recorded_chains import DAYS, chain, close_of, underlying

pytestmark = pytest.mark.recorded
LINES = Budget().sample
TURNS = 12
TURN = timedelta(seconds=2)


@dataclass
class Recorded:
    """One recorded day as a source that quotes what it is asked for."""

    now: datetime
    spot: float
    quotes: dict[Contract, OptionQuote]

    @staticmethod
    def of(folder: Path, day: date) -> "Recorded":
        quotes = {quote.contract: quote for quote in chain(folder, "SPX", day)}
        return Recorded(close_of(day), underlying(folder, "SPX", day)["close"], quotes)

    def listings(self) -> tuple[Listing, ...]:
        days, strikes = defaultdict(set), defaultdict(set)
        for contract in self.quotes:
            days[contract.trading_class].add(contract.expiry)
            strikes[contract.trading_class].add(contract.strike)
        return tuple(Listing("SPX", cls, 100, tuple(sorted(days[cls])), tuple(sorted(strikes[cls]))) for cls in days)

    def at(self, point: Point) -> Listing:
        sides = defaultdict(set)
        for contract in self.quotes:
            if (contract.trading_class, contract.expiry) == point:
                sides[contract.right].add(contract.strike)
        both = tuple(sorted(sides[Right.CALL] & sides[Right.PUT]))
        return Listing("SPX", point[0], 100, (point[1],), both)

    def answer(self, sample: Iterable[SampledExpiry]) -> list[OptionQuote]:
        return [self.quotes[c] for expiry in sample for c in expiry.contracts if c in self.quotes]

    def view(self, surface: Surface) -> MarketView:
        return MarketView(self.now, self.spot, {"SPX": self.spot}, surfaces={"SPX": surface})

    def misses(self, surface: Surface) -> tuple[np.ndarray, np.ndarray]:
        """Modelled less real mid, in points and half-spreads, of every out-of-the-money option of the window."""
        judged = [
            q for q in self.quotes.values()
            if q.bid and q.ask and 30 <= dte(q.contract.expiry, self.now) <= 60  # type: ignore[arg-type]
            and 0.7 * self.spot <= (q.contract.strike or 0) <= 1.2 * self.spot
            and (q.contract.right is Right.CALL) == ((q.contract.strike or 0) >= self.spot)
        ]  # fmt: skip
        bid, ask = np.array([q.bid for q in judged], dtype=float), np.array([q.ask for q in judged], dtype=float)
        off = distances([q.contract for q in judged], self.view(surface), bid, ask)
        assert np.isfinite(off.points).all()
        return np.abs(off.points), np.abs(off.half_spreads)


@pytest.fixture(params=DAYS, ids=str)
def market(request: pytest.FixtureRequest, recorded: Path) -> Recorded:
    return Recorded.of(recorded, request.param)


def run(market: Recorded, turns: int) -> tuple[ChainSample, list[tuple[SampledExpiry, ...]]]:
    sample, machine, asked = ChainSample("SPX", LINES), market.now, []
    plan = sample_expiries(market.listings(), market.now)
    known = {point: market.at(point) for point in plan}
    for _ in range(turns):
        opened = sample.begin_turn(plan, machine)
        asked.append(sample.contracts(opened, known.__getitem__, market.spot, market.now, machine))
        sample.saw(market.answer(asked[-1]), market.spot, market.now, machine)
        points = [(expiry.trading_class, expiry.expiry) for expiry in asked[-1]]
        sample.fit(points, market.spot, market.now, machine)
        machine += TURN
    return sample, asked


def fixed_sample(market: Recorded) -> Surface:
    """Twelve expiries with seventeen contracts each, two a turn, always the same: all that more turns would repeat."""
    plan, slices = sample_expiries(market.listings(), market.now, most=12), []
    for two in (plan[i : i + 2] for i in range(0, len(plan), 2)):
        sample = [SampledExpiry(*p, sample_contracts(market.at(p), p[1], market.spot, 0.15, market.now)) for p in two]
        slices += fit_surface("SPX", market.spot, market.now, market.answer(sample)).slices
    in_time = sorted(slices, key=lambda piece: (piece.t_years, piece.trading_class))
    return Surface("SPX", market.now, market.spot, tuple(in_time))


def test_modelled_mids_come_nearer_to_the_real_ones_than_with_a_fixed_sample(market: Recorded) -> None:
    sample, _ = run(market, TURNS)
    surface = sample.surface(market.spot, market.now, market.now + TURNS * TURN)
    assert surface is not None
    (old, old_half), (new, new_half) = market.misses(fixed_sample(market)), market.misses(surface)
    for name, points, half in (("fixed", old, old_half), ("doubtful", new, new_half)):
        print(
            f"{market.now.date()} {name}: {np.median(points):.3f} points median, "
            f"{np.quantile(points, 0.95):.3f} (95 %), {points.max():.3f} at most; "
            f"{np.mean(half <= 1):.3f} of {half.size} inside the quote"
        )
    assert np.median(new) < np.median(old)
    assert np.quantile(new, 0.95) < 0.6 * np.quantile(old, 0.95)
    assert new.max() < old.max()
    assert np.mean(new_half <= 1) > max(0.95, np.mean(old_half <= 1))


def test_every_expiry_is_looked_at_again_and_no_turn_takes_more_than_its_lines(market: Recorded) -> None:
    sample, asked = run(market, 3 * TURNS)
    for turn in asked:
        contracts = [c for expiry in turn for c in expiry.contracts]
        assert len(contracts) == len(set(contracts)) <= LINES
    opening = -(-len(sample.plan) // 2)
    assert set(sample.smiles) == set(sample.plan)
    later = [{(e.trading_class, e.expiry) for e in turn} for turn in asked[opening:]]
    assert set.union(*later) == set(sample.plan)
    for point in sample.plan:
        seen = [i for i, turn in enumerate(later) if point in turn]
        gaps = np.diff([-1, *seen, len(later)])
        assert gaps.max() <= len(sample.plan) + 1, f"{point} waited {gaps.max()} turns"


def test_the_first_turn_spans_the_window_and_the_longest_unseen_expiry_has_its_share(market: Recorded) -> None:
    _, asked = run(market, TURNS)
    first = {expiry.expiry for expiry in asked[0]}
    window = {day for _, day in sample_expiries(market.listings(), market.now) if 30 <= dte(day, market.now) <= 60}
    assert min(first) <= min(window) and max(first) >= max(window)
    last = {(e.trading_class, e.expiry): len(e.contracts) for e in asked[-1]}
    assert max(last.values()) >= SHARE


def test_what_was_modelled_and_then_quoted_was_near(market: Recorded) -> None:
    """Counted as the streams count: each contract once, by the surface as it was before any quote of its own."""
    sample, machine = ChainSample("SPX", LINES), market.now
    plan = sample_expiries(market.listings(), market.now)
    known = {point: market.at(point) for point in plan}
    points = count_misses([])
    for _ in range(2 * TURNS):
        turn = sample.contracts(sample.begin_turn(plan, machine), known.__getitem__, market.spot, market.now, machine)
        quotes = [q for q in market.answer(turn) if q.bid and q.ask and sample.is_modelled(q.contract)]
        before = sample.surface(market.spot, market.now, machine)
        if before is not None and quotes:
            sides = np.array([(q.bid, q.ask) for q in quotes], dtype=float)
            off = distances([q.contract for q in quotes], market.view(before), *sides.T)
            points = add_counts(points, count_misses(off.points))
        sample.saw(market.answer(turn), market.spot, market.now, machine)
        sample.fit([(e.trading_class, e.expiry) for e in turn], market.spot, market.now, machine)
        machine += TURN
    median, tail = within(points, 0.5), within(points, 0.95)
    assert median is not None and tail is not None
    print(
        f"{market.now.date()}: within {median:.3f} points (median), {tail:.3f} (95 %) of {sum(points)} later real mids"
    )
    assert sum(points) > 200 and median < 0.15 and tail < 3.0


def test_a_silent_contract_is_not_asked_again_at_once_and_an_old_quote_is_forgotten(market: Recorded) -> None:
    sample, asked = run(market, 2)
    silent = [c for turn in asked for e in turn for c in e.contracts if c not in sample.sightings]
    later = market.now + 2 * TURN + SIGHTING_LIFE
    assert sample.sightings
    sample.begin_turn(sample.plan, later)
    assert not sample.sightings and not sample.asked
    assert all(sample.is_modelled(c) for c in silent)


def test_a_source_without_a_limit_is_asked_for_the_whole_chain_of_every_expiry(market: Recorded) -> None:
    sample = ChainSample("SPX", None)
    plan = sample_expiries(market.listings(), market.now)
    opened = sample.begin_turn(plan, market.now)
    turn = sample.contracts(opened, market.at, market.spot, market.now, market.now)
    assert opened == tuple(plan) and sum(len(e.contracts) for e in turn) == sum(
        2 * len(market.at(point).strikes) for point in plan
    )
