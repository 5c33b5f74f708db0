"""An American book's value over spots × vols × dates. QuantLib reprices the checked positions and is scaled by them."""

from typing import Any

import numpy as np

from tests.benchmarks.peers import american, ours
from tests.benchmarks.peers.entry import Answers, Entry, Inputs, Prepare
from tests.benchmarks.peers.matrix import flattened


def _engine(engine: Any, once: bool = False) -> Prepare:
    def prepare(x: Inputs) -> Entry:
        size = x["strike"].size
        checked = {k: v[x["checked"]] if v.shape == (size,) else v for k, v in x.items()}
        flat = flattened(checked)
        shape = tuple(flat["shape"])
        held = american.options({**flat, "days": np.rint(flat["t"] * 365.0)}, engine)

        def answers(out: Any) -> Answers:
            return {"singles": np.asarray(out, dtype=np.float64).reshape(shape)}

        return Entry(lambda: american.recalculated(held), answers, shape[0], once)

    return prepare


CONTESTANTS: dict[str, Prepare] = {
    "ours": ours.american_matrix,
    "QuantLib QdFp fast": _engine(american.fast),
    "reference": _engine(american.accurate, once=True),
}
