"""The rules of management about a whole trade: its profit, its loss, and the days it has left."""

from models.quant.breach import money, percent
from models.quant.exit_findings import Answer, Days, Finding, Rule, Unknown, Urgency, count, listed
from models.quant.exit_tests import days_are_few, loss_is_reached, profit_is_taken
from models.quant.manage_rules import ManageRules
from models.quant.option import Contract
from models.quant.terms import MarketView
from models.quant.trades import Trade


def profit(trade: Trade, _market: MarketView, rules: ManageRules, _days: Days) -> Answer:
    if not (rules.profit.on and trade.sells_premium):
        return None
    earned, most = trade.profit, trade.most
    if earned is None or most is None:
        return _unknown_money(trade)
    if not profit_is_taken(earned, most, rules.profit.share):
        return None
    share = earned / most
    return Finding(
        Rule.PROFIT,
        Urgency.CALM,
        f"{percent(share)} of its most earned",
        f"it has earned {money(earned)} of the {money(most)} it can, {percent(share)}; short premium is taken off at "
        f"{percent(rules.profit.share)}.",
        {"profit": earned, "most": most, "share": share},
        share,
        _all(trade),
    )


def loss(trade: Trade, _market: MarketView, rules: ManageRules, _days: Days) -> Answer:
    if not (rules.loss.on and trade.sells_premium):
        return None
    earned, credit = trade.profit, trade.credit
    if earned is None or credit is None:
        return _unknown_money(trade)
    if not loss_is_reached(earned, credit, rules.loss.credit_multiple):
        return None
    times = -earned / credit
    return Finding(
        Rule.LOSS,
        Urgency.SOON,
        f"loss of {times:.1f}× its credit",
        f"it has lost {money(-earned)}, {times:.1f}× the {money(credit)} received; short premium is given up at "
        f"{rules.loss.credit_multiple:g}×.",
        {"loss": -earned, "credit": credit, "multiple": times},
        times,
        _all(trade),
    )


def days_left(trade: Trade, _market: MarketView, rules: ManageRules, _days: Days) -> Answer:
    days = trade.days_left
    if not (rules.days_left.on and trade.sells_premium and days_are_few(days, rules.days_left.dte)):
        return None
    title = f"{count(days, 'day')} left"
    facts = {"days": float(days), "rule": float(rules.days_left.dte)}
    if trade.profit is not None:
        facts["profit"] = trade.profit
    return Finding(
        Rule.DAYS_LEFT,
        Urgency.CALM,
        title,
        f"{title}, short premium is closed at {rules.days_left.dte}; {_so_far(trade)}.",
        facts,
        float(days),
        _all(trade),
    )


def _so_far(trade: Trade) -> str:
    earned, credit = trade.profit, trade.credit
    if earned is None or credit is None:
        return "what it has earned is unknown"
    verb = f"has earned {money(earned)}" if earned >= 0 else f"has lost {money(-earned)}"
    return f"it {verb} on {money(credit)} received"


def _unknown_money(trade: Trade) -> Unknown:
    """What a profit lacks, by name."""
    costs, prices = (listed(missing) for missing in (trade.without_cost, trade.without_price))
    parts = [f"what was received for {costs} is unknown"] if costs else []
    parts += [f"the price of {prices} is unknown"] if prices else []
    return Unknown(f"{' and '.join(parts)}, so its profit and loss are not judged")


def _all(trade: Trade) -> tuple[Contract, ...]:
    return tuple(contract for contract, _ in trade.group.legs)
