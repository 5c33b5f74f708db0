"""When and how the person is told: the exact edges of the rule, one cause once, channels that fail without a secret."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from adapters.connect import open_notifier
from adapters.notifier import NotificationDispatcher
from agents.desk import Desk
from agents.notices import Outcome, due, far_over, tell
from models.control import Alert
from models.quant.breach import Breach, BreachKind
from models.quant.regime_rules import Regime
from models.settings import SettingsError, read_settings
from tests.agents.conftest import settings_in

ACCOUNT = "SIM1"


def breach(
    use: float | None, kind: BreachKind = BreachKind.VEGA, subject: str = "", regime: Regime = Regime.NEUTRAL
) -> Breach:
    size = use or 1.0
    words = f"{kind} {subject} is {size:.0%}.".replace("  ", " ")
    return Breach(kind, -size, -1.0, 1 - size, use, kind is not BreachKind.THETA, words, regime, size - 1, subject)


def outcome(breaches: Sequence[Breach], before: Sequence[Breach] = (), regime: Regime = Regime.NEUTRAL,
            score: float | None = None, proposed: int = 3) -> Outcome:  # fmt: skip
    far, was = far_over(breaches, 1.10), far_over(before, 1.10)
    return Outcome(ACCOUNT, regime, breaches, score, proposed, "Said.", far, was)


def causes(result: Outcome) -> set[str]:
    return {name for name, words in due(result, 0.10).items() if words}


def test_a_score_at_the_threshold_tells_nobody_and_above_it_does() -> None:
    assert causes(outcome([breach(1.05)], score=0.10)) == set()
    assert causes(outcome([breach(1.05)], score=0.1001)) == {"hedge"}
    assert causes(outcome([breach(1.05)], score=None)) == set()


def test_crisis_always_tells() -> None:
    assert causes(outcome([breach(1.05)], regime=Regime.CRISIS)) == {"crisis"}


def test_a_breach_far_over_its_limit_tells_on_the_second_check_running_and_theta_never() -> None:
    far, theta = [breach(1.11)], [breach(2.0, BreachKind.THETA)]
    assert causes(outcome(far)) == set()
    assert causes(outcome(far, before=far)) == {"stands"}
    assert causes(outcome([breach(1.10)], before=far)) == set()
    assert causes(outcome(theta, before=theta)) == set()


def test_a_breach_without_a_feasible_hedge_tells_and_no_breach_does_not() -> None:
    assert causes(outcome([breach(1.05)], proposed=0)) == {"no-hedge"}
    assert causes(outcome([], proposed=0)) == set()


async def told(desk: Desk) -> dict[str, Alert]:
    return {alert.cause: alert for alert in await desk.store.control.alerts()}


@pytest.mark.parametrize(("use", "far"), [(1.10, False), (1.1001, True), (None, True), (1.05, False)])
def test_far_over_is_strict_and_a_limit_of_zero_is_over_at_once(use: float | None, far: bool) -> None:
    assert bool(far_over([breach(use)], 1.10)) is far
    assert not far_over([breach(9.0, BreachKind.THETA)], 1.10)


def test_two_checks_running_means_the_same_line_on_both_and_only_it_is_named() -> None:
    aapl, msft = (breach(1.3, BreachKind.VEGA_SHARE, name) for name in ("AAPL", "MSFT"))
    assert due(outcome([aapl], [msft]), 0.10)["stands"] is None
    said = due(outcome([aapl, msft, breach(1.05)], [aapl]), 0.10)["stands"]
    assert said == "Far over its limit on two checks running: vega_share AAPL is 130%."


async def test_one_cause_alerts_once_counts_and_settles(desk: Desk) -> None:
    good = outcome([breach(1.2)], score=0.5)
    assert await tell(desk, good) == 1
    assert await tell(desk, good) == 0
    alert = (await told(desk))[f"hedge:{ACCOUNT}"]
    assert (alert.count, alert.severity) == (2, "yellow")
    await tell(desk, outcome([], score=None, proposed=0))
    assert f"hedge:{ACCOUNT}" not in await told(desk)


async def test_crisis_is_red_and_everything_else_yellow(desk: Desk) -> None:
    await tell(desk, outcome([breach(1.2)], regime=Regime.CRISIS, proposed=0))
    found = await told(desk)
    assert {found[f"{name}:{ACCOUNT}"].severity for name in ("crisis", "no-hedge")} == {"red"}


async def test_without_channels_there_is_exactly_one_warning_that_says_how_to_add_one_and_it_settles(
    desk: Desk, tmp_path: object
) -> None:
    for n in range(3):
        await tell(desk, outcome([breach(1.2)], score=0.5 if n != 1 else None, proposed=3))
    warning = (await told(desk))["channels"]
    assert (warning.count, warning.severity) == (1, "yellow")
    assert "NOTIFY_URLS" in warning.body and ".env" in warning.body and "tgram://" in warning.body
    configured = Desk(settings_in(desk.settings.var_dir.parent, NOTIFY_URLS="json://127.0.0.1:9/hook"), desk.store)
    await tell(configured, outcome([]))
    assert "channels" not in await told(desk)


async def test_a_channel_that_does_not_answer_is_itself_one_alert_and_never_ends_the_check(desk: Desk) -> None:
    configured = Desk(
        settings_in(desk.settings.var_dir.parent, NOTIFY_URLS="json://s3cret@127.0.0.1:9/hook"), desk.store
    )
    assert await tell(configured, outcome([breach(1.2)], score=0.5)) == 1
    alert = (await told(desk))["notifier"]
    assert "NOTIFY_URLS entry 1 (json) did not take it" in alert.body and "s3cret" not in alert.body


# ── the channels themselves ──────────────────────────────────────────────────────────────────────────────────────
async def test_an_entry_that_is_no_channel_is_named_by_its_place_and_scheme_and_its_secret_is_never_said(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    from adapters.base import Notice

    logging.getLogger("apprise").setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        sender = NotificationDispatcher(("tgrm://s3cret/1", "json://s3cret@127.0.0.1:9/x"), deadline=5.0)
        answer = await sender.send_alert(Notice("red", "title", "body"))
    assert sender.unreadable == ("NOTIFY_URLS entry 1 (tgrm)",)
    assert answer.failure is not None
    assert "NOTIFY_URLS entry 1 (tgrm) is no channel that apprise knows; correct it in .env" in answer.failure
    assert "NOTIFY_URLS entry 2 (json) did not take it" in answer.failure and "0 of 2" in answer.failure
    out = capsys.readouterr()
    assert "s3cret" not in answer.failure + caplog.text + out.out + out.err


@pytest.mark.parametrize("text", ["telegram:s3cret", "json://ok.example s3cret", "://s3cret", "5x://s3cret", "json://"])
def test_an_entry_that_is_no_url_refuses_to_start_with_the_variable_and_without_the_secret(text: str) -> None:
    with pytest.raises(SettingsError, match="NOTIFY_URLS: entry") as refused:
        read_settings({"NOTIFY_URLS": text})
    assert "s3cret" not in str(refused.value)


def test_channels_are_separated_by_spaces_and_without_any_there_is_no_notifier() -> None:
    assert open_notifier(read_settings({})) is None
    two = open_notifier(read_settings({"NOTIFY_URLS": "json://127.0.0.1:9/a  mailto://user:secret@example.org"}))
    assert isinstance(two, NotificationDispatcher) and two.unreadable == ()


async def test_a_silenced_cause_notifies_nobody_until_its_time_is_over(desk: Desk) -> None:
    control, now = desk.store.control, datetime.now(UTC)
    assert await control.raise_alert("x", "yellow", "X", "", "test", now)
    alert = (await told(desk))["x"]
    assert alert.id is not None
    from datetime import timedelta

    await control.silence_alert(alert.id, now + timedelta(hours=1), "pat", now)
    await control.settle_alert("x", now)
    assert not await control.raise_alert("x", "yellow", "X", "", "test", now + timedelta(minutes=1))
    await control.settle_alert("x", now)
    assert await control.raise_alert("x", "yellow", "X", "", "test", now + timedelta(minutes=61))
    assert [entry.what for entry in await control.audit_tail(5)] == ["silence"]
