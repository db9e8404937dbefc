# `make` lists the targets. Everything is installed into this folder, but for the system packages.

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
UV := .venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-faults check format install lock clean bench packages-run packages-test packages-bench \
	vendor up down logs key ps images test-stack fuzz audit

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

run: packages-run .venv/.run ## install what is missing and run the whole stack (PORT, DATA_DIR, ...)
	@$(BIN)/python -m dev.run

test: packages-test .venv/.test .venv-swift/.test ## install what is missing and run every test on real servers
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --durations=10 $(ARGS)

test-faults: packages-test .venv/.test .venv-swift/.test ## break every part of a stack under load (ROUNDS, ONLY, TASKS, REPORT=1)
	@FAULT_TESTS=1 ROUNDS="$(ROUNDS)" ONLY="$(ONLY)" TASKS="$(TASKS)" REPORT="$(REPORT)" \
		$(BIN)/python -m pytest $(or $(ARGS),tests/faults)

fuzz: packages-test .venv/.test ## attack the parsers, the engines and the API for longer, with other bytes each time (FUZZ=50)
	@FUZZ=$${FUZZ:-50} $(BIN)/python -m pytest tests/attack $(ARGS)

audit: .venv/.test .venv-lock/.audit ## look for known holes in what is installed (needs the network)
	@$(BIN)/python -m dev.audit .venv-lock/bin

bench: packages-bench .venv/.test .venv-thumbor/.bench .venv-chart/.bench bench/rivals/node_modules/.bench ## measure it beside its limits (ARGS: parts, --photos FOLDER, --rounds N)
	@$(BIN)/python -m bench $(ARGS)

check: .venv/.test ## format, lint, types, the table of imports and the count of decodes
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet tests/unit/test_layering.py tests/unit/test_decodes.py -k "layering or vips"

format: .venv/.test ## put the code into its format and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

install: packages-test .venv/.test .venv-swift/.test ## install system packages and virtual environments, run nothing

lock: .venv-lock/.uv ## choose versions anew, within the bounds of pyproject.toml and tests/swift.in
	@$(UV) --upgrade --extra local pyproject.toml -o requirements.lock
	@$(UV) --upgrade --extra local --extra dev --constraint requirements.lock pyproject.toml -o requirements-dev.lock
	@$(UV) --upgrade tests/swift.in -o tests/swift.lock
	@$(UV) --upgrade bench/rivals/thumbor.in -o bench/rivals/thumbor.lock
	@$(UV) --upgrade bench/chart.in -o bench/chart.lock

vendor: ## copy the libraries of the console from npm anew (dev/console/package.json pins them)
	@$(PYTHON) -m dev.vendor_console

clean: ## remove what was installed or built here; data (var/) stays
	@rm -rf .venv .venv-swift .venv-lock .venv-thumbor .venv-chart bench/rivals/node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

up: ## the container stack: build it, start it, wait until all of it is healthy (PORT, .env.example)
	@docker compose up --detach --build --wait

down: ## stop the container stack; its volumes stay (docker compose down -v removes them too)
	@docker compose down

logs: ## what the container stack writes, and goes on writing
	@docker compose logs --follow --tail 100

key: ## print the API key of the container stack
	@docker compose exec -T api cat /secrets/api/key

ps: ## the containers and their health
	@docker compose ps --all

images: ## build the images of the container stack
	@dev/docker-engine docker compose build

test-stack: packages-test .venv/.test ## test the container stack; starts a Docker engine if none answers
	@COMPOSE_TESTS=1 dev/docker-engine $(BIN)/python -m pytest tests/stack/compose --durations=10 $(ARGS)

packages-run:
	@dev/install-packages run

packages-test:
	@dev/install-packages test

packages-bench:
	@dev/install-packages bench

# One environment serves both: the test lock holds the run lock's versions and more, so that a
# test run leaves nothing for the next start to install, and the other way round.
.venv/.run: requirements.lock pyproject.toml
	@dev/install-venv .venv requirements.lock project
	@touch $@

.venv/.test: requirements.lock requirements-dev.lock pyproject.toml
	@dev/install-venv .venv requirements-dev.lock project
	@touch .venv/.run $@

# Swift, the S3 server of the tests, shares no environment with us: its eventlet patches Python.
.venv-swift/.test: tests/swift.lock
	@dev/install-venv .venv-swift tests/swift.lock
	@touch $@

# The rivals of the benchmarks, each with its own.
.venv-thumbor/.bench: bench/rivals/thumbor.lock
	@dev/install-venv .venv-thumbor bench/rivals/thumbor.lock
	@touch $@

.venv-chart/.bench: bench/chart.lock
	@dev/install-venv .venv-chart bench/chart.lock
	@touch $@

bench/rivals/node_modules/.bench: bench/rivals/package-lock.json
	@cd bench/rivals && npm ci --silent --no-audit --no-fund
	@touch $@

.venv-lock/.uv:
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -m pip install --quiet uv
	@touch $@

.venv-lock/.audit: .venv-lock/.uv
	@.venv-lock/bin/python -m pip install --quiet 'pip-audit>=2.10,<3'
	@touch $@
