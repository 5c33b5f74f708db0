"""The bridge as a member of the staff: the same `bridge.main.run`, opened on this process's desk.

It serves until told to stop; `--run-once` reconciles, writes account, positions and greeks once, and leaves.
"""

import asyncio
import os
import socket

from adapters.base import AdapterError
from agents.desk import Desk
from models.control import Heartbeat


async def serve(desk: Desk, stop: asyncio.Event) -> None:
    """Run the bridge on this desk until `stop`; raises AdapterError when the broker cannot be used at all."""
    from adapters.connect import open_broker, open_notifier
    from bridge.main import AGENT, run

    try:
        broker = await open_broker(desk.settings)
    except AdapterError as error:  # the cockpit shows why there is none
        await desk.store.control.beat(
            Heartbeat(
                agent=AGENT, state="failed", sentence=str(error), at=desk.machine_now(), host=socket.gethostname(),
                pid=os.getpid(),
            )
        )  # fmt: skip
        raise
    await run(desk.store, broker, desk.settings, stop, notifier=open_notifier(desk.settings))


def main(argv: list[str] | None = None) -> int:
    import argparse

    from agents.command import prepare_process, run_command, stop_signal
    from agents.desk import open_desk, settings_from_environment

    parser = argparse.ArgumentParser(prog="python -m agents.ibkr_bridge", description="crosses decisions to the broker")
    parser.add_argument("--run-once", action="store_true", help="reconcile and value the book once, then exit")
    parser.add_argument("--while-stdin", action="store_true", help="leave when standard input closes")
    asked = parser.parse_args(argv)
    if asked.run_once:
        from bridge.main import main as bridge_command

        return bridge_command(["--run-once"])
    prepare_process()

    async def serve_until_stopped() -> int:
        stop = stop_signal(asked.while_stdin)
        async with open_desk(settings_from_environment()) as desk:
            await serve(desk, stop)
        return 0

    return run_command(serve_until_stopped)


if __name__ == "__main__":
    import sys

    sys.exit(main())
