"""The commands of the staff: one agent alone, one process of the day, and how each of them is told to stop.

An error that was to be expected is one line naming the thing and the remedy, and a non-zero exit; never a traceback.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence

from agents.desk import Desk, environment, open_desk, settings_from_environment
from agents.runner import OK, STANDBY, Rota, hire, run_pass
from agents.schedule import duties, duty_of
from models.quant.warming import warm
from models.settings import Settings, SettingsError

EXPECTED = 2  # exit code of an error that names its remedy
PATIENCE = 30.0  # seconds --run-once waits for a lease that a living staff holds for one pass


def prepare_process(log_level: str = "INFO") -> None:
    """What every process of the staff does first: one arithmetic thread, one log format."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    asked = environment().get("LOG_LEVEL", "").strip()
    known = asked in logging.getLevelNamesMapping()  # one that is not is refused by name with the other settings
    logging.basicConfig(
        level=asked if known else log_level, format="%(asctime)s %(levelname)-7s %(name)s · %(message)s"
    )
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a skipped start of a running agent is no news
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)  # it logs whole account ids


def stop_signal(while_stdin: bool = False) -> asyncio.Event:
    """An event set by SIGTERM, by SIGINT, and (when asked) by the end of stdin: the parent has gone."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if while_stdin:
        threading.Thread(target=_wait_for_end_of_stdin, args=(loop, stop), daemon=True, name="stdin").start()
    return stop


def _wait_for_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(stop.set)


def run_command(main: Callable[[], Awaitable[int]]) -> int:
    """Run an async command to its exit code; expected errors are printed as one line with their remedy."""
    from adapters.base import AdapterError
    from bridge.main import LeaseHeld
    from database.errors import DatabaseError
    from models.quant.regime_file import RegimeFileError

    try:
        return asyncio.run(_awaited(main))
    except (SettingsError, AdapterError, DatabaseError, RegimeFileError, LeaseHeld) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return EXPECTED
    except KeyboardInterrupt:
        return 130


async def _awaited(main: Callable[[], Awaitable[int]]) -> int:
    return await main()


# ── one process of the day ───────────────────────────────────────────────────────────────────────────────────────
async def serve_process(process: str, while_stdin: bool) -> int:
    stop = stop_signal(while_stdin)
    await asyncio.to_thread(warm)
    async with open_desk(settings_from_environment()) as desk:
        await Rota(desk, [hire(duty, desk) for duty in duties(process)]).serve(stop)
    return 0


# ── one agent alone ──────────────────────────────────────────────────────────────────────────────────────────────
Once = Callable[[Desk], Awaitable[int]]


def agent_command(name: str, argv: Sequence[str] | None = None, once: Once | None = None) -> int:
    """`python -m agents.NAME [--run-once]`; `once` replaces the plain single pass where an agent has more to show."""
    parser = argparse.ArgumentParser(prog=f"python -m agents.{name}", description=duty_of(name).what)
    parser.add_argument("--run-once", action="store_true", help="one pass, its result on the screen, then exit")
    parser.add_argument("--while-stdin", action="store_true", help="leave when standard input closes")
    asked = parser.parse_args(argv)
    prepare_process("WARNING" if asked.run_once else "INFO")

    async def main() -> int:
        settings: Settings = settings_from_environment()
        async with open_desk(settings) as desk:
            if asked.run_once:
                await refuse_unreadable_appetite(desk)
                return await (once(desk) if once else one_pass(name, desk))
            await Rota(desk, [hire(duty_of(name), desk)]).serve(stop_signal(asked.while_stdin))
            return 0

    return run_command(main)


async def refuse_unreadable_appetite(desk: Desk) -> None:
    """Raises RegimeFileError before anything is started that could not judge a book."""
    from bridge.outlook import Observatory

    await Observatory(desk.store, desk.settings).appetite()


async def one_pass(name: str, desk: Desk) -> int:
    """One pass under switch, lease and deadline; 0 when it completed, 1 when it did not, held by its switch too."""
    agent = hire(duty_of(name), desk)
    give_up = asyncio.get_running_loop().time() + PATIENCE
    beat = await run_pass(agent, desk)
    while beat.state == STANDBY and asyncio.get_running_loop().time() < give_up:
        await asyncio.sleep(0.5)
        beat = await run_pass(agent, desk)
    if agent.keeps_lease:
        await desk.store.control.release_lease(agent.lease, desk.holder)
    sys.stdout.write(f"{name}: {beat.state}: {beat.sentence}\n")
    return 0 if beat.state == OK else 1
