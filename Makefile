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
	$(BIN)/python -m agents & staff=$$!; \
	trap 'kill $$staff 2>/dev/null; wait $$staff 2>/dev/null' EXIT INT TERM; \
	$(BIN)/streamlit run app/main.py

test: $(BIN)/ready
	$(BIN)/python -m pytest

lint: $(BIN)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BIN)/ready
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf .venv .ruff_cache .mypy_cache .hypothesis
