"""Loads every kernel into this process, compiling on a new machine what is not yet kept compiled.

Runner, bridge and cockpit call `warm` when they start, so that no pass and no page ever waits for a compiler.
`python -m models.quant.warming` does it once for all of them.
"""

from importlib import import_module

TURNS = (
    ("exercise", "american_implied", "reprice", "reprice_american", "reprice_greeks", "grid"),
    ("pairing",),
    ("margin", "search"),
    ("hedging",),
    ("black",),
    ("implied",),
)
"""The kernels, in turns of about a third of a minute at most; those of one turn are made of one another."""


def warm() -> None:
    """Import the kernels. Processes that start together share the turns, and each finds the others' work done.

    About half a second from the cache; the first time over a minute, or half of that for two processes.
    """
    waiting = [names for names in TURNS if not _done(names, wait=False)]
    for names in waiting:
        _done(names, wait=True)


def _done(names: tuple[str, ...], wait: bool) -> bool:
    """Import one turn's kernels; False when another process compiles them just now and `wait` is False."""
    from models.quant.kernels import jit

    with jit.turn(names[0], wait) as mine:
        for name in names if mine else ():
            import_module(f"models.quant.kernels.{name}")
        return mine


if __name__ == "__main__":
    warm()
