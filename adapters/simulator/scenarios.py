"""What the market can be told to do, as data: drifts, shocks and halts with the regime each is meant to reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """A commanded move of the whole market.

    `spot` is the index's total return, `vix` the level it is led to (None: as the index move implies), both reached
    after `minutes` of venue time (0: at once, and always at once while the clock stands). `rest` is the VIX the market
    returns to afterwards; `halted` freezes or thaws every quote.
    """

    name: str
    words: str
    spot: float = 0.0
    vix: float | None = None
    vvix: float | None = None
    minutes: float = 0.0
    rest: float | None = None
    halted: bool | None = None


SCENARIOS: dict[str, Scenario] = {
    s.name: s
    for s in (
        Scenario("calm", "an ordinary day in a nervous market", vix=23.5, rest=23.5, minutes=5.0, halted=False),
        Scenario("crash", "a day of −3 %", spot=-0.03, vix=25.5, rest=22.0, minutes=120.0),
        Scenario("low_volatility", "a quiet market: VIX 12, steep term structure", 0.008, 12.0, 84.0, 3.0, 12.0),
        Scenario("neutral_volatility", "VIX 18", -0.005, 18.0, 95.0, 3.0, 18.0),
        Scenario("high_volatility", "a spike to VIX 28", -0.035, 28.0, 125.0, 3.0, 26.0),
        Scenario("crisis", "a spike to VIX 42 with an inverted term structure", -0.08, 42.0, 165.0, 3.0, 36.0),
        Scenario("gap", "a gap of −4 % at once", spot=-0.04, vix=27.0, rest=22.0),
        Scenario("halted", "the feed stops", halted=True),
        Scenario("resume", "the feed runs again", halted=False),
    )
}


class ScenarioError(ValueError):
    """A scenario was asked for that does not exist; the message lists those that do."""


def scenario_of(name: str) -> Scenario:
    found = SCENARIOS.get(name.strip().lower())
    if found is None:
        raise ScenarioError(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return found
