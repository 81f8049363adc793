# Every target sets up what it needs by itself (scripts/setup says what it installs before it does).
PYTEST = .venv/bin/python -m pytest

.PHONY: help demo test fuzz check bench bench-api bench-autoscale bench-sampling bench-step bench-wake docs wheel clean

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## A sample app with a database, two replicas, behind Traefik, on this machine
	@scripts/setup
	@scripts/demo

test: ## Every test, real Docker, Traefik and PostgreSQL included
	@scripts/setup --test
	@scripts/test $(ARGS)

fuzz: ## Property tests with other examples each time, ROUNDS times (default 10)
	@scripts/setup --test
	@for round in $$(seq $(or $(ROUNDS),10)); do \
	  scripts/test -q -n 2 --hypothesis-profile=fuzz -m "not docker" $$(grep -rl 'from hypothesis' tests/unit) || exit 1; done

check: ## Formatting, lint, types, import layers
	@scripts/setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: ## The numbers, as ratios against a baseline taken in the same run
	@scripts/setup --bench
	.venv/bin/python -m benchmarks $(ARGS)

bench-api: ## 200 reads a second of a server with 100 apps; needs no Engine
	@scripts/setup
	.venv/bin/python -m benchmarks.api

bench-autoscale: ## Autoscaling rules against those of hosted platforms, simulated; needs no Engine
	@scripts/setup
	.venv/bin/python -m benchmarks.autoscale

bench-sampling: ## What measuring 100 replicas costs, in percent of one core; ARGS=N for as many others
	@scripts/setup --bench
	.venv/bin/python -m benchmarks.sampling $(ARGS)

bench-step: ## A real step in the load, followed by replicas: seconds, failed requests; PARTS="step check noise"
	@scripts/setup --bench
	.venv/bin/python -m benchmarks.step $(PARTS)

bench-wake: ## The first request to a sleeping app, against the start of the same container by hand; ARGS=ROUNDS
	@scripts/setup --bench
	.venv/bin/python -m benchmarks.wake $(ARGS)

docs: ## Generated reference pages: commands, settings, exit codes
	@scripts/setup
	.venv/bin/python -m paas.cli.reference

wheel: ## sdist, and the wheel made from it, in dist/
	@scripts/setup
	.venv/bin/uv build -q --out-dir dist .
	@ls -1 dist

clean: ## What was made here; neither the Engine nor the platform's state
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache artifacts
