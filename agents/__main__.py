"""`python -m agents`: the whole staff. Supervises the bridge, the streams and the thinkers, each in its own process.

`--while-stdin` leaves when the parent's pipe closes; `--streams` and `--thinkers` are what the children run.
"""

import argparse
import asyncio
import logging
import sys

from agents.command import prepare_process, refuse_unreadable_appetite, run_command, serve_process, stop_signal
from agents.desk import open_desk, settings_from_environment
from agents.schedule import STREAMS, THINKERS
from agents.supervisor import Child, run_first, supervise
from models.control import STAFF_LEASE
from models.settings import Settings

log = logging.getLogger("nimble.agents")

CHILDREN = (
    Child("streams", ("-m", "agents", "--streams", "--while-stdin")),
    Child("bridge", ("-m", "agents.ibkr_bridge", "--while-stdin")),
    Child("thinkers", ("-m", "agents", "--thinkers", "--while-stdin")),
)

KERNELS = Child("kernels", ("-m", "models.quant.warming"))
"""Compiles the arithmetic once where that is not done yet, so that three children do not do it at the same time."""
READY_LEASE = 15.0  # seconds, renewed while it compiles


async def supervise_staff(while_stdin: bool) -> int:
    settings = settings_from_environment()
    await refuse_early(settings)
    stop = stop_signal(while_stdin)
    await make_ready(settings, stop)
    await supervise(CHILDREN, stop)
    return 0


async def make_ready(settings: Settings, stop: asyncio.Event) -> None:
    """Compile what is not compiled yet, saying meanwhile that a staff is at work: no cockpit then brings another."""
    from database.errors import DatabaseError

    compiling = asyncio.create_task(run_first(KERNELS, stop))
    try:
        async with open_desk(settings) as desk:
            control, renew = desk.store.control, READY_LEASE / 3
            while not compiling.done():
                await control.take_lease(STAFF_LEASE, desk.holder, desk.machine_now(), READY_LEASE)
                await asyncio.wait({compiling}, timeout=renew)
            await control.release_lease(STAFF_LEASE, desk.holder)
    except DatabaseError as error:  # the children say so too, and try again
        log.warning("%s", error)
    await compiling


async def refuse_early(settings: Settings) -> None:
    """A wrong variable, appetite or memory is one clear refusal here, not three children that die again and again.

    A memory that only does not answer yet is no refusal: the children try until it does.
    """
    from database.errors import DatabaseUnavailable

    try:
        async with open_desk(settings) as desk:
            await refuse_unreadable_appetite(desk)
    except DatabaseUnavailable as error:
        if settings.database_url.startswith("sqlite"):  # a file does not come up by itself
            raise
        log.warning("%s", error)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m agents", description="The staff of the desk.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--streams", action="store_true", help="run the streams in this process")
    which.add_argument("--thinkers", action="store_true", help="run the thinkers in this process")
    parser.add_argument("--while-stdin", action="store_true", help="leave when standard input closes")
    asked = parser.parse_args(argv)
    prepare_process()
    if asked.streams or asked.thinkers:
        process = STREAMS if asked.streams else THINKERS
        return run_command(lambda: serve_process(process, asked.while_stdin))
    return run_command(lambda: supervise_staff(asked.while_stdin))


if __name__ == "__main__":
    sys.exit(main())
