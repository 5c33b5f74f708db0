"""Rings the day out: what is due expires all day, and after the close the database is checkpointed and tidied once."""

from datetime import date, datetime, time

from agents.desk import Desk
from agents.runner import Report
from models.quant.product import NEW_YORK

AFTER_CLOSE = time(17, 5)  # New York: the curb session of SPX options is over


class Tidied:
    """The last desk day this process tidied."""

    def __init__(self) -> None:
        self.day: date | None = None


async def work(desk: Desk) -> Report:
    """Expire due proposals; once per desk day after the close, tidy the database."""
    expired = await desk.store.proposals.expire_due(desk.machine_now())
    sentence = f"{expired} proposals expired" if expired else "nothing was due"
    tidied, now = desk.keep(Tidied), await desk.now()
    day = closed_day(now)
    if day is not None and tidied.day != day:
        await desk.store.tidy()
        tidied.day = day
        sentence += "; the day is closed and the database tidied"
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
