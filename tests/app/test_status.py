"""Lights, switches in words, what needs the person, the book's tables, and who counts as staff: over frozen values."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import grids
from app.measures import kpis, oldest
from app.pulse import Pulse, is_on
from app.staff import StaffProcess, staff_is_alive
from app.status import State, acknowledgement, agent_state, lights, needs, session_words
from models.book import PortfolioGreeks, Position
from models.control import DeskRow, Heartbeat, Lease, LockRow, Switch
from models.market import MarketState
from models.order import Order
from tests.app.seed import ACCOUNT, EXPOSURE, proposals

NOW = datetime(2026, 8, 21, 14, 42, 7, tzinfo=UTC)


def beat(agent: str = "ibkr_bridge", state: str = "ok", ago: float = 1, every: float = 1) -> Heartbeat:
    at = NOW - timedelta(seconds=ago)
    return Heartbeat(agent=agent, state=state, sentence="s", at=at, next_at=at + timedelta(seconds=every))


def switch(value: str = "off", **more: Any) -> Switch:
    return Switch(name="halt", value=value, set_by="ann", set_at=NOW, **more)


def pulse(**more: Any) -> Pulse:
    """A desk in which nothing has happened yet."""
    quiet = Pulse(
        at=NOW, desk_at=NOW, latency=0.01, desk=DeskRow(mode="DEMO", account_ids=[ACCOUNT], created_at=NOW),
        switches={"halt": switch(), "pause": switch()}, heartbeats=(), alerts=(), locks=(), account=None, greeks=(),
        pending=(), working=(), market={},
    )  # fmt: skip
    return replace(quiet, **more)


def portfolio(**exposure: Any) -> PortfolioGreeks:
    return PortfolioGreeks(
        snapshot_id="s",
        account_id=ACCOUNT,
        contract="PORTFOLIO",
        at=NOW,
        desk_at=NOW,
        exposure={**EXPOSURE, **exposure},
    )


@pytest.mark.parametrize(
    ("heartbeat", "state"),
    [
        (None, State.NO_DATA),
        (beat(), State.OK),
        (beat(ago=15), State.LATE),
        (beat(ago=60), State.DOWN),
        (beat(ago=200, every=300), State.OK),
        (beat(state="failed"), State.DOWN),
        (beat(state="stopped"), State.DOWN),
        (beat(state="waiting"), State.LATE),
        (beat(state="paused"), State.OK),
    ],
)
def test_an_agent_is_late_by_its_own_rhythm(heartbeat: Heartbeat | None, state: State) -> None:
    assert agent_state(heartbeat, NOW) is state


def test_a_desk_without_staff_has_four_lights_that_say_so() -> None:
    shown = lights(pulse())
    assert [light.name for light in shown] == ["Bridge", "Market data", "DB", "Workers"]
    assert [light.state for light in shown] == [State.NO_DATA, State.NO_DATA, State.OK, State.NO_DATA]
    assert all(light.detail for light in shown)


def test_market_data_goes_late_and_down_with_the_age_of_spx() -> None:
    def at(ago: float) -> State:
        spx = MarketState(name="SPX", value=1.0, source="v", at=NOW, received_at=NOW - timedelta(seconds=ago))
        return lights(pulse(market={"SPX": spx}, heartbeats=(beat("greeks_streamer"),)))[1].state

    assert (at(2), at(20), at(90)) == (State.OK, State.LATE, State.DOWN)


def test_doubt_about_a_switch_counts_as_on() -> None:
    assert is_on(None)
    assert is_on(switch("on"))
    assert is_on(switch("maybe"))
    assert not is_on(switch("off"))


def test_the_bridges_acknowledgement_is_told_with_its_latency() -> None:
    heard = switch("on", acknowledged_at=NOW + timedelta(seconds=0.4))
    assert acknowledgement(heard, NOW) == "bridge acknowledged in 0.4 s"
    assert acknowledgement(switch("on"), NOW + timedelta(seconds=9)) == "the bridge has not acknowledged for 9 s"


def test_the_clock_says_session_and_time_to_close() -> None:
    assert session_words(NOW) == "Fri 21 Aug · 10:42:07 ET · regular · 5 h 32 to close"
    assert "closed · opens Mon 24 Aug 09:30" in session_words(NOW.replace(day=22))


def test_needs_are_ranked_locks_before_breaches_before_proposals_before_stale_parts() -> None:
    lock = LockRow(account_id=ACCOUNT, family="SPX", reason="ours −6, theirs −5", since=NOW)
    busy = pulse(locks=(lock,), greeks=(portfolio(),), pending=tuple(proposals(NOW)), heartbeats=(beat(ago=60),))
    words = [need.word for need in needs(busy)]
    assert words[0] == "lock"
    assert words.index("breach") < words.index("decide") < words.index("DOWN")
    assert words.count("breach") == 2  # theta short of its target is no breach


def test_an_unknown_order_needs_the_person() -> None:
    order = Order(
        order_ref="abcdef0123", account_id=ACCOUNT, epoch=1, risk_family="SPX", legs_json=[], legs_hash="",
        action="BUY", quantity=1, order_type="LMT", tif="DAY", status="unknown", created_at=NOW,
    )  # fmt: skip
    assert "unknown" in [need.word for need in needs(pulse(working=(order,)))]


def test_a_quiet_desk_needs_nobody() -> None:
    beats = tuple(beat(name) for name in ("ibkr_bridge", "greeks_streamer"))
    spx = MarketState(name="SPX", value=1.0, source="v", at=NOW, received_at=NOW)
    assert needs(pulse(heartbeats=beats, market={"SPX": spx})) == ()


def test_the_six_numbers_are_there_whether_known_or_not() -> None:
    empty = kpis(pulse())
    assert [one.name for one in empty] == ["Net liq", "BW delta", "Theta", "Vega", "Gamma", "Excess liquidity"]
    assert all(one.text == "n/a" and one.why for one in empty)
    known = kpis(pulse(greeks=(portfolio(),)))
    assert known[1].text == "+$9,480"
    assert known[1].use == pytest.approx(1.185)
    assert known[2].is_cap is False


def test_a_number_past_its_allowance_is_dimmed() -> None:
    late = pulse(at=NOW + timedelta(seconds=31), greeks=(portfolio(),))
    assert kpis(late)[1].old
    assert oldest(late) == ("greeks", 31.0)
    assert oldest(pulse()) is None


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────
def greek_row(contract: str, value: float | None, missing: tuple[str, ...] = ()) -> PortfolioGreeks:
    return PortfolioGreeks(
        snapshot_id="s", account_id=ACCOUNT, contract=contract, at=NOW, desk_at=NOW, quantity=1, spx_delta=value,
        gamma=value, vega=value, vega_weighted=value, theta=value, market_value=value, missing=list(missing),
    )  # fmt: skip


def test_what_could_not_be_valued_stands_on_top_and_makes_its_sum_unknown() -> None:
    rows = [greek_row("SPY", 5.0), greek_row("AAPL", None, ("no quote",)), greek_row("AAPL  260918C00230000", 3.0)]
    records = grids.book_rows(rows, [], NOW)
    assert records[0]["Why unknown"] == "no quote"
    sums = {group["Underlying"]: group["BW delta"] for group in grids.by_underlying(records)}
    assert sums == {"AAPL": None, "SPY": 5.0}
    assert grids.risk_of(rows[1]) > grids.risk_of(rows[0])


def test_a_position_the_valuation_forgot_is_listed_with_that_reason() -> None:
    held = Position(
        account_id=ACCOUNT, identity="SPY", quantity=3, baseline_at=NOW, updated_at=NOW,
        contract_json={"symbol": "SPY", "sec_type": "STK", "trading_class": "SPY", "multiplier": 1},
    )  # fmt: skip
    record = grids.book_rows([], [held], NOW)[0]
    assert (record["Contract"], record["Why unknown"], record["BW delta"]) == ("SPY shares", "not valued yet", None)


# ── the staff ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_living_lease_or_a_recent_word_is_a_staff_at_work() -> None:
    lease = Lease(job="bridge", holder="h", until=NOW + timedelta(seconds=5))
    assert staff_is_alive([], [lease, None], NOW)
    assert staff_is_alive([beat(ago=5)], [None], NOW)
    assert not staff_is_alive([beat(ago=60)], [Lease(job="bridge", holder="h", until=NOW)], NOW)
    assert not staff_is_alive([beat(ago=5, state="stopped")], [], NOW)
    assert not staff_is_alive([], [], NOW)


def test_the_staffs_process_starts_once_and_leaves_when_its_pipe_closes(tmp_path: Any) -> None:
    import sys

    staff = StaffProcess(tmp_path, (sys.executable, "-c", "import sys; print('here', flush=True); sys.stdin.read()"))
    try:
        assert staff.start()
        assert not staff.start()
        assert staff.running
        child = staff._child
        assert child is not None
    finally:
        staff.stop()
    assert child.returncode == 0
    assert not staff.running
    assert staff.last_words() == "here"


def test_a_staff_that_ended_says_how_and_is_not_started_again_by_itself(tmp_path: Any) -> None:
    import sys

    staff = StaffProcess(tmp_path, (sys.executable, "-c", "raise SystemExit('no broker there')"))
    staff.start()
    assert staff._child is not None
    assert staff._child.wait(20) == 1
    assert staff.ended_with == 1
    assert "no broker there" in staff.last_words()
    staff.stop()
