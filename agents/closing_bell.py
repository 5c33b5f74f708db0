"""Rings the day out: what is due or has drifted expires all day, after the close the database is tidied once."""

from datetime import date, datetime

from agents.desk import Desk
from agents.drifting import expire_drifted
from agents.overnight import look_overnight
from agents.runner import Report
from agents.schedule import AFTER_CLOSE
from agents.scorekeeper import keep_score
from models.quant.product import NEW_YORK


class Tidied:
    """The last desk day this process tidied."""

    def __init__(self) -> None:
        self.day: date | None = None


async def work(desk: Desk) -> Report:
    """Expire what is due or drifted; look over the gap ahead and at the followed ones; after the close, tidy once."""
    due, ran_off = await desk.store.proposals.expire_due(desk.machine_now()), await expire_drifted(desk)
    expired = due + ran_off
    sentence = f"{expired} proposals expired" if expired else "nothing was due"
    if ran_off:
        sentence += f", {ran_off} because their price ran off"
    tidied, now = desk.keep(Tidied), await desk.now()
    day = closed_day(now)
    if day is not None and tidied.day != day:
        await desk.store.tidy()
        tidied.day = day
        sentence += "; the day is closed and the database tidied"
    ahead = await look_overnight(desk, now)
    sentence += f"; {ahead}" if ahead else ""
    # Last: whatever ails the scorecard, the rest of the bell has rung.
    score = await keep_score(desk, now, day)
    sentence += f"; {score}" if score else ""
    return Report(sentence, rows=expired)


def closed_day(now: datetime) -> date | None:
    """The desk day that is over at `now`, None while it is still running; weekends belong to Friday's bell."""
    local = now.astimezone(NEW_YORK)
    if local.weekday() >= 5 or local.time() < AFTER_CLOSE:
        return None
    return local.date()


if __name__ == "__main__":
    import sys

    from agents.command import agent_command

    sys.exit(agent_command("closing_bell"))
