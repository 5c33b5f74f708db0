"""The bridge examined: every check is a name with ok or not, and one sentence."""

from typing import Any

from bridge.facts import halt_file
from bridge.life import Life
from bridge.watchdog import DRIFT_SECONDS, Watchdog
from models.control import SwitchName
from models.quant.lifecycle import Instruction
from models.settings import mask_account


async def examine(life: Life, watchdog: Watchdog) -> dict[str, Any]:
    """{checks: {name: {ok, words}}, ok}: session, accounts, queries, clock, lease, switches, locks, unknowns, audit."""
    checks: dict[str, dict[str, Any]] = {}

    def tell(name: str, ok: bool, words: str) -> None:
        checks[name] = {"ok": ok, "words": words}

    tell("session", life.ready.is_set(), f"{watchdog.state.value}: {watchdog.last_words}")
    shown = ", ".join(mask_account(account) for account in life.accounts) or "none"
    tell("accounts", bool(life.accounts), f"{shown}, mode {life.settings.mode.value}")
    for name, query in (("open orders", life.broker.open_orders), ("executions", life.broker.executions)):
        answer = await query()
        tell(name, not answer.failed, answer.failure or f"{len(answer.data or ())} at the broker")
    follows = abs(life.broker.clock.drift_seconds(life.now())) > DRIFT_SECONDS
    drift = life.broker.drift_seconds
    words = "the desk follows the venue's clock" if follows else f"{drift:+.1f} s from UTC"
    tell("clock", follows or abs(drift) <= DRIFT_SECONDS, words)
    await _examine_memory(life, tell)
    return {"checks": checks, "ok": all(check["ok"] for check in checks.values())}


async def _examine_memory(life: Life, tell: Any) -> None:
    lease = await life.store.control.lease("bridge")
    mine = lease is not None and lease.holder == life.manager.holder
    tell("lease", mine, f"held by {lease.holder if lease else 'nobody'}")
    halt = await life.store.control.switch(SwitchName.HALT)
    file = halt_file(life.settings.var_dir)
    tell("halt", halt is not None and halt.value == "off" and not file, _halt_words(halt.value if halt else None, file))
    locks = await life.store.control.locks()
    tell("locks", not locks, "; ".join(f"{lock.family}: {lock.reason}" for lock in locks) or "none")
    unknown = [o for o in await life.store.orders.working() if o.status == Instruction.UNKNOWN]
    tell("unknown orders", not unknown, ", ".join(order.order_ref[:8] for order in unknown) or "none")
    wrong = await life.store.control.verify_audit()
    tell("audit", wrong is None, wrong or "the chain is whole")


def _halt_words(value: str | None, file: bool) -> str:
    if file:
        return "the file var/HALT exists"
    return f"the switch is {value}" if value is not None else "the switch cannot be read"
