# Every command sets up what it needs; Python >= 3.11 with venv, git and make are all that must be there.
PYTHON ?= python3
PORT ?= 4566
PART ?=
TENANTS ?= 100
REQUESTS ?= 1000
CONCURRENCY ?= 10
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run up mail down check test coverage browser soak load openapi lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: ## make the environments (done by every other command)
	@$(PYTHON) scripts/setup.py

run: setup ## start, deploy, seed, tour; stays until Ctrl-C (PORT=4566)
	@$(BIN)/python scripts/stack.py run --port $(PORT)

up: setup ## the same stack in the background, without the tour
	@$(BIN)/python scripts/stack.py up --port $(PORT)

mail: setup ## print the newest mail that the running stack was given
	@$(BIN)/python scripts/mail.py

down: ## stop what `make up` started
	@$(BIN)/python scripts/stack.py down --port $(PORT)

check: setup ## ruff, mypy, cfn-lint, sam validate
	@$(BIN)/python scripts/check.py

test: check ## check, then every test, end to end on a stack of its own
	@$(BIN)/python -m pytest -n auto --maxprocesses=4 tests

coverage: setup ## every test, and the lines and branches that they reach
	-@$(BIN)/python -m pytest -n auto --maxprocesses=4 --cov=layers/core --cov=functions --cov-branch --cov-report= tests
	@$(BIN)/python scripts/covered.py

browser: setup ## the example pages in a real browser (installs Debian's chromium where it may)
	@$(PYTHON) scripts/setup.py .tools/browser
	@$(PYTHON) scripts/browser.py

soak: setup ## the full-size figures: PART=chaos, or all
	@$(BIN)/python -m pytest -m soak -s tests $(if $(PART),-k $(PART),)

load: setup ## many tenants at once against the running stack (TENANTS=100 REQUESTS=1000 CONCURRENCY=10)
	@$(BIN)/python scripts/load --tenants $(TENANTS) --requests $(REQUESTS) --concurrency $(CONCURRENCY) --port $(PORT)

openapi: setup ## write the OpenAPI documents from the routes and entities
	@$(BIN)/python scripts/openapi.py

lock: setup ## resolve the requirements anew, with hashes
	@$(BIN)/python scripts/lock.py

clean: down ## remove everything that was made here
	rm -rf .venv .tools .local .aws-sam
