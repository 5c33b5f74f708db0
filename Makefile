# make only wraps the plain commands that README shows.
PYTHON ?= python3
BIN := .venv/bin
export OPENBLAS_NUM_THREADS := 1

.PHONY: run test lint bench clean
.DEFAULT_GOAL := run

$(BIN)/ready: requirements.txt requirements-dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: $(BIN)/ready
	@if [ "$$DESK_STAFF" = external ]; then exec $(BIN)/streamlit run app/main.py; fi; \
	trap 'kill $$staff $$cockpit 2>/dev/null; wait' EXIT; trap 'exit 0' INT TERM HUP; \
	$(BIN)/python -m agents & staff=$$!; \
	$(BIN)/streamlit run app/main.py & cockpit=$$!; \
	wait $$cockpit || { code=$$?; echo "The cockpit did not open. Is its port taken? STREAMLIT_SERVER_PORT=8502 make run" >&2; exit $$code; }

test: $(BIN)/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(BIN)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

PEERS := .venv-bench/bin
$(PEERS)/ready: requirements-bench.txt
	@test -x $(PEERS)/python || $(PYTHON) -m venv .venv-bench
	@$(PEERS)/python -m pip install --quiet --disable-pip-version-check -r $< || \
	sed 's/[[:space:]]*#.*//; /^$$/d' $< | while read -r peer; do \
	$(PEERS)/python -m pip install --quiet --disable-pip-version-check "$$peer" || echo "$$peer cannot be installed here: left out"; done
	@touch $@

bench: $(BIN)/ready $(PEERS)/ready
	$(BIN)/python -m tests.benchmarks $(ONLY)

clean:
	rm -rf .venv .venv-bench models/quant/kernels/__pycache__ .ruff_cache .mypy_cache .hypothesis
