"""A desk without a broker: a real SQLite store in a folder of its own, and market data that a test scripts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.desk import Desk
from database.store import Store, open_store
from models.settings import Settings, read_settings
from tests.agents.scripted_market import OptionMarket


def settings_in(folder: Path, **more: str) -> Settings:
    return read_settings({"DESK_VAR": str(folder / "var"), "DATABASE_URL": f"sqlite:///{folder}/desk.db", **more})


@pytest.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(
        f"sqlite:///{tmp_path}/desk.db", mode="DEMO", var_dir=tmp_path / "var", now=datetime.now(UTC)
    )
    yield opened
    await opened.close()


@pytest.fixture
def desk(sqlite_store: Store, tmp_path: Path) -> Desk:
    return Desk(settings_in(tmp_path), sqlite_store)


@pytest.fixture
def market(desk: Desk) -> OptionMarket:
    data = OptionMarket()

    async def open_data(_settings: object) -> OptionMarket:
        return data

    desk.open_data = open_data
    return data
