"""How kernels are compiled: cached on disk, one explicit signature each, divisions by zero as IEEE says.

Contraction (a·b + c in one rounding) is the only liberty the compiler may take: NaN stays NaN, sums keep their order.
"""

import contextlib
import fcntl
import hashlib
from collections.abc import Callable, Iterator
from importlib.resources import as_file, files
from typing import Any, TypeVar

import numba
from numba.misc.appdirs import AppDirs

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True, "cache": True}


def kernel(signature: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile at import for exactly `signature` (a string or a type of numba's); other types raise TypeError."""

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        out: Callable[..., Any] = numba.njit(signature, **_OPTIONS)(function)
        return out

    return compiled


def part(function: F) -> F:
    """A piece of kernels, compiled into each kernel that calls it."""
    out: F = numba.njit(error_model="numpy", fastmath={"contract"})(function)
    return out


def quick(function: F) -> F:
    """Like `part` for sums and extremes of numbers known to be no NaN: their order is free, so they become vectors."""
    out: F = numba.njit(error_model="numpy", fastmath={"contract", "reassoc", "nnan", "nsz"})(function)
    return out


def inlined(function: F) -> F:
    """Like `part`, pasted in before compilation: for pieces so large that LLVM would leave them a call."""
    out: F = numba.njit(error_model="numpy", fastmath={"contract"}, inline="always")(function)
    return out


def _cache_folder() -> str:
    """A folder of its own for each state of these sources: numba notices a change only in the kernel's own file, and
    would serve a kernel compiled with yesterday's parts. Beside them, or with the user where that cannot be written."""
    package = files(__package__)
    sources = sorted((item.name, item.read_bytes()) for item in package.iterdir() if item.name.endswith(".py"))
    state = hashlib.sha256(repr(sources).encode()).hexdigest()[:16]
    with as_file(package) as folder, contextlib.suppress(OSError):
        beside = folder / "__pycache__"
        beside.mkdir(exist_ok=True)
        (beside / f"{state}.turn").touch()
        return f"{beside}/{state}"
    return f"{AppDirs('nimble', appauthor=False).user_cache_dir}/{state}"


numba.config.CACHE_DIR = _cache_folder()


@contextlib.contextmanager
def turn(what: str, wait: bool) -> Iterator[bool]:
    """Hold the machine's turn to compile `what`; False when another process has it and `wait` is False.

    Where its file cannot be written everyone compiles for himself.
    """
    with contextlib.ExitStack() as held:
        mine = True
        try:
            file = held.enter_context(open(f"{numba.config.CACHE_DIR}.{what}.turn", "a"))  # noqa: PTH123  # no paths here
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            mine = False
        except OSError:
            pass
        yield mine
