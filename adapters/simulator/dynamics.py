"""How the factors move: one index, one variance, names that follow with their own noise, on a grid of venue time.

The index's return drives the variance down the leverage line (it rises when the index falls), so VIX moves against
SPX as it does outside. The noise of a grid step is a function of seed and time alone: the same seed and the same
moments give the same path, however often or seldom anybody looked.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from adapters.simulator.names import INDEX, NAMES
from adapters.simulator.scenarios import Scenario
from adapters.simulator.surface import VIX3M_YEARS, level_of, vix_of

STEP_SECONDS = 1
COARSE_SECONDS = 60  # grid for long gaps
COARSE_FROM = 1800
SESSION_SECONDS = 252 * 6.5 * 3600  # a year of trading time
NIGHT_SHARE = 0.15  # how much of a regular second's variance a second outside regular hours carries
LEVERAGE = 16.0  # d log variance per d log index: −1 % on the index lifts VIX about 7 %
VOL_OF_VOL = 0.9  # annual, the part of log variance that does not follow the index
PULL = 14.0  # per year: how fast log variance returns to its resting level
VVIX_BASE, VVIX_SLOPE, VVIX_FLOOR = 52.0, 2.35, 75.0


@dataclass
class Push:
    """A commanded move in progress: what is left of it, spread evenly until `until`."""

    until: float  # epoch seconds of venue time
    spot: float  # log return of the index left to make
    level: float  # log variance left to make


@dataclass
class Factors:
    """The state of the market. `spots` follows the order of NAMES; `level` is the index's instantaneous variance."""

    seed: int
    at: float  # epoch seconds of venue time
    spots: np.ndarray
    level: float
    rest: float  # the variance level the market returns to
    vvix_excess: float = 0.0
    push: Push | None = None
    halted: bool = False
    points: float = 0.0  # volatility points added to recorded smiles by commanded moves
    version: int = 0
    fixed: bool = False  # a recorded market stands still until it is told to move
    _betas: np.ndarray = field(default_factory=lambda: np.array([n.beta for n in NAMES]))
    _own: np.ndarray = field(default_factory=lambda: np.array([n.own_vol for n in NAMES]))

    @property
    def index(self) -> float:
        return float(self.spots[0])

    @property
    def vix(self) -> float:
        return vix_of(INDEX.smile, self.level)

    @property
    def vix3m(self) -> float:
        return vix_of(INDEX.smile, self.level, VIX3M_YEARS)

    @property
    def vvix(self) -> float:
        return max(VVIX_BASE + VVIX_SLOPE * self.vix + self.vvix_excess, VVIX_FLOOR)

    def advance(self, to: datetime, trading_share: float) -> None:
        """Move on to venue time `to`; `trading_share` scales variance (1 in regular hours, NIGHT_SHARE else)."""
        target = to.timestamp()
        gap = target - self.at
        grid = STEP_SECONDS if gap < COARSE_FROM else COARSE_SECONDS
        steps = int(target // grid) - int(self.at // grid)
        if steps <= 0 or self.halted:
            self.at = max(self.at, target) if self.halted else self.at
            return
        still = self.fixed and self.push is None
        for _ in range(steps):
            now = (int(self.at // grid) + 1) * grid
            self._push_to(now)
            if not still:
                self._step(grid, now, trading_share)
            self.at = float(now)
        if not still:
            self.version += 1

    def _step(self, seconds: int, now: int, share: float) -> None:
        if self.fixed:
            return
        noise = np.random.Generator(np.random.Philox(key=self.seed, counter=now)).standard_normal(len(NAMES) + 2)
        year = seconds / SESSION_SECONDS * share
        root = math.sqrt(year)
        index_return = math.sqrt(self.level) * root * noise[0] - self.level * year / 2
        own = self._own * root * noise[1 : len(NAMES) + 1]
        own[0] = 0.0
        self.spots = self.spots * np.exp(self._betas * index_return + own - self._own**2 * year / 2)
        pull = PULL * (math.log(self.rest) - math.log(self.level)) * year
        self._scale_level(-LEVERAGE * index_return + VOL_OF_VOL * root * noise[-1] + pull)
        self.vvix_excess *= math.exp(-PULL * year)

    def _scale_level(self, log_change: float) -> None:
        self.level = min(max(self.level * math.exp(log_change), 0.06**2), 1.6**2)

    def _push_to(self, now: float) -> None:
        if self.push is None:
            return
        left = max(self.push.until - self.at, 0.0)
        part = 1.0 if left <= 0 else min((now - self.at) / left, 1.0)
        self._move(self.push.spot * part, self.push.level * part)
        self.push.spot *= 1 - part
        self.push.level *= 1 - part
        if part >= 1.0:
            self.push = None

    def _move(self, log_spot: float, log_level: float) -> None:
        before = self.vix
        self.spots = self.spots * np.exp(self._betas * log_spot)
        self._scale_level(log_level)
        self.points += (self.vix - before) / 100
        self.version += 1

    def apply(self, scenario: Scenario, standing: bool) -> None:
        """Begin a scenario; while the clock stands it happens at once."""
        if scenario.halted is not None:
            self.halted = scenario.halted
            self.version += 1
        if scenario.rest is not None:
            self.rest = level_of(INDEX.smile, scenario.rest)
        log_spot = math.log1p(scenario.spot)
        log_level = -LEVERAGE * log_spot
        if scenario.vix is not None:
            log_level = math.log(level_of(INDEX.smile, scenario.vix) / self.level)
        if scenario.vvix is not None:
            self.vvix_excess = scenario.vvix - (VVIX_BASE + VVIX_SLOPE * (scenario.vix or self.vix))
        if scenario.spot or scenario.vix is not None:
            self.shift(log_spot, log_level, 0.0 if standing else scenario.minutes * 60)

    def shift(self, log_spot: float, log_level: float, seconds: float = 0.0) -> None:
        """Move the index by a log return and the variance by a log change, at once or spread over venue seconds."""
        if seconds <= 0:
            self._move(log_spot, log_level)
        else:
            self.push = Push(self.at + seconds, log_spot, log_level)


def opening_factors(seed: int, at: datetime, vix: float = 23.5) -> Factors:
    """The demo's first morning: spots scattered a little by the seed around their opening values."""
    noise = np.random.default_rng(seed).standard_normal(len(NAMES))
    spots = np.array([n.spot for n in NAMES]) * np.exp(0.01 * noise)
    level = level_of(INDEX.smile, vix)
    return Factors(seed, at.astimezone(UTC).timestamp(), spots, level, level)
