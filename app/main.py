"""The cockpit's entry: `streamlit run app/main.py`. The path, the page list, the shell; the pages are files.

They live in screens/, not pages/: beside a folder of that name Streamlit's first request to a page's own address runs
the page alone, without this file.
"""

import os
import sys
from pathlib import Path

# Streamlit puts app/ first on the path; the rooms are imported from the repository's root. Never by PYTHONPATH:
# Streamlit would then hot-reload models/ and redefine its tables.
ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import streamlit as st  # noqa: E402

from app import look  # noqa: E402
from app.cockpit import RESTORE_LIMITS, arrived_at, boundary, cockpit_or_stop  # noqa: E402
from app.rulebook import rules_trouble  # noqa: E402
from app.shell import NAME, Place, shell, title_of  # noqa: E402
from app.staff import ensure_staff  # noqa: E402

ICON = str(Path(__file__).parent / "static" / "icon.svg")
# A local icon before navigation: with a :material/ one the browser would fetch it from outside.
st.set_page_config(page_title=NAME, page_icon=ICON, layout="wide", initial_sidebar_state="collapsed")
st.html(look.style())

cockpit = cockpit_or_stop()
ensure_staff(cockpit)
st.set_page_config(page_title=title_of(cockpit), page_icon=ICON, layout="wide")

PAGES = (
    Place("screens/desk.py", "Desk", "1"),
    Place("screens/proposals.py", "Proposals", "2"),
    Place("screens/book.py", "Book", "3"),
    Place("screens/orders.py", "Orders", "4"),
    Place("screens/ops.py", "Ops", "5"),
    Place("screens/journal.py", "Journal", "6"),
    Place("screens/ticket.py", "Ticket", "7"),
    Place("screens/settings.py", "Limits", "8"),
)
places = tuple(Place(p.path, p.title, p.key, st.Page(p.path, title=p.title, default=p.title == "Desk")) for p in PAGES)
chosen = st.navigation([place.page for place in places], position="hidden")
arrived_at(next(place.path for place in places if place.title == chosen.title))
shell(cockpit, places, chosen.title)
with boundary("Limits"):
    unreadable = cockpit.ask(rules_trouble)
    if unreadable:
        st.html(look.trouble("The limits cannot be read: nothing is proposed or sent", unreadable, RESTORE_LIMITS))
chosen.run()
