"""Management proposals in the cockpit: named by their rule in the inbox and on the card, counted on the desk page."""

from datetime import datetime, timedelta

from database.store import Store
from models.proposed_trade import Origin
from tests.app.seed import proposals, seed
from tests.app.test_pages import Memory, memory, opened, words

__all__ = ["memory"]  # a fixture, used by name


async def seed_an_exit(store: Store, now: datetime) -> None:
    """The afternoon, and beside its hedges a strangle that has few days left."""
    await seed(store, now)
    row = proposals(now)[0]
    row.origin, row.breach_set_id, row.strategy_name = Origin.MANAGE, None, "Close short strangle"
    row.justification = "Short strangle ×2: 21 days left, short premium is closed at 21."
    row.scores = {**(row.scores or {}), "rank": 0, "manage": {"rule": "days_left", "title": "21 days left"}}
    row.created_at = now + timedelta(seconds=1)  # the newest: it is the card that opens
    await store.proposals.add(row)


def test_the_card_and_the_queue_name_the_rule(memory: Memory) -> None:
    memory.do(seed_an_exit)
    app = opened("proposals")
    labels = [str(one.label) for one in app.button]
    mine = next(place for place, label in enumerate(labels) if "Close short strangle" in label)
    app.button[mine].click().run()  # the answers to a breach stand before it
    said = words(app)
    assert ">manage: 21 days left<" in said and "short premium is closed at 21" in said and "rank 0" not in said
    labels = [str(one.label) for one in app.button]
    assert sum("manage: 21 days left" in label and "Close short strangle" in label for label in labels) == 1
    assert not any("manage" in label for label in labels if "Bear put spread" in label)


def test_the_desk_page_counts_it_among_what_needs_the_person(memory: Memory) -> None:
    memory.do(seed_an_exit)
    said = words(opened())
    assert "4 proposals to decide" in said and "Close short strangle" in said
