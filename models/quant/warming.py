"""Loads every kernel into this process, compiling on a new machine what is not yet kept compiled.

Runner, bridge and cockpit call `warm` when they start, so that no pass and no page ever waits for a compiler.
`python -m models.quant.warming` does it once for all of them.
"""


def warm() -> None:
    """Import the kernels. Processes that start together compile one after the other; the later ones find the work done.

    About half a second from the cache, half a minute the first time.
    """
    from models.quant.kernels import jit

    with jit.one_compiler():
        from models.quant.kernels import (  # noqa: F401
            american_implied,
            black,
            branching,
            exercise,
            grid,
            implied,
            margin,
            reprice,
            reprice_american,
            reprice_greeks,
        )


if __name__ == "__main__":
    warm()
