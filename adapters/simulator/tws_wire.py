"""The TWS frame and its fields: a length, then NUL-terminated text. Pure: bytes and values in, values and bytes out.

Layouts differ by the version both sides agreed on; `Since` names each version in which a field appeared or left, as
IBKR's own `server_versions` does.
"""

import math
import struct
from collections.abc import Iterable
from enum import Enum, IntEnum

HANDSHAKE = b"API\0"
OLDEST_VERSION = 157
NEWEST_VERSION = 178
FRAME_LIMIT = 1 << 20
"""The longest frame taken from a client, in bytes; a longer one is not a TWS client."""

UNSET = "1.7976931348623157E308"
"""IBKR's "no value" for a double. Also what this venue sends where it does not know a number."""

_UNSET_DIGITS = "1.797693134862315"
_UNSET_INTEGERS = ("2147483647", "9223372036854775807")


class Since(IntEnum):
    """The version in which a layout changed."""

    DURATION = 158
    POST_TO_ATS = 160
    AUTO_CANCEL_PARENT = 162
    FRACTIONAL_SIZE = 163
    SIZE_RULES = 164  # contract details lose their own version number and gain size rules
    ADVANCED_REJECT = 166
    MANUAL_ORDER_TIME = 169
    PEG_OFFSETS = 170
    TIMEZONES = 174  # times carry the instrument's zone instead of the login's
    BOND_ISSUER = 176
    NO_FA_PROFILE = 177
    PRICE_REVISION = 178


class WireError(ValueError):
    """A frame that does not read as what its message id says; the text names message and field."""


def encode_frame(fields: Iterable[object]) -> bytes:
    """One frame: uint32 big-endian length, then each field as text and a NUL."""
    body = "".join(f"{field_text(field)}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def decode_payload(payload: bytes) -> list[str]:
    """The fields of a frame's body (the length already taken off)."""
    if not payload.endswith(b"\0"):
        raise WireError("frame: the last field is not ended by NUL")
    try:
        return payload[:-1].decode().split("\0")
    except UnicodeDecodeError as error:
        raise WireError(f"frame: not UTF-8 at byte {error.start}") from error


def field_text(value: object) -> str:
    """A value as TWS prints it: None is empty, a flag 1 or 0, a whole double has no point (old clients read ints)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return _double_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    text = str(value)
    return text.replace("\0", " ") if "\0" in text else text


def _double_text(value: float) -> str:
    if math.isnan(value):
        return UNSET
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def plain_text(text: str) -> str:
    """Free text in seven bits, the rest as `\\u` escapes: what clients since version 153 decode."""
    return text.encode("unicode_escape").decode("ascii")


def field_names(words: str) -> list[str]:
    """A layout written as the words of one text, in wire order."""
    return words.split()


def is_unset(text: str) -> bool:
    """Whether a client's number means "not given": empty, or one of IBKR's largest-number markers."""
    return not text or text.startswith(_UNSET_DIGITS) or text in _UNSET_INTEGERS


class FieldReader:
    """A cursor over the fields of one message; every read names its field, so an error can."""

    def __init__(self, fields: list[str], message: str) -> None:
        self._fields = fields
        self._at = 0
        self._message = message

    @property
    def left(self) -> int:
        return len(self._fields) - self._at

    def text(self, name: str) -> str:
        if self._at >= len(self._fields):
            raise WireError(f"{self._message}: ended before {name}")
        value = self._fields[self._at]
        self._at += 1
        return value

    def skip(self, count: int, name: str) -> None:
        for _ in range(count):
            self.text(name)

    def number(self, name: str) -> float | None:
        """A double; None where the client left it unset."""
        text = self.text(name)
        if is_unset(text):
            return None
        if text in ("Infinite", "Infinity"):
            return math.inf
        try:
            return float(text)
        except ValueError as error:
            raise WireError(f"{self._message}: {name} {text!r} is not a number") from error

    def integer(self, name: str) -> int:
        """An integer; 0 where the client left it unset."""
        value = self.number(name)
        if value is None:
            return 0
        if not math.isfinite(value) or value != int(value):
            raise WireError(f"{self._message}: {name} {value!r} is not a whole number")
        return int(value)

    def count(self, name: str) -> int:
        """A length of a list that follows; never more than the fields that are left."""
        value = self.integer(name)
        if not 0 <= value <= self.left:
            raise WireError(f"{self._message}: {name} {value} does not fit the {self.left} fields left")
        return value

    def flag(self, name: str) -> bool:
        text = self.text(name)
        return text.lower() in ("1", "true")

    def tags(self, name: str) -> tuple[tuple[str, str], ...]:
        """A counted list of tag, value pairs."""
        return tuple((self.text(f"{name} tag"), self.text(f"{name} value")) for _ in range(self.count(name)))

    def done(self) -> None:
        if self.left:
            raise WireError(f"{self._message}: {self.left} unread fields at the end, first {self.text('rest')!r}")


def negotiate(hello: str) -> tuple[int, str] | None:
    """The version for `v157..178[ options]` and the options; None for a client no layout here fits."""
    span, _, options = hello.strip("\0").partition(" ")
    low, dots, high = span.removeprefix("v").partition("..")
    if not span.startswith("v") or not low.isdecimal() or (dots and not high.isdecimal()):
        return None
    oldest, newest = int(low), int(high or low)
    if newest < OLDEST_VERSION or oldest > newest:
        return None
    return min(NEWEST_VERSION, newest), options
