"""`python -m adapters.simulator`: a whole venue on loopback, in one process.

Prints `ready tws 127.0.0.1:N account SIM…` once it listens. Whatever is wrong with what it was given is said in one
line on stderr, with exit status 2.
"""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.simulator.tws_server import TwsServer
    from adapters.simulator.venue import Venue, VenueConfig

HOST = "127.0.0.1"
REFUSED = 2


class CannotStart(Exception):
    """The venue cannot open as asked; the text names the thing and the remedy."""


def arguments() -> argparse.ArgumentParser:
    from adapters.simulator.scenarios import SCENARIOS

    names = ", ".join(SCENARIOS)
    parser = argparse.ArgumentParser(
        prog="python -m adapters.simulator",
        description="A venue on loopback: market, exchange and account behind the TWS socket protocol.",
    )
    parser.add_argument("--port", type=_port, help="port to listen on; 0 takes a free one (default 0)")
    parser.add_argument("--state", type=Path, help="durable state file; without one the venue forgets when it ends")
    parser.add_argument("--seed", type=_seed, default=7, help="seed of the market (default 7)")
    parser.add_argument("--chain", default="", help="recorded chain file(s) of one session, separated by commas")
    parser.add_argument(
        "--speed", type=_speed, help="venue seconds per second, 0 stands still (default 1; 0 on a chain)"
    )
    parser.add_argument("--scenario", default="", help=f"what the market does first: {names}")
    parser.add_argument("--book", type=Path, help="JSON list of starting positions for a new state")
    parser.add_argument("--linger", type=float, help="exit this many seconds after the last client left")
    parser.add_argument(
        "--reconnect-quiet",
        type=float,
        default=0.0,
        help="refuse a client id for so many seconds after it left (326)",
    )
    parser.add_argument("--record", type=Path, help="write the present chain to FILE; without --port, then exit")
    parser.add_argument("--verbose", action="store_true", help="log to stderr what the venue does")
    return parser


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (0 to 65535)")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{text} is not a seed (0 to 2147483647)")
    return value


def _speed(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not a speed (0 to 3600)")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    # One thread: the arithmetic here is small, and a thread pool per process costs more than it gives.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    options = arguments().parse_args(argv)
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    from models.calendar import CalendarError

    try:
        with _sole_owner(options.state):
            return asyncio.run(_serve(options))
    except (CannotStart, CalendarError) as error:
        print(f"the venue cannot start: {error}", file=sys.stderr)  # noqa: T201
        return REFUSED


@contextlib.contextmanager
def _sole_owner(state: Path | None) -> Iterator[None]:
    """Hold the state file's lock for this process's life: two venues on one state would overwrite each other."""
    if state is None:
        yield
        return
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        lock = state.with_name(state.name + ".lock").open("w")
    except OSError as error:
        raise CannotStart(f"state file {state} cannot be written ({error}); name one in a writable folder") from error
    with lock as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(f"another venue already runs on state file {state}; stop it or name another") from error
        yield


def _config(options: argparse.Namespace) -> "VenueConfig":
    from adapters.simulator.venue import VenueConfig

    chains = tuple(Path(part.strip()) for part in options.chain.split(",") if part.strip())
    return VenueConfig(options.seed, options.state, chains, options.speed, options.scenario, options.book)


async def _serve(options: argparse.Namespace) -> int:
    _check_port(options.port or 0)
    venue = _open(_config(options))
    if options.record is not None:
        _record(venue, options.record)
        if options.port is None:
            return 0
    from adapters.simulator.tws_limits import Rules
    from adapters.simulator.tws_server import serve_tws

    try:
        server = await serve_tws(venue, HOST, options.port or 0, rules=Rules(reconnect_quiet=options.reconnect_quiet))
    except OSError as error:
        raise CannotStart(_taken(options.port or 0)) from error
    venue.drop_clients = server.drop_clients
    running = asyncio.create_task(venue.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, venue.request_stop)
    print(f"ready tws {HOST}:{server.port} account {venue.account_id}", flush=True)  # noqa: T201
    watcher = asyncio.create_task(_linger(venue, server, options.linger)) if options.linger is not None else None
    try:
        await running
    finally:
        if watcher is not None:
            watcher.cancel()
        await server.close()
        venue.save()
    return 0


def _open(config: "VenueConfig") -> "Venue":
    from adapters.simulator.book import BookError
    from adapters.simulator.chain import ChainFileError
    from adapters.simulator.scenarios import ScenarioError
    from adapters.simulator.state import StateError
    from adapters.simulator.venue import open_venue

    try:
        return open_venue(config)
    except (BookError, ChainFileError, ScenarioError, StateError) as error:
        raise CannotStart(str(error)) from error


def _record(venue: "Venue", path: Path) -> None:
    from adapters.simulator.chain import ChainFileError
    from adapters.simulator.take_record import record_market

    try:
        count = record_market(venue.market, path)
    except (OSError, ChainFileError) as error:
        raise CannotStart(f"cannot record to {path}: {error}") from error
    print(f"recorded {count} options in {path}", flush=True)  # noqa: T201


def _check_port(port: int) -> None:
    """Say that a port is taken before the market is built, not seconds after."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CannotStart(_taken(port)) from error


def _taken(port: int) -> str:
    return f"port {port} on {HOST} is in use; take another, or --port 0 for a free one"


async def _linger(venue: "Venue", server: "TwsServer", seconds: float) -> None:
    """Stop the venue once nobody has been connected for `seconds`."""
    while True:
        since = server.idle_since
        if since is not None and time.monotonic() - since >= seconds:
            venue.request_stop()
            return
        await asyncio.sleep(min(1.0, seconds / 4 + 0.05))


if __name__ == "__main__":
    sys.exit(main())
