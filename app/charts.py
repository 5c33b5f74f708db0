"""Values → figures: one Plotly template, few lines, labels on the line instead of legends, at most 400 points each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go

from app import format as fmt
from app.look import ACCENT, GROUND, LINE, MUTED, PANEL, QUIET, TEXT, WARNING
from models.quant.product import NEW_YORK

CONFIG = {"displayModeBar": False, "scrollZoom": False, "doubleClick": "reset"}
MONO = "Plex Mono, monospace"


def _frame(height: int) -> go.Figure:
    figure = go.Figure()
    axis = {
        "gridcolor": LINE,
        "zeroline": False,
        "linecolor": LINE,
        "tickfont": {"family": MONO, "size": 11, "color": MUTED},
        "fixedrange": True,
    }
    figure.update_layout(
        height=height,
        margin={"l": 48, "r": 10, "t": 12, "b": 24},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        font={"family": "Inter, sans-serif", "size": 12, "color": TEXT},
        hovermode="x unified",
        hoverlabel={"bgcolor": PANEL, "bordercolor": LINE, "font": {"family": MONO, "size": 11}},
        uirevision="keep",
        xaxis=dict(axis),
        yaxis=dict(axis),
    )
    return figure


def payoff(
    spots: Sequence[float],
    expiry: Sequence[float] | None,
    now: Sequence[float] | None,
    *,
    spot: float | None,
    sigma: float | None = None,
    break_evens: Sequence[float] = (),
) -> go.Figure:
    """Profit of the proposed trade in $: today solid, at expiry thin; spot and break-evens named in place, ±1σ shaded.

    `sigma` is one standard deviation of the underlying to the expiry, in its own units.
    """
    figure = _frame(280)
    figure.update_yaxes(tickprefix="$", tickformat="~s", zeroline=True, zerolinecolor=QUIET, zerolinewidth=1)
    figure.update_xaxes(range=[spots[0], spots[-1]], tickformat=",.0f")
    if spot is not None and sigma:
        figure.add_vrect(x0=spot - sigma, x1=spot + sigma, fillcolor=ACCENT, opacity=0.07, line_width=0, layer="below")
        figure.add_annotation(
            x=spot + sigma,
            y=0,
            yref="paper",
            text="1σ ",
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
            font={"size": 10, "color": MUTED},
        )
    lines = (("at expiry", expiry, 1.25, MUTED), ("today", now, 2.5, ACCENT))
    for name, values, width, colour in lines:
        if values is None:
            continue
        figure.add_scatter(
            x=list(spots),
            y=list(values),
            mode="lines",
            name=name,
            line={"width": width, "color": colour},
            hovertemplate="%{y:$,.0f}",
        )
        place = _clearest(expiry, now, len(spots))
        figure.add_annotation(
            x=spots[place],
            y=values[place],
            text=f" {name} ",
            showarrow=False,
            xanchor="left" if name == "today" else "right",
            yanchor="bottom" if name == "today" else "top",
            font={"size": 11, "color": colour},
        )
    if spot is not None:
        figure.add_vline(x=spot, line={"color": TEXT, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=spot,
            y=1,
            yref="paper",
            text=f" spot {fmt.number(spot)}",
            showarrow=False,
            xanchor="left",
            yanchor="top",
            font={"size": 11, "color": TEXT},
        )
    for level in break_evens:
        figure.add_annotation(
            x=level,
            y=0,
            text=f"{fmt.number(level)}",
            showarrow=True,
            arrowhead=0,
            ax=0,
            ay=-24,
            arrowcolor=MUTED,
            bgcolor=GROUND,
            font={"size": 10, "color": MUTED, "family": MONO},
        )
    return figure


def _clearest(expiry: Sequence[float] | None, now: Sequence[float] | None, count: int) -> int:
    """Where the two lines are furthest apart, so that their names do not collide."""
    if expiry is None or now is None:
        return count // 2
    inner = range(count // 8, count - count // 8)
    return max(inner, key=lambda i: abs(expiry[i] - now[i]))


def through_the_day(
    line: Sequence[tuple[datetime, float]],
    *,
    limit: float | None = None,
    fills: Sequence[datetime] = (),
    prefix: str = "$",
) -> go.Figure:
    """One measure through the day against its limit (both signs when positive), fills marked on the line."""
    figure = _frame(190)
    moments = [at.astimezone(NEW_YORK).replace(tzinfo=None) for at, _ in line]
    values = [value for _, value in line]
    figure.update_yaxes(tickprefix=prefix, tickformat="~s", nticks=5)
    short = bool(moments) and (moments[-1] - moments[0]).total_seconds() < 900
    figure.update_xaxes(tickformat="%H:%M:%S" if short else "%H:%M", nticks=8)
    figure.add_scatter(
        x=moments,
        y=values,
        mode="lines",
        line={"width": 2, "color": ACCENT, "shape": "hv"},
        hovertemplate="%{y:$,.0f}",
        name="",
    )
    near = [edge for edge in (() if limit is None else (limit, -limit)) if values and _is_near(edge, values)]
    for edge in near:
        figure.add_hline(y=edge, line={"color": WARNING, "width": 1, "dash": "dash"})
        figure.add_annotation(
            x=moments[0],
            y=edge,
            text="limit",
            showarrow=False,
            yanchor="bottom",
            xanchor="left",
            font={"size": 10, "color": WARNING},
        )
    inside = [at.astimezone(NEW_YORK).replace(tzinfo=None) for at in fills if line and line[0][0] <= at <= line[-1][0]]
    if inside:
        figure.add_scatter(
            x=inside,
            y=[_value_at(moment, moments, values) for moment in inside],
            mode="markers",
            name="fill",
            marker={"symbol": "diamond", "size": 9, "color": TEXT, "line": {"color": PANEL, "width": 2}},
            hovertemplate="fill %{x|%H:%M:%S}<extra></extra>",
        )
    return figure


def _is_near(edge: float, values: Sequence[float]) -> bool:
    """Only the limit the line lives beside is drawn: the other side would flatten the picture."""
    return min(abs(edge - value) for value in values) < abs(edge)


def _value_at(moment: datetime, moments: Sequence[datetime], values: Sequence[float]) -> float:
    earlier = [value for at, value in zip(moments, values, strict=True) if at <= moment]
    return earlier[-1] if earlier else values[0]


Days = Sequence[tuple[datetime, float | None]]


def advice_days(
    profit: Days, at_mid: Days, breach: Days, breach_with: Days, *, over: datetime | None = None
) -> go.Figure:
    """A followed proposal over its days: profit in $ above, below how far over its limits the book was, in per cent.

    The first point of `profit` is the entry. A day that is unknown is a gap. `over` is when the breach had ended.
    """
    figure = _frame(310)
    low, high = 0.26, 0.42  # the breach stands below, the profit above
    figure.update_layout(
        yaxis={"domain": [high, 1.0], "tickformat": "$~s", "nticks": 5},
        yaxis2={
            **figure.layout.yaxis.to_plotly_json(),
            "domain": [0.0, low],
            "ticksuffix": " %",
            "tickformat": ".0f",
            "nticks": 3,
            "rangemode": "tozero",
        },
        xaxis={"anchor": "y2", **_day_ticks(profit)},
    )
    figure.add_hline(y=0, line={"color": QUIET, "width": 1})
    _days(figure, "at the mid", at_mid, "y", "%{y:$,.0f}", {"width": 1.25, "color": MUTED})
    _days(figure, "P&L", profit, "y", "%{y:$,.0f}", {"width": 2.5, "color": ACCENT})
    over_hover, dotted = "%{y:.1f} % over", {"width": 1.5, "color": TEXT, "dash": "dot"}
    _days(figure, "book", _in_percent(breach), "y2", over_hover, {"width": 2, "color": WARNING})
    _days(figure, "with it", _in_percent(breach_with), "y2", over_hover, dotted)
    _say(figure, 1.0, "profit since proposed · thin: filled at the mid")
    _say(figure, low, "over its limits: the book · dotted: with this trade")
    known = [(at, value) for at, value in profit if value is not None]
    if len(known) > 1:
        _mark(figure, *known[0], "left")
        _mark(figure, *known[-1], "right")
    if over is not None and known and over <= known[-1][0]:
        figure.add_vline(x=_eastern(over), line={"color": WARNING, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=_eastern(over), y=1, yref="paper", text=" breach over", showarrow=False, xanchor="left", yanchor="top",
            font={"size": 10, "color": WARNING},
        )  # fmt: skip
    return figure


def _day_ticks(days: Days) -> dict[str, Any]:
    """Hours within a day or two, else days; never the same day twice."""
    span = (days[-1][0] - days[0][0]).total_seconds() / 86400 if days else 0.0
    if span < 2:
        return {"tickformat": "%H:%M", "nticks": 6}
    return {"tickformat": "%d %b", "dtick": 86400e3 * max(round(span / 6), 1)}


def _in_percent(days: Days) -> Days:
    return [(at, None if value is None else value * 100) for at, value in days]


def _say(figure: go.Figure, y: float, words: str) -> None:
    figure.add_annotation(
        x=0, y=y, xref="paper", yref="paper", text=words, showarrow=False, xanchor="left", yanchor="bottom",
        font={"size": 10, "color": MUTED},
    )  # fmt: skip


def _mark(figure: go.Figure, at: datetime, value: float, side: str) -> None:
    figure.add_annotation(
        x=_eastern(at), y=value, text=f" {fmt.money(value, sign=True)} ", showarrow=False, xanchor=side,
        yanchor="bottom" if value >= 0 else "top", font={"size": 11, "color": TEXT, "family": MONO},
    )  # fmt: skip


def _days(figure: go.Figure, name: str, days: Days, axis: str, hover: str, line: dict[str, Any]) -> None:
    figure.add_scatter(
        x=[_eastern(at) for at, _ in days], y=[value for _, value in days], mode="lines+markers", name=name,
        yaxis=axis, line=line, marker={"size": 5}, connectgaps=False, hovertemplate=hover,
    )  # fmt: skip


def _eastern(at: datetime) -> datetime:
    return at.astimezone(NEW_YORK).replace(tzinfo=None)
