"""IBKR's limits as meters, without a socket."""

from adapters.simulator.tws_limits import HistoryPace, Lines, MessageRate, Pace, Rules


def test_fifty_messages_at_once_pass_and_the_next_is_refused_once_aloud():
    rate = MessageRate(50, 3)
    assert all(rate.admit(100.0) is Pace.OK for _ in range(50))
    assert [rate.admit(100.0) for _ in range(3)] == [Pace.TOLD, Pace.SILENT, Pace.SILENT]
    assert rate.admit(100.021) is Pace.OK  # a fiftieth of a second later one more


def test_a_client_within_the_rate_is_never_refused():
    rate = MessageRate(50, 3)
    assert all(rate.admit(n / 50) is Pace.OK for n in range(1000))


def test_the_third_broken_second_cuts_off():
    rate = MessageRate(50, 3)
    seen = [pace for second in (0, 2, 4) for _ in range(60) if (pace := rate.admit(float(second))) is not Pace.OK]
    assert [pace for pace in seen if pace is not Pace.SILENT] == [Pace.TOLD, Pace.TOLD, Pace.CUT_OFF]


def test_a_flood_is_cut_off_within_its_first_second():
    rate = MessageRate(50, 3)
    served = next(n for n in range(1000) if rate.admit(0.0) is Pace.CUT_OFF)
    assert served == 50 + 100 - 1


def test_a_paced_client_learns_how_long_to_wait():
    rate = MessageRate(50, 3)
    assert rate.wait(0.0) == 0.0
    for _ in range(50):
        rate.admit(0.0)
    pause = rate.wait(0.0)
    assert 0.02 <= pause < 0.03 and rate.admit(pause) is Pace.OK


def test_lines_run_out_and_come_back():
    lines = Lines(2)
    assert lines.take("a") and lines.take("b") and not lines.take("c")
    lines.give_back("a")
    assert lines.take("c") and len(lines) == 2


def test_history_is_refused_when_identical_too_soon_and_when_too_many():
    pace = HistoryPace(Rules())
    assert pace.refuse("a", 0.0) is None
    assert "identical" in str(pace.refuse("a", 14.9))
    assert pace.refuse("a", 15.0) is None
    assert all(pace.refuse(n, 16.0) is None for n in range(58))
    assert "60 requests" in str(pace.refuse("b", 17.0))
    assert pace.refuse("b", 600.0) is None  # the first one left the window
    assert "60 requests" in str(pace.refuse("c", 600.0, weight=2))
