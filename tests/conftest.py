"""What every test may ask for: the recorded market, a real Postgres, a store on either database, the present moment."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from database.store import Store, open_store

# One machine's luck must not decide a landing: the same examples everywhere; `--hypothesis-profile=explore` digs.
settings.register_profile("house", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, max_examples=2000)
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT.parent / "shared" / "data"


@pytest.fixture
def now() -> datetime:
    """The moment the test began: aware, UTC, machine time."""
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def recorded() -> Path:
    """The folder of recorded market data beside the checkout."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recorded market data at {RECORDED}")
    return RECORDED


CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; REQUIRE_BROWSER=1 turns its absence into a failure. Closed with the module: while it is open
    Playwright keeps a loop in this thread and no async test could run."""
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is not installed"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


class Cluster:
    """A Postgres of our own on a free port of loopback, run by a user that is not root; gone after the session."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="desk-pg-"))
        self._user: int | None = None
        self._group: int | None = None
        if os.geteuid() == 0:  # Postgres refuses to run as root
            account = _ordinary_account()
            self._user, self._group = account.pw_uid, account.pw_gid
            os.chown(self.folder, self._user, self._group)
        self._data = self.folder / "data"
        self._made = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def start(self) -> None:
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        # No fsync: the tests ask whether the desk orders durability, not whether this disk keeps its word.
        options = (
            f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off "
            "-c max_connections=200 -c shared_buffers=32MB -c autovacuum=off"
        )
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh(self, template: str = "template1") -> str:
        """The URL of a new database: empty, or a copy of another that nobody is connected to."""
        self._made += 1
        name = f"desk_{self._made}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def drop(self, url: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[1]} WITH (FORCE)")

    def sql(self, statement: str, database: str = "postgres") -> str:
        return self._run(
            "psql", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-d", database, "-XqAtc", statement
        )

    def _run(self, program: str, *arguments: object) -> str:
        # Output goes to a file: the server inherits it, and a pipe would never end.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(self._binaries / program), *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd="/", timeout=60,
                user=self._user, group=self._group, extra_groups=[] if self._user else None, check=False,
            )  # fmt: skip
            output.seek(0)
            words = output.read()
        if done.returncode:
            raise RuntimeError(f"{program} failed: {words}")
        return words


def _ordinary_account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("no ordinary account to run Postgres with")


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Cluster]:
    """One cluster for the session; REQUIRE_POSTGRES=1 turns its absence into a failure."""
    binaries = _binaries()
    if binaries is None:
        reason = "no Postgres here (initdb was not found)"
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    cluster = Cluster(binaries)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def postgres_url(postgres_cluster: Cluster) -> Iterator[str]:
    """A fresh, empty database on the session's cluster."""
    url = postgres_cluster.fresh()
    yield url
    postgres_cluster.drop(url)


DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may open for the first time: a file that does not exist yet, then an empty Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/desk.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated DEMO file, copied for every test: migrating costs more than most tests."""
    folder = tmp_path_factory.mktemp("template")
    _open_once(f"sqlite:///{folder}/desk.db", folder)
    return folder / "desk.db"


@pytest.fixture(scope="session")
def postgres_template(postgres_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated DEMO database, copied for every test."""
    url = postgres_cluster.fresh()
    _open_once(url, tmp_path_factory.mktemp("template"))
    return url.rsplit("/", 1)[1]


def _open_once(url: str, folder: Path) -> None:
    async def make() -> None:
        store = await open_store(url, mode="DEMO", var_dir=folder / "var", now=datetime.now(UTC))
        await store.close()

    # A thread of its own: asyncio.run here would take the event loop away from the tests.
    thread = threading.Thread(target=lambda: asyncio.run(make()))
    thread.start()
    thread.join()


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty DEMO database: a file, then one on Postgres."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "desk.db")
        yield f"sqlite:///{tmp_path}/desk.db"
        return
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    url = cluster.fresh(request.getfixturevalue("postgres_template"))
    yield url
    cluster.drop(url)


@pytest.fixture
async def store(store_url: str, tmp_path: Path, now: datetime) -> AsyncIterator[Store]:
    """An open DEMO store; the test runs once on each database."""
    opened = await open_store(store_url, mode="DEMO", var_dir=tmp_path / "var", now=now)
    yield opened
    await opened.close()
