"""The look of the desk: its tokens, one small style sheet, and the HTML of its own marks (bars, chips, sparklines).

Faces and widget colours are set in .streamlit/config.toml; here is only what a theme cannot say. Every colour
stands beside a word.
"""

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path

GROUND, PANEL, LINE, TEXT, MUTED = "#0E1116", "#151A21", "#242B35", "#E6EAF0", "#8A94A6"
ACCENT, GAIN, LOSS, WARNING, OVER = "#4C9BE8", "#3FB68B", "#E5484D", "#F2A93B", "#E5484D"
LIVE, PAPER, DEMO = "#D92D20", "#F79009", "#8B7CF6"
QUIET = "#5D6B80"
"""A limit in quiet use: neither good nor bad, just there."""

SCALE = 1.5
"""A limit bar shows use from nothing to one and a half times the limit."""

AMBER_FROM, RED_ABOVE = 0.80, 1.0


def use_colour(use: float | None, *, is_cap: bool = True) -> str:
    """Grey below 80 % of a limit, amber to 100 %, red above; a target is never red."""
    if use is None or use < AMBER_FROM or not is_cap:
        return QUIET
    return WARNING if use <= RED_ABOVE else OVER


def signed_class(value: float | None) -> str:
    if value is None or value == 0:
        return "n-flat"
    return "n-gain" if value > 0 else "n-loss"


def bar(use: float | None, after: float | None = None, *, is_cap: bool = True, words: str = "") -> str:
    """One limit bar: the filled part is the use now, the notch is the limit, the bright mark is after the trade.

    `use` and `after` are fractions of the limit (1.0 = at the limit). An unknown use is drawn as an empty dashed bar.
    """
    described = f'role="img" aria-label="{escape(words)}"'
    if use is None:
        return f'<div class="n-bar n-bar-unknown" {described}></div>'
    filled = _place(use)
    colour = use_colour(use, is_cap=is_cap)
    parts = [
        f'<i class="n-fill" style="width:{filled:.1f}%;background:{colour}"></i>',
        f'<i class="n-notch" style="left:{100 / SCALE:.1f}%"></i>',
    ]
    if use > SCALE:
        parts.append(f'<b class="n-more" style="color:{colour}">›</b>')
    if after is not None:
        there = _place(after)
        left, width = min(filled, there), abs(filled - there)
        parts.append(f'<i class="n-path" style="left:{left:.1f}%;width:{width:.1f}%"></i>')
        parts.append(f'<i class="n-mark" style="left:{there:.1f}%"></i>')
    return f'<div class="n-bar" {described}>{"".join(parts)}</div>'


def _place(use: float) -> float:
    return max(0.0, min(use, SCALE)) / SCALE * 100


def spark(values: Sequence[float], *, width: int = 72, height: int = 18) -> str:
    """A line of the recent past without axes; fewer than two points draw nothing.

    An image, because Streamlit's sanitiser takes inline drawings out of HTML.
    """
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    room = (high - low) or 1.0
    step = width / (len(values) - 1)
    points = " ".join(
        f"{i * step:.1f},{height - 2 - (v - low) / room * (height - 4):.1f}" for i, v in enumerate(values)
    )
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<polyline points="{points}" fill="none" stroke="{MUTED}" stroke-width="1.25"/></svg>'
    )
    encoded = b64encode(drawing.encode()).decode()
    return f'<img class="n-spark" alt="" width="{width}" height="{height}" src="data:image/svg+xml;base64,{encoded}"/>'


def chip(word: str, tone: str = "quiet") -> str:
    """A word in a rounded box; tone is quiet, accent, gain, warn or over."""
    return f'<span class="n-chip n-{tone}">{escape(word)}</span>'


def light(name: str, state: str, detail: str) -> str:
    """A status light: dot, name, state word and age; the word carries the meaning, the colour repeats it."""
    said = "" if state == "NO DATA" else f" <em>{escape(detail)}</em>"
    tone = {"OK": "gain", "LATE": "warn", "DOWN": "over"}.get(state, "quiet")
    return (
        f'<span class="n-light" title="{escape(detail)}"><i class="n-dot n-dot-{tone}"></i>'
        f"<span>{escape(name)}</span> <b>{escape(state)}</b>{said}</span>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, css: str = "") -> str:
    """An HTML table of ready-made cells (escaped by the caller); the first column is text, the rest numbers."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="n-table {css}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def empty(title: str, why: str) -> str:
    """Nothing to show, said with the reason and the next step."""
    return f'<div class="n-empty"><b>{escape(title)}</b><span>{escape(why)}</span></div>'


def trouble(title: str, what: str, remedy: str) -> str:
    """Something is wrong: drawn so that it can never be taken for an empty table."""
    return (
        f'<div class="n-trouble" role="alert"><b>▲ {escape(title)}</b><span>{escape(what)}</span>'
        f"<span><u>Remedy</u> {escape(remedy)}</span></div>"
    )


def prices(cells: Sequence[tuple[str, str, str]], css: str = "") -> str:
    """A strip of (name, value, note), one box each."""
    body = "".join(
        f'<div><small>{escape(name)}</small><b class="n-num">{escape(value)}</b><small>{escape(note)}</small></div>'
        for name, value, note in cells
    )
    return f'<div class="n-prices {css}">{body}</div>'


def said(done: bool, sentence: str) -> str:
    """What a deed came to, beside where it was done."""
    tone, mark = ("n-gain", "✓") if done else ("n-loss", "✕")
    return f'<div class="n-said {tone}">{mark} {escape(sentence)}</div>'


def heading(words: str, note: str = "") -> str:
    return f'<div class="n-head"><h3>{escape(words)}</h3><span>{escape(note)}</span></div>'


@cache
def style() -> str:
    """The style sheet with the tokens as variables, ready for one `st.html`."""
    tokens = {
        "ground": GROUND,
        "panel": PANEL,
        "line": LINE,
        "text": TEXT,
        "muted": MUTED,
        "accent": ACCENT,
        "gain": GAIN,
        "loss": LOSS,
        "warning": WARNING,
        "over": OVER,
        "live": LIVE,
        "paper": PAPER,
        "demo": DEMO,
    }
    variables = "".join(f"--{name}:{value};" for name, value in tokens.items())
    sheet = Path(__file__).with_name("desk.css").read_text(encoding="utf-8")
    return f"<style>:root{{{variables}}}{sheet}</style>"
