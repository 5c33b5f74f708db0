"""The cockpit's engine room: settings, one background event loop that owns the store, and what every page asks it for.

Streamlit runs pages in threads that come and go; the async store lives in one loop thread for the whole server and
pages reach it through `Cockpit.ask`. Nothing here draws except the error boundary.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st
from dotenv import dotenv_values

from app import look
from app.decide import Outcome
from app.pulse import History, Pulse, read_history, read_pulse
from database.errors import DatabaseError, DatabaseUnavailable
from database.store import Store, open_store
from models.quant.regime_file import RegimeFileError
from models.quant.warming import warm
from models.settings import Settings, SettingsError, read_settings

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
SHELL_EVERY, PAGE_EVERY = 2.5, 4.0
"""Seconds between two looks at the memory: the shell, and the body of a page."""
ASK_DEADLINE = 10.0
PULSE_KEPT, HISTORY_KEPT = 1.0, 20.0


def machine_now() -> datetime:
    return datetime.now(UTC)


def settings_from_environment() -> Settings:
    """The environment over `.env` in the desk's directory; raises SettingsError naming the variable and the remedy."""
    written = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value is not None}
    return read_settings({**written, **os.environ})


class LoopThread:
    """One event loop in one daemon thread; `run` is called from any other thread and waits at most `deadline`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cockpit-store", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], deadline: float = ASK_DEADLINE) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(deadline)
        except FutureTimeout as error:
            if future.done():
                raise
            future.cancel()
            raise DatabaseUnavailable(f"the database did not answer within {deadline:.0f} s") from error

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()


@dataclass
class _Kept:
    """A value remembered for a moment, so that a page and the shell of every tab share one read."""

    value: Any = None
    at: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, keep: float, read: Callable[[], T]) -> T:
        with self.lock:
            if time.monotonic() - self.at > keep:
                self.value = read()
                self.at = time.monotonic()
            return self.value  # type: ignore[no-any-return]

    def forget(self) -> None:
        self.at = float("-inf")


class Cockpit:
    """What a page may use: settings, the store (through `ask`), the latest pulse, and who sits at the desk."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._thread = LoopThread()
        self._pulse, self._history = _Kept(), _Kept()
        try:
            self.store: Store = self._thread.run(
                open_store(settings.database_url, mode=settings.mode, var_dir=settings.var_dir, now=machine_now()),
                deadline=60,
            )
        except BaseException:
            self._thread.close()
            raise
        threading.Thread(target=warm, name="kernels", daemon=True).start()  # no page waits for a compiler

    @property
    def trader(self) -> str:
        return self.settings.trader

    def ask(self, question: Callable[[Store], Awaitable[T]]) -> T:
        """Put a question to the store on its own loop; raises DatabaseError, also when it stays silent."""
        return self._thread.run(_answer(question, self.store))

    def tell(self, deed: Callable[[Store], Awaitable[T]]) -> T:
        """Like `ask`, for what changes something: the next pulse is read anew."""
        try:
            return self.ask(deed)
        finally:
            self._pulse.forget()

    def pulse(self) -> Pulse:
        """The desk at a glance, at most a second old."""
        return self._pulse.get(PULSE_KEPT, lambda: self.ask(lambda store: read_pulse(store, machine_now())))

    def history(self) -> History:
        """The last hours for sparklines and the day's chart, at most twenty seconds old."""
        return self._history.get(HISTORY_KEPT, self._continued_history)

    def _continued_history(self) -> History:
        known = self._history.value or History()
        return self.ask(lambda store: read_history(store, machine_now(), known))

    def act(self, deed: Callable[[Store], Awaitable[Outcome]], about: str = "") -> Outcome:
        """A button's callback: do the deed, keep its sentence for the strip and for the page (under `about`)."""
        try:
            outcome = self.tell(deed)
        except DatabaseError as error:
            outcome = Outcome(False, f"Nothing was done: {error}. {remedy_of(error)}")
        st.session_state["said"], st.session_state["said-at"] = outcome, machine_now()
        st.session_state[f"said:{about}"] = outcome
        return outcome

    def close(self) -> None:
        with contextlib.suppress(DatabaseError):
            self._thread.run(self.store.close())
        self._thread.close()


async def _answer(question: Callable[[Store], Awaitable[T]], store: Store) -> T:
    return await question(store)


@st.cache_resource(show_spinner=False, on_release=lambda cockpit: cockpit.close())
def _cockpit_of(database_url: str, var_dir: str, _settings: Settings) -> Cockpit:
    return Cockpit(_settings)


def open_cockpit() -> Cockpit:
    """The one cockpit of this server; raises SettingsError or DatabaseError, whose message carries the remedy."""
    settings = settings_from_environment()
    return _cockpit_of(f"{settings.mode} {settings.database_url}", str(settings.var_dir), settings)


def cockpit_or_stop() -> Cockpit:
    """The cockpit, or a full page that says what is wrong and what to do, and nothing else."""
    try:
        return open_cockpit()
    except SettingsError as error:
        refuse_page("The desk did not open: a setting is wrong", str(error), "Correct it in .env and start again.")
    except DatabaseError as error:
        refuse_page("The desk did not open: its memory refused", str(error), remedy_of(error))
    raise AssertionError("unreachable: st.stop ends the run")


def refuse_page(title: str, what: str, remedy: str) -> None:
    st.html(f'<div class="n-full">{look.trouble(title, what, remedy)}</div>')
    st.stop()


REMEDIES = {
    "NewerDatabase": "Open it with the newer desk, or give this one its own DATABASE_URL.",
    "WrongDesk": "Set DESK_MODE to the mode of that database, or point DATABASE_URL at this mode's own.",
    "UnreadableDatabase": "Point DATABASE_URL at a desk's database, or at a new file; nothing was changed.",
    "NotDurable": "Move the database to a local disk; nothing can be approved until commits are forced to disk.",
    "UnusableFolder": "Make that folder writable, or set DESK_VAR to one that is; nothing was changed.",
    "KeyFileError": "Restore approval.key in DESK_VAR with mode 0600, or move it away to have a new one made.",
    "DatabaseUnavailable": "Check that the database runs and that DATABASE_URL names it; this page tries again.",
}


RESTORE_LIMITS = "Correct that key, or restore the file; then start the desk again."


def remedy_of(error: DatabaseError) -> str:
    return REMEDIES.get(type(error).__name__, "See the message; nothing was changed.")


@contextlib.contextmanager
def boundary(where: str) -> Iterator[None]:
    """The page boundary: whatever fails inside is drawn as an error with its remedy, never as an empty page."""
    try:
        yield
    except DatabaseError as error:
        st.html(look.trouble(f"{where}: the memory did not answer", str(error), remedy_of(error)))
    except RegimeFileError as error:
        st.html(look.trouble(f"{where}: the limits cannot be read", str(error), RESTORE_LIMITS))
    except Exception as error:  # noqa: BLE001 - the last catch before the person; it is shown, and logged with its trace
        _log_trouble(where, error)
        st.html(
            look.trouble(
                f"{where} could not be drawn",
                f"{type(error).__name__}: {error}",
                "The rest of the desk goes on. The full trace is in the cockpit's own output.",
            )
        )


def _log_trouble(where: str, error: Exception) -> None:
    logging.getLogger("nimble.cockpit").error("%s could not be drawn", where, exc_info=error)


def want_page(path: str) -> None:
    """A button's callback: go to that page."""
    st.session_state["wanted-page"] = path


def go_where_wanted() -> None:
    """The first line of every fragment. The wish stands until `arrived_at` grants it: a tick that crosses a switch of
    pages on its way to the server may undo it, and the next tick then goes again."""
    wanted = st.session_state.get("wanted-page")
    if wanted is not None and wanted != st.session_state.get("page"):
        st.switch_page(wanted)


def arrived_at(path: str) -> None:
    """The entry file says which page it is about to draw; `arrived` is True when it is another than before."""
    st.session_state["arrived"] = st.session_state.get("page") != path
    st.session_state["page"] = path
    if st.session_state.get("wanted-page") == path:
        del st.session_state["wanted-page"]


def live(body: Callable[[], None], where: str, every: float = PAGE_EVERY) -> None:
    """Draw a page's body inside the boundary and again every few seconds."""

    @st.fragment(run_every=every, key=f"page-{where}")
    def page() -> None:
        go_where_wanted()
        with boundary(where):
            body()

    page()
