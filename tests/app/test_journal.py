"""The journal in AppTest: the answer with its numbers, filters, the open line, ways out, and why it may be empty."""

from collections.abc import Sequence
from datetime import datetime

import pytest
from streamlit.testing.v1 import AppTest

from app import advice as view
from database.store import Store
from models.proposed_trade import ProposedTrade
from models.scorecard import Followed
from tests.app.seed import ACCOUNT, seed
from tests.app.seed_journal import TOLD, follow
from tests.app.test_pages import Memory, button, memory, opened, words

__all__ = ["memory"]  # the fixture, used by name


async def seeded(store: Store, now: datetime) -> None:
    await seed(store, now)
    await follow(store, now)


@pytest.fixture
def journal(memory: Memory) -> AppTest:
    memory.do(seeded)
    return opened("journal")


def choose(app: AppTest, group: int, value: str) -> None:
    app.get("button_group")[group].set_value(value).run()


def shown(app: AppTest) -> Sequence[str]:
    return list(app.dataframe[0].value["Proposal"])


def test_the_answer_stands_on_top_with_how_many_it_rests_on(journal: AppTest) -> None:
    said = words(journal)
    for part in (
        "Was the advice good?", "Too few to say: 4 of 11 made money, on 10 days.", "4 of 11", "of 11 proposals",
        "1 too young", "nothing is claimed while the 95 % interval is wider", "Cure kept", "Per $ of promised cost",
    ):  # fmt: skip
        assert part in said, part
    assert "n-trouble" not in said


def test_every_line_is_listed_newest_first_with_its_verdict(journal: AppTest) -> None:
    frame = journal.dataframe[0].value
    assert frame["Proposal"].iloc[0] == "Long put ×4" and len(frame) == len(TOLD)
    assert "Superseded 22×" in list(frame["Became"]) and "Approved, filled" in list(frame["Became"])
    assert all(len(verdict) > 20 for verdict in frame["Verdict"])
    assert frame["P&L"].notna().all() and frame["Kept"].isna().any()


def test_chips_filter_by_outcome_and_origin_and_the_numbers_follow(journal: AppTest) -> None:
    choose(journal, 0, "Rejected")
    assert shown(journal) == ["Bear put spread ×5", "Long put ×4", "Long put ×4", "Bear put spread ×5"]
    assert "1 of 4 made money" in words(journal)
    choose(journal, 1, "manage")
    said = words(journal)
    assert (
        len(journal.dataframe[0].value) == 0
        and "No line fits the filter" in said
        and "nothing to judge yet" in said.lower()
    )


def test_the_record_splits_by_strategy_and_origin(journal: AppTest) -> None:
    choose(journal, 2, "strategy")
    assert "Put butterfly" in words(journal)
    choose(journal, 2, "origin")
    assert "manage" in words(journal)


def test_a_chosen_line_tells_its_story_and_leads_to_its_proposal(journal: AppTest) -> None:
    journal.session_state["journal-line"] = 1
    journal.run()
    said = words(journal)
    for part in (
        "Bear put spread ×5",
        "“price”",
        "closed by itself after 2 days",
        "nothing is left to cure",
        "at the mid",
    ):
        assert part in said, part
    button(journal, "journal-card").click().run()
    app = journal.switch_page("screens/proposals.py").run()
    assert "#4 " in words(app) and "Already rejected" in words(app)


def test_a_life_that_is_over_shows_its_verdict_and_an_approved_one_leads_to_its_order(journal: AppTest) -> None:
    journal.session_state["journal-line"] = 3
    journal.run()
    assert "life over" in words(journal) and "ended at" in words(journal)
    journal.session_state["journal-line"] = 4
    journal.run()
    assert "with its fill" in words(journal)
    assert "journal-order" in [one.key for one in journal.button]


def test_a_journal_without_lines_says_why(memory: Memory) -> None:
    assert "No proposals to judge." in words(opened("journal"))
    memory.do(seed)
    assert "takes new proposals up within a minute" in words(opened("journal"))


def test_a_line_without_a_price_or_with_unreadable_legs_is_still_listed(memory: Memory) -> None:
    async def odd(store: Store, now: datetime) -> None:
        await seed(store, now)
        for legs in ([{"identity": "x"}], (await store.proposals.recent(1))[0].legs_json):
            row = ProposedTrade(
                account_id=ACCOUNT, strategy_name="Odd one", legs_json=legs, legs_hash="x", quantity=1, limit_price=1.0,
                worst_price=1.0, created_at=now, expires_at=now,
            )  # fmt: skip
            number = await store.proposals.add(row)
            await store.scorecard.add(
                Followed(proposal_id=number, last_proposal_id=number, desk_at=now, outcome="Rejected")
            )

    memory.do(odd)
    app = opened("journal")
    said = words(app)
    assert "No value yet." in said and "it is looked at every few minutes".lower() in said.lower()
    assert any("cannot be followed: leg 1" in verdict for verdict in app.dataframe[0].value["Verdict"])
    app.session_state["journal-line"] = 1
    assert "cannot be followed" in words(app.run())


def test_profit_is_coloured_by_its_sign_and_unknown_is_not() -> None:
    assert [view._gain_or_loss(value) for value in (1.0, -1.0, 0.0, None, float("nan"))] == [
        "color: #3FB68B", "color: #E5484D", "", "", "",
    ]  # fmt: skip
