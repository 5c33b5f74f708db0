"""The limits in force as the cockpit reads them: the newest version in the memory, else the desk's own file."""

from functools import lru_cache
from pathlib import Path

from database.store import Store
from models.quant.regime import RegimeBook, RegimeFileError, load_regimes, regimes_from

RULES_FILE = Path(__file__).resolve().parent.parent / "models" / "risk_regimes.toml"


async def rulebook(store: Store) -> RegimeBook:
    """Raises RegimeFileError naming file or version, and the key."""
    version = await store.appetite.limits_in_force()
    return book_of_file() if version is None else regimes_from(version.body, f"limits version {version.id}")


async def rules_trouble(store: Store) -> str:
    """Why the limits in force cannot be read, naming file and key; empty when they can."""
    try:
        await rulebook(store)
    except RegimeFileError as error:
        return str(error)
    return ""


@lru_cache(maxsize=1)
def book_of_file() -> RegimeBook:
    name = f"{RULES_FILE.parent.name}/{RULES_FILE.name}"
    try:
        text = RULES_FILE.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RegimeFileError(name, "", f"cannot be read ({error})") from error
    return load_regimes(text, name)
