"""The key with which the cockpit signs and the bridge believes: 32 random bytes in var/approval.key, mode 0600."""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from database.errors import KeyFileError, UnusableFolder

KEY_NAME = "approval.key"
KEY_BYTES = 32


def approval_key(var_dir: Path) -> bytes:
    """The key of this desk, made at first use; several may ask at once. Raises KeyFileError, UnusableFolder."""
    path = var_dir / KEY_NAME
    if not path.exists():
        _make(path)
    try:
        mode = path.stat().st_mode & 0o777
        raw = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} cannot be read ({error}); move it away and a new key is made") from error
    if mode & 0o077:
        raise KeyFileError(f"{path} has mode {mode:04o}, so others may read it; chmod 600 {path}")
    try:
        key = bytes.fromhex(raw)
    except ValueError as error:
        raise KeyFileError(f"{path} is not hexadecimal; move it away and a new key is made") from error
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{path} holds {len(key)} bytes, not {KEY_BYTES}; move it away and a new key is made")
    return key


def _make(path: Path) -> None:
    # Written whole beside its place and linked: whoever loses the race reads the winner's key, never half of one.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    except OSError as error:
        raise UnusableFolder(
            f"{path} cannot be written ({error}); make the folder writable or set DESK_VAR to another"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # a folder that cannot be written has no draft either
            draft.unlink(missing_ok=True)


def derived_key(key: bytes, purpose: str) -> bytes:
    """A key for another purpose, so that a signature of one kind never passes for one of another."""
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()
