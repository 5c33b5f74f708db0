"""The cockpit in a real Chromium: it draws, stays at home, takes clicks and keys, and signs once per decision."""

import asyncio
import http.client
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as PlaywrightError

from database.store import Store, open_store
from models.proposed_trade import ProposalStatus
from tests.app.fake_staff import FakeStaff
from tests.app.seed import seed
from tests.app.seed_journal import follow
from tests.desk_run import DeskRun

pytestmark = pytest.mark.browser

PAGES = {"": "Needs you now", "proposals": "Limits: now, and after this trade", "book": "By underlying",
         "orders": "Time line", "ops": "Calls to counterparties", "journal": "Was the advice good?",
         "ticket": "one class, up to six legs", "settings": "Limits per regime"}  # fmt: skip
SECONDS = 20_000


class OpenDesk:
    """A seeded desk with a cockpit in its own process and a fake bridge that answers it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/demo.db"
        self.run = DeskRun(folder, self.url)

    def ask(self, work: Callable[[Store, datetime], Any]) -> Any:
        async def run() -> Any:
            now = datetime.now(UTC)
            store = await open_store(self.url, mode="DEMO", var_dir=self.folder, now=now)
            try:
                return await work(store, now)
            finally:
                await store.close()

        # Playwright keeps a loop in this thread; the store gets one of its own.
        with ThreadPoolExecutor(1) as elsewhere:
            return elsewhere.submit(lambda: asyncio.run(run())).result()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[OpenDesk]:
    opened = OpenDesk(tmp_path)
    opened.ask(seed)
    try:
        with FakeStaff(opened.url, tmp_path):
            opened.run.start_cockpit()
            yield opened
    finally:
        opened.run.stop()


@pytest.fixture
def page(chromium: Browser, desk: OpenDesk) -> Iterator[Page]:
    """A tab at 1280 × 800; whatever it asked for outside loopback fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    tab, outside = context.new_page(), []
    home = (desk.run.url, desk.run.url.replace("http", "ws"), "data:", "blob:")
    tab.on("request", lambda request: None if request.url.startswith(home) else outside.append(request.url))
    yield tab
    context.close()
    assert not outside, f"the cockpit asked for {outside}"


def go(page: Page, desk: OpenDesk, path: str = "") -> None:
    page.goto(f"{desk.run.url}/{path}")
    expect(page.locator(".n-kpis")).to_be_visible(timeout=SECONDS)
    expect(page.get_by_text(PAGES[path]).first).to_be_visible(timeout=SECONDS)
    # Keys and clicks are heard once the first run is over and the page has mounted its listeners.
    app = page.locator("[data-testid=stApp]")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=SECONDS)


def test_every_page_opens_at_its_own_address_with_the_mode_in_the_title(page: Page, desk: OpenDesk) -> None:
    for path in PAGES:
        go(page, desk, path)
        expect(page).to_have_title("DEMO · Nimble", timeout=SECONDS)
        expect(page.locator(".n-kpi")).to_have_count(6)
        assert page.locator(".n-trouble").count() == (path == "book")
        wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
        assert wide <= 1280, f"{path or 'desk'} is {wide} px wide"
        halt = page.get_by_role("button", name="HALT").first.bounding_box()
        assert halt is not None and halt["x"] + halt["width"] <= 1260.5, "HALT is cut off"
    faces = page.evaluate("[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family)")
    assert {"Inter", "Plex Mono"} <= {face.strip('"') for face in faces}


def test_a_double_click_on_approve_signs_exactly_once(page: Page, desk: OpenDesk) -> None:
    go(page, desk, "proposals")
    approve = page.get_by_role("button", name="Approve")
    expect(approve).to_be_enabled(timeout=SECONDS)
    approve.dblclick()
    expect(page.get_by_text("Already approved by trader").first).to_be_visible(timeout=SECONDS)
    statuses = [row.status for row in desk.ask(lambda store, now: store.proposals.recent())]
    assert sorted(statuses) == [ProposalStatus.APPROVED, ProposalStatus.SUPERSEDED, ProposalStatus.SUPERSEDED]
    assert desk.ask(lambda store, now: store.orders.in_flight(None, now))


def test_two_tabs_approve_two_alternatives_and_one_is_told(chromium: Browser, page: Page, desk: OpenDesk) -> None:
    other = chromium.new_context().new_page()
    try:
        for tab in (page, other):
            go(tab, desk, "proposals")
        other.get_by_text("Long put ×4").first.click()
        expect(other.get_by_text("Buy 4 SPXW 30 Sep 26 6,200 put")).to_be_visible(timeout=SECONDS)
        for tab in (page, other):
            expect(tab.get_by_role("button", name="Approve")).to_be_enabled(timeout=SECONDS)
        page.get_by_role("button", name="Approve").click()
        with suppress(PlaywrightError):  # the other tab may have heard already and taken the button away
            other.get_by_role("button", name="Approve").click(force=True, timeout=2_000)
        ends = []
        for tab in (page, other):  # either may win
            told = tab.locator(".n-blocks").get_by_text("Already").first
            expect(told).to_be_visible(timeout=SECONDS)
            ends.append(told.inner_text().split()[1])
        assert sorted(ends) == ["approved", "superseded"]
    finally:
        other.context.close()
    approved = [r for r in desk.ask(lambda store, now: store.proposals.recent()) if r.status == ProposalStatus.APPROVED]
    assert len(approved) == 1


def test_halt_by_key_is_acknowledged_blocks_and_is_released_by_the_word(page: Page, desk: OpenDesk) -> None:
    go(page, desk, "proposals")
    page.locator("body").press("Control+Shift+H")
    expect(page.locator(".n-strip-halted")).to_be_visible(timeout=SECONDS)
    expect(page.get_by_text("bridge acknowledged in").first).to_be_visible(timeout=SECONDS)
    expect(page).to_have_title("HALTED · Nimble", timeout=SECONDS)
    expect(page.get_by_text("HALT is on since").first).to_be_visible(timeout=SECONDS)
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    page.get_by_role("button", name="Release HALT").click()
    page.get_by_label("Type RELEASE").fill("RELEASE")
    page.get_by_label("Why is it safe again?").fill("looked at the book")
    page.get_by_role("button", name="Release", exact=True).click()
    expect(page.locator(".n-strip-demo")).to_be_visible(timeout=SECONDS)
    switch = desk.ask(lambda store, now: store.control.switches())["halt"]
    assert (switch.value, switch.reason) == ("off", "looked at the book")


def test_digits_open_pages_but_not_while_typing(page: Page, desk: OpenDesk) -> None:
    go(page, desk)
    page.locator("body").press("5")
    expect(page.get_by_text(PAGES["ops"]).first).to_be_visible(timeout=SECONDS)
    page.get_by_placeholder("call, code or word").press_sequentially("101")
    page.get_by_placeholder("call, code or word").press("Enter")
    expect(page.get_by_text(PAGES["ops"]).first).to_be_visible()
    assert page.url.endswith("/ops")
    page.get_by_text("Agents").first.click()
    page.locator("body").press("2")
    expect(page.get_by_text(PAGES["proposals"]).first).to_be_visible(timeout=SECONDS)


def test_keys_walk_the_inbox_and_reject_with_a_reason(page: Page, desk: OpenDesk) -> None:
    go(page, desk, "proposals")
    page.locator("body").press("j")
    expect(page.get_by_text("Buy 4 SPXW 30 Sep 26 6,200 put")).to_be_visible(timeout=SECONDS)
    page.get_by_role("button", name="timing", exact=True).or_(page.get_by_role("radio", name="timing")).first.click()
    page.locator("body").press("x")
    expect(page.get_by_text("Rejected: timing.").first).to_be_visible(timeout=SECONDS)


def test_a_click_on_a_row_of_the_journal_opens_its_line_and_the_way_to_its_proposal(page: Page, desk: OpenDesk) -> None:
    desk.ask(follow)
    go(page, desk, "journal")
    expect(page.get_by_text("Too few to say: 4 of 11 made money")).to_be_visible(timeout=SECONDS)
    expect(page.get_by_role("button", name="HALT")).to_be_in_viewport(ratio=0.99)
    place = page.locator("[data-testid=stDataFrame]").bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + 20, place["y"] + 40 + 30 * 4 + 15)  # the fifth row's box; a canvas has no elements
    expect(page.get_by_text("“too dear”")).to_be_visible(timeout=SECONDS)
    page.get_by_role("button", name="Open the proposal").click()
    expect(page.get_by_text("Already rejected by trader").first).to_be_visible(timeout=SECONDS)


def test_a_ticket_is_typed_with_keys_and_mouse_and_sent_once_as_it_stands(page: Page, desk: OpenDesk) -> None:
    go(page, desk)
    page.locator("body").press("7")
    expect(page.get_by_text("Long put × 1")).to_be_visible(timeout=SECONDS)
    expect(page.get_by_role("button", name="Add a leg")).to_be_enabled(timeout=SECONDS)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=SECONDS)  # the page stands still
    page.locator("body").press("a")
    strike = page.get_by_label("Strike of leg 2")
    strike.click(timeout=SECONDS)
    strike.press_sequentially("6300")
    strike.press("Enter")
    expect(page.get_by_text("Bear put spread × 1")).to_be_visible(timeout=SECONDS)
    page.get_by_label("Quantity").fill("3")
    page.get_by_role("button", name="Send to the inbox").dblclick()  # with the new size still in the field
    expect(page.get_by_text("Ticket 1 is waiting for the proposer")).to_be_visible(timeout=SECONDS)

    async def claimed(store: Store, now: datetime) -> list[Any]:
        rows = await store.control.claim_requests("trade_proposer", "test", now)
        for row in rows:
            await store.control.answer(row.id or 0, failure="quotes: no two-sided quote came; send it again")
        return [row.payload for row in rows]

    (payload,) = desk.ask(claimed)
    assert payload["quantity"] == 3 and [leg["strike"] for leg in payload["legs"]] == [6450.0, 6300.0]
    expect(page.get_by_text("Ticket 1 was not proposed")).to_be_visible(timeout=SECONDS)
    expect(page.get_by_label("Quantity")).to_have_value("3")


def test_a_foreign_host_is_turned_away(desk: OpenDesk) -> None:
    link = http.client.HTTPConnection("127.0.0.1", desk.run.port, timeout=10)
    upgrade = {"Host": "evil.example", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    try:
        link.request("GET", "/_stcore/stream", headers=upgrade)
        assert link.getresponse().status == 403
    finally:
        link.close()
