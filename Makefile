# Santral's front door. `make help` lists what there is.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test check bench lock clean setup setup-dev

help: ## what you can do here
	@printf '\n  Santral: Slack as the support desk of a web shop\n\n'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'
	@printf '\n'

demo: $(VENV)/.installed ## set up, run everything against emulators, open http://127.0.0.1:8080/
	@$(BIN)/santral demo

test: $(VENV)/.installed-dev ## set up and run every test
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(VENV)/.installed-dev ## style, types, and imports that only go down
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(VENV)/.installed-dev ## measure the budgets and append to bench/RESULTS.md
	@$(BIN)/python -m bench

setup: $(VENV)/.installed ## make .venv with bin/santral in it
setup-dev: $(VENV)/.installed-dev

lock: $(VENV)/.installed-dev ## resolve dependencies anew into the two lock files
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --upgrade pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --upgrade pyproject.toml --group dev -o requirements-dev.lock

clean: ## remove .venv and what the demo wrote
	@rm -rf $(VENV) .cache var

$(VENV)/bin/python:
	@PYTHON="$(PYTHON)" sh app/setup.sh venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	@sh app/setup.sh install $(VENV) requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@sh app/setup.sh install $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.installed
