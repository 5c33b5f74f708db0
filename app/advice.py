"""The scorecard as the journal shows it: rows → a frame, the numbers on top, the facts of one line. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from app import format as fmt
from app import look
from database.scorecard import ScoredLine
from models.quant.advice import RULES, Advice
from models.quant.advice_tally import Line, Tally, tallies
from models.quant.advice_words import verdict
from models.quant.product import NEW_YORK
from models.quant.structure import LegsError
from models.scorecard import FollowedDay, advice_for, story_of

TONES = {"Approved": "gain", "Rejected": "over", "Superseded": "quiet", "Expired": "warn", "Pending": "accent"}

SPLITS = {"outcome": "What became of it", "strategy": "Strategy", "origin": "Origin"}
JOINED = "\u2060"
"""Between a minus and its currency: a line may not break there."""
COLUMNS = ("When", "Proposal", "Became", "Cost", "P&L", "Kept", "Days", "Verdict")


@dataclass(frozen=True)
class Entry:
    """One followed proposal, ready to be shown. `advice` None: its legs cannot be read."""

    row: ScoredLine
    advice: Advice | None
    words: str

    @property
    def id(self) -> int:
        return self.row.line.id

    @property
    def last(self) -> FollowedDay | None:
        return self.row.last

    @property
    def outcome(self) -> str:
        return self.row.line.followed.outcome

    @property
    def origin(self) -> str:
        return str(self.row.line.proposal.origin)

    @property
    def title(self) -> str:
        quantity = self.advice.quantity if self.advice else self.row.line.proposal.quantity
        return f"{self.row.line.proposal.strategy_name} ×{quantity}"

    @property
    def became(self) -> str:
        """`Approved, filled`, `Superseded 12×`."""
        followed = self.row.line.followed
        if self.outcome == "Approved":
            return "Approved, filled" if followed.filled else "Approved, not filled"
        return f"{self.outcome} {followed.times}×" if followed.times > 1 else self.outcome

    @property
    def counts(self) -> Line:
        """As it counts in the record."""
        return Line(
            day=self.row.line.followed.desk_at.astimezone(NEW_YORK).date(),
            origin=self.origin,
            strategy=self.row.line.proposal.strategy_name,
            outcome=self.became if self.outcome == "Approved" else self.outcome,
            closes=self.row.closes,
            profit=self.last.profit if self.last else None,
            cost=self.advice.cost if self.advice else None,
            kept=self.last.kept if self.last else None,
        )


def entry_of(row: ScoredLine) -> Entry:
    line = row.line
    try:
        advice = advice_for(line.proposal, line.followed)
        words = line.followed.verdict or verdict(story_of(line.proposal, line.followed, row.last))
    except LegsError as error:
        return Entry(row, None, line.followed.verdict or f"It cannot be followed: {error}.")
    return Entry(row, advice, words)


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────
def frame_of(entries: Sequence[Entry]) -> pd.DataFrame:
    return pd.DataFrame([_record(entry) for entry in entries], columns=list(COLUMNS))


def _record(entry: Entry) -> dict[str, Any]:
    last, followed = entry.last, entry.row.line.followed
    return {
        "When": f"{followed.desk_at.astimezone(NEW_YORK):%d %b %H:%M}",
        "Proposal": entry.title,
        "Became": entry.became,
        "Cost": entry.advice.cost if entry.advice else None,
        "P&L": last.profit if last else None,
        "Kept": last.kept * 100 if last and last.kept is not None else None,
        "Days": (last.at - followed.desk_at).total_seconds() / 86400 if last else None,
        "Verdict": entry.words,
    }


def coloured(frame: pd.DataFrame) -> Styler:
    """Profit in the colours of gain and loss."""
    return frame.style.map(_gain_or_loss, subset=["P&L"])


def _gain_or_loss(value: float | None) -> str:
    known = fmt.known(value)
    return "" if not known else f"color: {look.GAIN if known > 0 else look.LOSS}"


def columns() -> dict[str, Any]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    kept = "share of the promised cure it would still deliver, as far as it is needed; none: nothing is left to cure"
    return {
        "When": text("When, ET", width=96),
        "Proposal": text(width=146),
        "Became": text(width=122),
        "Cost": number("Cost $", help="promised: half-spread, fees, carry and margin", format="%,.0f", width=62),
        "P&L": number("P&L $", help="since proposed, at its limit or its fill, fees paid", format="%+,.0f", width=70),
        "Kept": number("Cure %", help=kept, format="%.0f", width=62),
        "Days": number(help="calendar days from the proposal to its last known price", format="%.0f", width=50),
        "Verdict": text(width=900),
    }


# ── the record ───────────────────────────────────────────────────────────────────────────────────────────────────
def numbers(whole: Tally) -> str:
    """The answer in four numbers, each with how many proposals it rests on."""
    low, high = (fmt.percent(bound) for bound in (whole.low, whole.high))
    band = f"95 % between {low} and {high}, over {fmt.plural(whole.days, 'day')}" if whole.n else "no close seen yet"
    waiting = [f"{whole.young} too young"] * bool(whole.young) + [f"{whole.unknown} unknown"] * bool(whole.unknown)
    cells = (
        ("Made money", f"{whole.hits} of {whole.n}" if whole.n else fmt.UNKNOWN, band, None),
        ("P&L had all been done", fmt.money(whole.profit, sign=True), _of(whole.n, *waiting), whole.profit),
        ("Per $ of promised cost", fmt.money(whole.per_cost, 2, sign=True), _of(whole.n_cost), whole.per_cost),
        ("Cure kept", fmt.percent(whole.kept), f"mean {_of(whole.n_kept)}, where still needed", None),
    )
    body = "".join(
        f'<div><small>{escape(name)}</small><b class="n-num {look.signed_class(tone)}">{escape(value)}</b>'
        f"<small>{escape(note)}</small></div>"
        for name, value, note, tone in cells
    )
    return f'<div class="n-prices n-four n-answer">{body}</div>'


def _of(n: int, *more: str) -> str:
    return " · ".join((f"of {fmt.plural(n, 'proposal')}", *more))


def answer(whole: Tally) -> str:
    """`Was the advice good?` in a sentence that claims no more than the days allow."""
    sentence = f"{whole.words[0].upper()}{whole.words[1:]}."
    rule = (
        "Proposals of one day share their market, so a day counts once; nothing is claimed while the 95 % interval is "
        f"wider than ±{RULES.widest * 100:.0f} points."
    )
    title = f'<span class="n-title">{escape(sentence)}</span>'
    return f'<p class="n-why">{title} <span class="n-sub">{escape(rule)}</span></p>'


def split_table(entries: Sequence[Entry], by: str) -> str:
    """The record by outcome, strategy or origin."""
    found = tallies([entry.counts for entry in entries], lambda line: str(getattr(line, by)))
    head = (SPLITS[by], "n", "Days", "Made money", "95 %", "P&L $", "Per $ cost", "Cure kept")
    return look.table(head, [_split_row(one) for one in found])


def _split_row(one: Tally) -> tuple[str, ...]:
    dim = "" if one.claimed else ' class="n-mute"'
    between = f"{fmt.percent(one.low)} – {fmt.percent(one.high)}" if one.n else fmt.UNKNOWN
    tone = look.signed_class(one.profit)
    return (
        escape(one.name),
        str(one.n) + (f' <span class="n-mute">+{one.young}</span>' if one.young else ""),
        str(one.days),
        f"<span{dim}>{one.hits} of {one.n}</span>" if one.n else fmt.UNKNOWN,
        f"<span{dim}>{between}</span>",
        f'<span class="{tone}">{fmt.money(one.profit, sign=True)}</span>',
        fmt.money(one.per_cost, 2, sign=True),
        fmt.percent(one.kept),
    )


# ── one line ─────────────────────────────────────────────────────────────────────────────────────────────────────
def head(entry: Entry) -> str:
    line = entry.row.line
    chips = [look.chip(entry.became, TONES.get(entry.outcome, "quiet")), look.chip(entry.origin)]
    if line.proposal.regime:
        chips.append(look.chip(str(line.proposal.regime).replace("_", " ")))
    if line.followed.ended_at is not None:
        chips.append(look.chip("life over"))
    because = line.newest.decision_reason
    why = f" · “{escape(because)}”" if because and entry.outcome in ("Rejected", "Approved") else ""
    return (
        f'<div><span class="n-title">{escape(entry.title)}</span> &nbsp;{"".join(chips)}</div>'
        f'<div class="n-sub">#{line.proposal.id} · proposed {fmt.eastern_day(line.followed.desk_at)} ET{why}</div>'
        f'<p class="n-why">{escape(entry.words).replace("−$", f"−{JOINED}$")}</p>'
    )


def facts(entry: Entry) -> str:
    """Promised beside realised: cost, cure, and what the marks rest on."""
    advice, last = entry.advice, entry.last
    if advice is None:
        return ""
    taken = None if last is None or last.breach is None or last.breach_with is None else last.breach - last.breach_with
    rows = (
        ("Cost", fmt.money(advice.cost), fmt.money(last.spent if last else None), _spent(advice, last)),
        ("Cure, % of limit", _points(advice.promised), _points(taken), _left(last)),
        ("Profit", "", fmt.money(last.profit if last else None, sign=True), _mid(last)),
    )
    body = [(escape(name), was, now, f'<span class="n-note">{escape(note)}</span>') for name, was, now, note in rows]
    return look.table(("", "Promised", "So far", ""), body)


def _spent(advice: Advice, last: FollowedDay | None) -> str:
    decay = last.decay if last else None
    word = "earned by" if decay is not None and decay < 0 else "of"
    return f"{fmt.money(advice.entry_cost)} to enter, {fmt.money(None if decay is None else abs(decay))} {word} decay"


def _points(share: float | None) -> str:
    return fmt.number(None if share is None else share * 100, 1)


def _left(last: FollowedDay | None) -> str:
    if last is None or last.breach is None:
        return "today's breach is unknown" if last and last.why else "answers no breach"
    if last.breach == 0:
        return "nothing is left to cure"
    return f"of {_points(last.breach)} over its limits now"


def _mid(last: FollowedDay | None) -> str:
    if last is None:
        return "not looked at yet"
    return f"{fmt.money(last.profit_mid, sign=True)} at the mid · marks {last.source}"
