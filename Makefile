# Two commands do everything: `make demo` and `make test`. Both make their own virtual environment from the lock files.
# Needs only Python 3.11 or newer with venv (on Debian: python3-venv), and a C library: no root, no container.

PYTHON ?= $(shell for p in python3.11 python3; do command -v $$p >/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# One thread of linear algebra each, as commands and workers have.
export OPENBLAS_NUM_THREADS = 1
.DEFAULT_GOAL := help
.PHONY: help setup dev demo clean-demo test lint types layers unit system browser bench bench-schedule bench-replan bench-forecast bench-forecast-robust bench-forecast-cost bench-runs bench-kills lock reference clean

help: ## what there is to do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.installed: requirements.lock pyproject.toml tools/bootstrap.py tools/compile.py $(shell find src -name '*.c')
	@$(PYTHON) tools/bootstrap.py $(VENV) requirements.lock
$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@$(PYTHON) tools/bootstrap.py $(VENV) requirements-dev.lock --stamp .installed-dev

setup: $(VENV)/.installed ## the virtual environment, from the lock file
dev: $(VENV)/.installed-dev ## the same with what tests and checks need

demo: setup ## two simulated utilities on real demand: prints the address and sign-ins
	@exec $(BIN)/levada demo run
clean-demo: setup ## forget the demo's data
	@$(BIN)/levada demo clean

lint: dev
	@$(BIN)/ruff check --no-cache src tests benchmarks tools
types: dev
	@$(BIN)/mypy
layers: dev
	@$(BIN)/lint-imports
unit: dev ## tests that need no running processes
	@$(BIN)/pytest -m "not system"
system: dev ## tests that drive the real processes from outside
	@$(BIN)/pytest -m system
browser: ## Chromium for the page tests, where it is missing and may be installed
	@tools/ensure_chromium.sh
test: dev browser lint types layers ## everything that must hold
	@$(BIN)/pytest

bench-schedule: dev ## schedules and bounds beside published ones, with plots in build/plots
	@$(BIN)/python -m benchmarks.schedule --plots build/plots
bench-replan: dev ## planning anew through a day from the plan before, beside planning from nothing
	@$(BIN)/python -m benchmarks.replan
bench-forecast: dev ## demand forecasts beside every competitor's and last week's, with and without weather
	@$(BIN)/python -m benchmarks.forecast
bench-forecast-robust: dev ## what gaps, frozen sensors, shifts, bursts and short histories do to them
	@$(BIN)/python -m benchmarks.forecast_robust
bench-forecast-cost: dev ## what its errors cost a plant at day-ahead prices
	@$(BIN)/python -m benchmarks.forecast_cost
bench-runs: dev ## the queue beside Celery and Redis, takeover, cold start, a 100-day backtest, 200 utilities
	@$(BIN)/python -m benchmarks.runs
bench-kills: dev ## 500 times kill -9 under load: is every due run done exactly once?
	@$(BIN)/python -m benchmarks.kills
bench: dev ## what we claim, beside peers and published results
	@$(BIN)/python -m benchmarks
reference: dev ## write docs/reference from the code
	@$(BIN)/python tools/reference.py
lock: dev ## resolve the lock files anew
	@$(BIN)/python tools/lock.py
clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
