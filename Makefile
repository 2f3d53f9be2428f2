# `make demo` and `make test` set up what they need; see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.PHONY: setup demo demo-check test test-sqlite test-postgresql lint bench bench-health bench-operations bench-pages bench-storage screenshots bulk storm crash-points requirements clean simulate town-days soak

setup: $(STAMP)

$(STAMP): requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

demo: setup
	$(BIN)/python manage.py demo

demo-check: setup
	$(BIN)/python manage.py demo --check

# ARGS goes to pytest.
test: setup
	bash tests/run.sh $(ARGS)

test-sqlite: setup
	GASTOWN_TEST_DATABASES=sqlite bash tests/run.sh

test-postgresql: setup
	GASTOWN_TEST_DATABASES=postgresql bash tests/run.sh

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m bench

# The pictures in docs/, of a fleet that is made up; needs Chromium.
screenshots: setup
	$(BIN)/python -m tests.browser.screenshots

# Health sweeps of up to a hundred thousand towns by a worker cluster, against bare loops, HAProxy
# and Prometheus; writes docs/bench-sweep.md. Half an hour, and it needs a quiet machine.
bench-health: setup
	$(BIN)/python -m bench.health --write

# Ten thousand starts at once, driven as they are where it is deployed.
bench-operations: setup
	$(BIN)/python -m bench.operations

# What the pages of a hundred thousand towns cost, on PostgreSQL.
bench-pages: setup
	$(BIN)/python -m bench.pages

# What a sweep's writes cost PostgreSQL: on a server of this machine that has nothing else to do.
bench-storage: setup
	$(BIN)/python -m bench.storage
	$(BIN)/python -m bench.storage_checks

# Kills workers at every point of every flow; `make test` draws a slice of the points.
crash-points: setup
	GASTOWN_TEST_DATABASES=postgresql GASTOWN_CRASH_SHARE=1 bash tests/run.sh tests/e2e/test_crash_*.py

# Stops 200 real towns in bulk, in a browser.
bulk: setup
	GASTOWN_TEST_DATABASES=postgresql GASTOWN_BULK_TOWNS=200 bash tests/run.sh tests/e2e/test_journeys.py -k bulk

storm: setup
	$(BIN)/python -m tests.e2e.storm

# Lives through fresh seeds in a simulated world: few towns with much trouble. BUSY: events per town and hour.
SEEDS ?= 200
TOWNS ?= 8
HOURS ?= 2
BUSY ?= 4
simulate: setup
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --towns $(TOWNS) --hours $(HOURS) --busy $(BUSY)

# 10,000 town-days in fleets that live more calmly.
town-days: setup
	$(BIN)/python -m tests.simulation --seeds 500 --towns 100 --hours 4.8 --busy 0.15 --keep-going

# The same for hours: SECONDS_LONG=36000.
SECONDS_LONG ?= 3600
soak: setup
	$(BIN)/python -m tests.simulation --seeds 1000000 --towns $(TOWNS) --hours $(HOURS) --busy $(BUSY) --seconds $(SECONDS_LONG)

# Pin anew what requirements.in and requirements-dev.in ask for.
requirements: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements-dev.in -o requirements-dev.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis var
