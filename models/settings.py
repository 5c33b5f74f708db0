"""The desk's wiring, read once from a mapping into one frozen value; whatever is unsafe or unreadable refuses by name.

Appetite (limits, switches, universe) is rows in the database, never here. `.env.example` lists every variable.
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Mode(StrEnum):
    DEMO = "DEMO"
    PAPER = "PAPER"
    LIVE = "LIVE"


class Staff(StrEnum):
    EMBEDDED = "embedded"  # the cockpit starts the agents when its first page opens
    EXTERNAL = "external"  # somebody else runs `python -m agents`


class SettingsError(ValueError):
    """A variable is wrong or an unsafe combination was asked for; the message names it and the remedy."""


@dataclass(frozen=True)
class Settings:
    """Everything a process must know before it opens anything. Secrets are excluded from the repr."""

    mode: Mode = Mode.DEMO
    database_url: str = field(default="", repr=False)
    var_dir: Path = Path("var")
    staff: Staff = Staff.EMBEDDED
    ib_api_mode: str = "SOCKET"
    ib_host: str = "127.0.0.1"
    ib_port: int = 0
    ib_client_id: int = 11
    ib_account: str = field(default="", repr=False)
    trading_enabled: bool = False
    venue_seed: int = 7
    venue_speed: float = 1.0
    venue_scenario: str = "calm"
    venue_chain: str = ""
    venue_book: str = ""
    risk_profile: str = "desk"
    proposer_interval: float = 300.0
    proposer_notify_threshold: float = 0.10
    mock_breach: bool = False
    approval_good_seconds: float = 60.0
    what_if_deadline: float = 10.0
    trader: str = "trader"
    notify_urls: tuple[str, ...] = field(default=(), repr=False)
    log_level: str = "INFO"

    @property
    def orders_client_id(self) -> int:
        """The one fixed client id that may carry orders; quotes and what-ifs use the next two."""
        return self.ib_client_id

    @property
    def quotes_client_id(self) -> int:
        return self.ib_client_id + 1

    @property
    def what_if_client_id(self) -> int:
        return self.ib_client_id + 2


def _choice(kind: type[StrEnum]) -> Callable[[str, str], Any]:
    def parse(name: str, raw: str) -> Any:
        try:
            return kind(raw.strip())
        except ValueError as error:
            options = ", ".join(kind)
            raise SettingsError(f"{name}={raw!r} is not one of {options}; correct it in .env") from error

    return parse


def _upper(kind: type[StrEnum]) -> Callable[[str, str], Any]:
    parse = _choice(kind)
    return lambda name, raw: parse(name, raw.upper())


def _lower(kind: type[StrEnum]) -> Callable[[str, str], Any]:
    parse = _choice(kind)
    return lambda name, raw: parse(name, raw.lower())


def _flag(name: str, raw: str) -> bool:
    word = raw.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise SettingsError(f"{name}={raw!r} is neither true nor false; write one of them in .env")


def _number(low: float, high: float) -> Callable[[str, str], float]:
    def parse(name: str, raw: str) -> float:
        try:
            value = float(raw)
        except ValueError as error:
            raise SettingsError(f"{name}={raw!r} is not a number; correct it in .env") from error
        if not low <= value <= high:
            raise SettingsError(f"{name}={raw!r} must lie between {low:g} and {high:g}; correct it in .env")
        return value

    return parse


def _integer(low: int, high: int) -> Callable[[str, str], int]:
    number = _number(low, high)

    def parse(name: str, raw: str) -> int:
        value = number(name, raw)
        if value != int(value):
            raise SettingsError(f"{name}={raw!r} must be a whole number; correct it in .env")
        return int(value)

    return parse


def _text(_name: str, raw: str) -> str:
    return raw.strip()


def _path(_name: str, raw: str) -> Path:
    return Path(raw.strip())


def _one_of(*options: str) -> Callable[[str, str], str]:
    def parse(name: str, raw: str) -> str:
        if raw.strip() not in options:
            raise SettingsError(f"{name}={raw!r} is not one of {', '.join(options)}; correct it in .env")
        return raw.strip()

    return parse


def _api_mode(name: str, raw: str) -> str:
    word = raw.strip().upper()
    if word == "PORTAL":
        raise SettingsError(f"{name}=PORTAL: this version of the desk crosses over SOCKET only; set {name}=SOCKET")
    if word != "SOCKET":
        raise SettingsError(f"{name}={raw!r} is not a road to the broker; set {name}=SOCKET")
    return word


def _urls(name: str, raw: str) -> tuple[str, ...]:
    """Channels, a space between them; an entry may hold a secret, so a refusal names its place and never repeats it."""
    entries = tuple(raw.split())
    for place, entry in enumerate(entries, 1):
        scheme, mark, rest = entry.partition("://")
        if not (mark and rest and scheme[:1].isalpha() and scheme.isascii()):
            raise SettingsError(f"{name}: entry {place} is not a URL such as tgram://bottoken/chat; correct it in .env")
    return entries


VARIABLES: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "DESK_MODE": ("mode", _upper(Mode)),
    "DATABASE_URL": ("database_url", _text),
    "DESK_VAR": ("var_dir", _path),
    "DESK_STAFF": ("staff", _lower(Staff)),
    "IB_API_MODE": ("ib_api_mode", _api_mode),
    "IB_HOST": ("ib_host", _text),
    "IB_PORT": ("ib_port", _integer(0, 65535)),
    "IB_CLIENT_ID": ("ib_client_id", _integer(1, 9990)),
    "IB_ACCOUNT": ("ib_account", _text),
    "TRADING_ENABLED": ("trading_enabled", _flag),
    "VENUE_SEED": ("venue_seed", _integer(0, 2**31 - 1)),
    "VENUE_SPEED": ("venue_speed", _number(0, 3600)),
    "VENUE_SCENARIO": ("venue_scenario", _text),
    "VENUE_CHAIN": ("venue_chain", _text),
    "VENUE_BOOK": ("venue_book", _text),
    "RISK_PROFILE": ("risk_profile", _one_of("desk", "classic")),
    "PROPOSER_INTERVAL": ("proposer_interval", _number(5, 86400)),
    "PROPOSER_NOTIFY_THRESHOLD": ("proposer_notify_threshold", _number(0, 1e9)),
    "MOCK_BREACH": ("mock_breach", _flag),
    "APPROVAL_GOOD_SECONDS": ("approval_good_seconds", _number(5, 600)),
    "WHAT_IF_DEADLINE": ("what_if_deadline", _number(1, 60)),
    "DESK_TRADER": ("trader", _text),
    "NOTIFY_URLS": ("notify_urls", _urls),
    "LOG_LEVEL": ("log_level", _one_of("DEBUG", "INFO", "WARNING", "ERROR")),
}


def read_settings(env: Mapping[str, str]) -> Settings:
    """Settings from an environment mapping; raises SettingsError naming the variable and the remedy."""
    values = {
        attribute: parse(name, env[name])
        for name, (attribute, parse) in VARIABLES.items()
        if env.get(name, "").strip() != ""
    }
    settings = Settings(**values)
    if not settings.database_url:
        path = settings.var_dir / f"{settings.mode.lower()}.db"
        settings = Settings(**{**values, "database_url": f"sqlite:///{path}"})
    _refuse_unsafe(settings)
    return settings


def _refuse_unsafe(settings: Settings) -> None:
    scheme = settings.database_url.split(":", 1)[0]
    if scheme not in ("sqlite", "postgresql"):
        raise SettingsError(
            f"DATABASE_URL begins with {scheme!r}; use sqlite:///var/desk.db or postgresql://user@host/name"
        )
    if settings.mode is Mode.DEMO:
        if not is_loopback(settings.ib_host):
            raise SettingsError("IB_HOST must be loopback in DEMO; set DESK_MODE=PAPER for a broker elsewhere")
        return
    if settings.mock_breach:
        raise SettingsError(f"MOCK_BREACH is for DEMO only; remove it or set DESK_MODE=DEMO (now {settings.mode})")
    if settings.ib_port == 0:
        raise SettingsError(f"IB_PORT is required in {settings.mode}: 7497/4002 for paper, 7496/4001 for live")
    if not settings.ib_account:
        raise SettingsError(f"IB_ACCOUNT is required in {settings.mode}: the account id the desk may trade")
    paper_id = settings.ib_account.upper().startswith("D")
    if settings.mode is Mode.PAPER and not paper_id:
        raise SettingsError("IB_ACCOUNT is not a paper account (they begin with D); DESK_MODE=PAPER refuses it")
    if settings.mode is Mode.LIVE and paper_id:
        raise SettingsError("IB_ACCOUNT is a paper account; DESK_MODE=LIVE refuses it")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def mask_account(account_id: str) -> str:
    """`U1234567` as `U***4567`: what pages, logs and errors may show."""
    if len(account_id) <= 4:
        return "***"
    return f"{account_id[0]}***{account_id[-4:]}"
