"""Fifty seeded books on the recorded chains: how near the proposals come to the optimum, and how well that is proven.

Seconds are of this process's own processor time, so that a busy machine does not change what is found in them.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from models.quant.breach import detect_breaches, worsened
from models.quant.candidate import Candidate, Scene
from models.quant.linear_hedges import cures
from models.quant.margin_floor import margin_floor
from models.quant.margin_rules import IBKR
from models.quant.optimum import Optimum, optimum
from models.quant.portfolio import Holding
from models.quant.proposing import propose
from tests.benchmarks.report import Row
from tests.conftest import RECORDED
from tests.quant.seeded_books import seeded_market, seeded_scene

BOOKS = 50


@dataclass(frozen=True)
class Seen:
    """One book: the final optimum, after how many seconds it ended and its gap was narrow enough, the best proposal."""

    seed: int
    scene: Scene
    optimum: Optimum
    seconds: float
    near_at: float | None
    top: Candidate | None
    proposals: tuple[Candidate, ...]

    @property
    def top_gap(self) -> float | None:
        return None if self.top is None else self.optimum.distance(self.scene, self.top)

    @property
    def top_over_best(self) -> float | None:
        """Of the best proposal over the best ticket known, where both cure everything."""
        best = self.optimum.hedge
        if best is None or self.top is None or not cures(self.top):
            return None
        return self.top.cost.total / best.cost.total - 1

    @property
    def worse(self) -> int:
        """Proposals that create or deepen the breach of any cap."""
        scene = self.scene
        return sum(
            bool(worsened(scene.exposure, hedge.outcome, scene.limits, scene.smallest_lot)) for hedge in self.proposals
        )


def look(seed: int) -> Seen:
    scene, market = seeded_scene(RECORDED, seed), seeded_market(RECORDED, seed)
    found = propose(scene)
    held = [Holding(scene.vectors.contracts[scene.vectors.index[name]], n) for name, n in scene.held.items()]
    floor = margin_floor(scene.vectors.contracts, market.symbol, held, market.view, IBKR)
    started, near_at, answer = time.process_time(), None, None
    ends = started + scene.hedges.optimum_seconds
    floors = [] if floor is None else [floor]
    for answer in optimum(scene, floors, lambda: ends - time.process_time(), found.ranked):
        if near_at is None and answer.gap is not None and answer.gap <= scene.hedges.optimum_near + 1e-9:
            near_at = time.process_time() - started
    assert answer is not None
    top = found.ranked[0] if found.ranked else None
    return Seen(seed, scene, answer, time.process_time() - started, near_at, top, found.ranked)


def line(seen: Seen) -> str:
    limits = seen.scene.limits
    broken = [b.kind.value for b in detect_breaches(seen.scene.exposure, limits, seen.scene.smallest_lot) if b.is_cap]
    top = "none" if seen.top is None else f"{seen.top.family.value} {seen.top.cost.total:,.0f}"
    shares = (seen.optimum.gap, seen.top_gap, seen.top_over_best)
    numbers = "  ".join("   n/a" if x is None else f"{x:6.1%}" for x in shares)
    return (
        f"{seen.seed:>3} {limits.profile.value:<8}{limits.regime.value:<19}{numbers}  {seen.seconds:5.1f} s  "
        f"top {top}; {seen.optimum.words}  [{', '.join(broken)}]"
    )


def share(flags: Sequence[bool]) -> float:
    return 100.0 * sum(flags) / max(len(flags), 1)


def spread(name: str, values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{name}: {list(values)}"
    cuts = statistics.quantiles(values, n=10, method="inclusive")
    shown = ", ".join(f"{int(100 * at)} % {cuts[int(10 * at) - 1]:.0%}" for at in (0.1, 0.5, 0.8, 0.9))
    return f"{name} ({len(values)} books): {shown}"


def measure(books: int = BOOKS) -> list[Row]:
    if not RECORDED.is_dir():
        print(f"no recorded market data at {RECORDED}: nothing measured")
        return []
    seen = []
    print("seed profile regime: optimum over its bound, best proposal over the bound, over the best ticket known")
    for seed in range(books):
        seen.append(look(seed))
        print(line(seen[-1]), flush=True)
    measured = [s for s in seen if s.optimum.measurable]
    curable = [s for s in seen if s.optimum.bound < float("inf") and (s.optimum.hedge is not None or s.top is not None)]
    gaps = [s.optimum.gap for s in measured if s.optimum.gap is not None]
    tops = [s.top_gap for s in measured if s.top_gap is not None]
    known = [s.top_over_best for s in measured if s.top_over_best is not None]
    print(spread("optimum over its bound", gaps))
    print(spread("best proposal over the bound", tops))
    print(spread("best proposal over the best ticket known", known))
    return [
        Row("books whose optimum is proven within 10 % in 20 s", share([g <= 0.1001 for g in gaps]), "%"),
        Row("books whose best proposal is proven within 10 % of the optimum", share([g <= 0.1001 for g in tops]), "%"),
        Row("books whose best proposal is within 10 % of the best known", share([g <= 0.1001 for g in known]), "%"),
        Row("books whose breaches the best proposal cures in full", share([_full(s) for s in curable]), "%"),
        Row("proposals that worsen any limit", float(sum(s.worse for s in seen)), "", goal=0.0),
        Row("median seconds of the search for the optimum", statistics.median(s.seconds for s in seen), "s", goal=20.0),
    ]  # fmt: skip


def _full(seen: Seen) -> bool:
    return seen.top is not None and cures(seen.top)
