"""The appetite's file: everything it does not understand refuses, with the file and the key."""

import pytest

from models.quant.regime import RegimeFileError, load_regimes, regimes_from
from models.quant.regime_file import read_rules
from models.quant.regime_rules import Profile
from tests.quant.proposer_scene import TOML

TEXT = TOML.read_text()
NAME = "models/risk_regimes.toml"


def refused(text: str) -> RegimeFileError:
    with pytest.raises(RegimeFileError) as caught:
        load_regimes(text, NAME)
    assert NAME in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("[detection]", "surprise = 1\n[detection]", "surprise"),
        ("crisis_vix = 35.0", "crisis_vix = 35.0\ncrisis_vxx = 3", "detection.crisis_vxx"),
        ("crisis_vix = 35.0", "", "detection.crisis_vix"),
        ("version = 1", "", "version"),
        ("version = 1", "version = 2", "version"),
        ("vega_floor = -0.008", "vega_floor = 0.008", "profiles.desk.neutral_volatility.vega_floor"),
        ("gamma_floor = -0.0035", "gamma_floor = 0.0035", "profiles.desk.neutral_volatility.gamma_floor"),
        ("gamma_floor = -0.0035", "", "profiles.desk.neutral_volatility.gamma_floor"),
        ("gamma_floor = -0.0035", "gamma_floor = -0.0035\ngamma_cap = 0.1", "gamma_floor"),
        ("theta_target = 0.0006", "theta_target = -0.0006", "profiles.desk.neutral_volatility.theta_target"),
        ("delta_cap = 0.008", "delta_cap = 0.012", "profiles.desk.*.delta_cap"),
        ("delta_cap = 0.008", 'delta_cap = "wide"', "profiles.desk.neutral_volatility.delta_cap"),
        ("delta_cap = 0.008", "delta_cap = true", "profiles.desk.neutral_volatility.delta_cap"),
        ("delta_cap = 0.008", "delta_cap = nan", "profiles.desk.neutral_volatility.delta_cap"),
        ("gamma_floor = -0.0008", "gamma_floor = -0.0050", "profiles.desk.crisis_mode.gamma_floor"),
        ("stress_worst = 0.12", "stress_worst = 0.05", "profiles.desk.crisis_mode.stress_near"),
        ("short_notional = 4.0", "", "profiles.desk.crisis_mode.short_notional"),
        ("contracts = 10\n", "contracts = 10.5\n", "profiles.classic.crisis_mode.contracts"),
        ("contracts = 50", "contracts = 200", "profiles.classic.*.contracts"),
        ('vega_measure = "vega"', 'vega_measure = "vegas"', "profiles.classic.vega_measure"),
        ("[25.0, 0.70]", "[25.0, 0.95]", "scalers.vix"),
        ("[25.0, 0.70]", "[19.0, 0.70]", "scalers.vix"),
        ("[25.0, 0.70]", "[25.0]", "scalers.vix"),
        ("[0.95, 0.80]", "[0.95, 0.50]", "scalers.term"),
        ("high_vix = 22.0", "high_vix = 40.0", "detection.high_vix"),
        ("dte_max = 60", "dte_max = 20", "hedges.dte_min"),
        ('"jade_lizard"]', '"iron_lizard"]', "families"),
        ("vega = -1200.0", "vega = 1200.0", "profiles.classic.neutral_volatility.fallback.vega"),
        ("widths = [0.005, 0.01,", "widths = [0.01, 0.005,", "hedges.widths"),
        ("answer_theta = false", "answer_theta = 0", "hedges.answer_theta"),
        ("[profiles.classic.crisis_mode]", "[profiles.classic.crisis]", "profiles.classic"),
        ("[manage.profit]\n", "[manage.profit]\nshares = 0.5\n", "manage.profit.shares"),
        ("dte = 21 ", "dte = 21.5 ", "manage.days_left.dte"),
        ("credit_multiple = 2.0", "credit_multiple = -2.0", "manage.loss.credit_multiple"),
        ("[manage.tested]\non = true", "[manage.tested]\non = 1", "manage.tested.on"),
        ("[manage.ex_date]\non = true", "[manage.ex_date]", "manage.ex_date.on"),
        ("sessions = [1, 5]", "sessions = [5, 1]", "manage.near_expiry.sessions"),
        ("sessions = [1, 5]", "sessions = []", "manage.near_expiry.sessions"),
        ("usual = 0.03", "usual = 0.06", "manage.gap.usual"),
        ("[manage.gap]", "[manage.gaps]", "manage"),
        ("[gates]", "[doors]", ""),
        ("heal_seconds = 60.0", "", "watch.heal_seconds"),
        ("heal_seconds = 60.0", "heal_seconds = -1.0", "watch.heal_seconds"),
        ("far_over = 1.10", "far_over = 0.90", "watch.far_over"),
        ("cluster_width = 0.01", "cluster_width = 0.01\ncluster_deep = 1", "watch.cluster_deep"),
    ],
)
def test_a_wrong_file_refuses_with_the_file_and_the_key(old, new, key):
    assert old in TEXT
    assert key in refused(TEXT.replace(old, new, 1)).key


def test_every_rule_of_management_has_its_own_switch():
    rules = ("profit", "days_left", "loss", "tested", "near_expiry", "ex_date", "gap")
    for name in rules:
        text = TEXT.replace(f"[manage.{name}]\non = true", f"[manage.{name}]\non = false", 1)
        manage = load_regimes(text, NAME).manage
        assert [getattr(manage, other).on for other in rules] == [other != name for other in rules]


def test_text_that_is_not_toml_refuses_with_the_file():
    assert "not TOML" in str(refused("version = = 1"))


def test_the_file_we_ship_is_consistent_for_the_desk_and_warns_about_classic():
    warnings = load_regimes(TEXT, NAME).warnings
    assert warnings[Profile.DESK] == ()
    said = "\n".join(warnings[Profile.CLASSIC])
    for part in (
        "neutral volatility: the theta target 0.120% a day is out of reach",
        "the gamma limit earns at most 0.079% at VIX 22",
        "neutral volatility: the vega floor allows a loss of 13% of net liquidation on an ordinary bad day of +2.7 vol",
        "the desk pauses at 3%",
        "neutral volatility: no stress limit, so far short puts pass every line",
        "the vega floor alone allows a loss of 72% of net liquidation for +15 vol points",
    ):
        assert part in said, part


def test_a_desk_profile_whose_vega_floor_contradicts_its_stress_limit_is_warned_about():
    book = load_regimes(TEXT.replace("vega_floor = -0.008", "vega_floor = -0.020", 1), NAME)
    assert any("allows a loss of 30% of net liquidation for +15" in warning for warning in book.warnings[Profile.DESK])


def test_a_row_of_the_limits_table_reads_like_the_file():
    body = read_rules(TEXT, NAME)
    assert regimes_from(body, "limits version 3").profiles == load_regimes(TEXT, NAME).profiles
    with pytest.raises(RegimeFileError, match="limits version 3: gates"):
        regimes_from({k: v for k, v in body.items() if k != "gates"}, "limits version 3")
