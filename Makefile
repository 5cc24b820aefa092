# The four commands of a newcomer and a developer; each does its own set-up.
PYTHON ?= python3
BIN := .venv/bin
GROUP ?= loop

.PHONY: run test test-faults check bench soak clean

run:
	@$(PYTHON) tui/bootstrap.py run

test:
	@$(PYTHON) tui/bootstrap.py test
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

test-faults:
	@$(PYTHON) tui/bootstrap.py test
	$(BIN)/pytest -n 2 --dist worksteal -m "faults or deep"

check:
	@$(PYTHON) tui/bootstrap.py check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench:
	@$(PYTHON) tui/bootstrap.py test
	@$(BIN)/python -m tests.benchmarks --group $(GROUP)

soak:
	@$(PYTHON) tui/bootstrap.py test
	@$(BIN)/python -m tests.benchmarks --group loop --full

clean:
	rm -rf .venv .tools .mypy_cache .ruff_cache .import_linter_cache
