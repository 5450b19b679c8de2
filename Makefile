SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: bench-transfer-smoke help setup demo test lint format robots robots-table model-table interop interop-policy constraints clean

help: ## list the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: ## make .venv and install everything (instant when done)
	@scripts/setup.sh

demo: setup ## the whole path on video rendered on the spot; ends with a report
	@$(BIN)/vidpretrain demo $(wildcard configs/demo.yaml)

test: lint ## formatting, lint, types, then every test
	@$(BIN)/pytest

lint: setup ## ruff and pyright
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

format: setup ## let ruff put the files in order
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

robots: setup ## install the packages with further robots and hands inside (0.8 GB)
	@scripts/robots.sh

model-table: setup ## count the sizes of the policy's presets: the table in docs/model.md
	@$(BIN)/python scripts/model_table.py

robots-table: setup ## every robot on every motion: docs/robots.md, made from where it was stopped
	@$(BIN)/python scripts/bench/robots.py --docs docs/robots.md

interop: setup ## open a written data set in lerobot, in an environment of its own
	@scripts/interop.sh

interop-policy: setup ## export a policy and let lerobot-eval run it, through the plugin in plugins/
	@scripts/lerobot_policy.sh

bench-env-retarget: setup ## install the peers of bench-retarget in an environment of their own, .venv-bench
	@scripts/bench/retarget_env.sh

bench-retarget: bench-env-retarget

bench-transfer-smoke: setup ## the few-demo benchmark with everything small: does it run through (minutes)
	@$(BIN)/python scripts/bench/transfer.py --smoke --out runs/bench/transfer_smoke

bench-env-policy: setup ## install the client of bench-policy in an environment of its own, .venv-openpi
	@scripts/bench/policy_env.sh

bench-policy: bench-env-policy

bench-%: setup ## run scripts/bench/NAME.py, for example make bench-retarget
	@$(BIN)/python scripts/bench/$*.py

constraints: ## write constraints.txt from what .venv holds now
	@scripts/constraints.sh

clean: ## remove runs, caches and environments
	@rm -rf .venv .venv-bench .venv-interop .venv-openpi runs build dist *.egg-info .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
