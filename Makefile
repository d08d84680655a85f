# Works with plain pip; uses uv where it is installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
ifneq ($(UV),)
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

# Hundreds of processes start in the tests, and code that is kept compiled halves what each start takes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: up test chaos differential lint format fuzz bench lock clean

up: $(VENV)/.installed
	@$(BIN)/onshore up $(ARGS)

# First the many, a file at a time in each of several processes; then those that hold something to a time, alone.
# 5 is pytest's word for no test chosen: TESTS may hold only one of the two kinds.
WORKERS ?= 2
test: $(VENV)/.installed-dev lint
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'not chaos and not alone' $(TESTS) || [ $$? -eq 5 ] || bad=1; \
	$(BIN)/pytest -m 'alone and not chaos' $(TESTS) || [ $$? -eq 5 ] || bad=1; \
	exit $${bad:-0}

# Breaks every part on purpose, for up to half an hour, and writes docs/chaos.md; CHAOS_SEED=... draws the same again.
chaos: $(VENV)/.installed-dev
	$(BIN)/python tests/support/chaos_lanes.py $(TESTS)

# Every shipped control and generated conditions on many random events and facts of windows, in both engines.
DIFFERENTIAL_ROWS ?= 100000
differential: $(VENV)/.installed-dev
	ONSHORE_DIFFERENTIAL_ROWS=$(DIFFERENTIAL_ROWS) $(BIN)/pytest --durations=5 \
		tests/pipeline/controls/test_properties.py tests/pipeline/controls/test_windowed_sql.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Coverage-guided fuzzing of the wire decoders; what it finds stays in tests/fuzz/found and is replayed by `make test`.
SECONDS_OF_FUZZING ?= 60
fuzz: $(VENV)/.installed-dev
	$(BIN)/python tests/fuzz/fuzz_wire.py --seconds $(SECONDS_OF_FUZZING) --corpus .fuzz-corpus

bench: $(VENV)/.installed-dev
	$(BIN)/python tests/benchmarks/performance.py $(ARGS)

# The versions that the tests ran with, with their digests; `make up` and `make test` install exactly these.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-emit-index-url --generate-hashes \
	--extra collectors --extra pipeline --extra dashboard --extra embedded
lock: $(VENV)/.installed-dev
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) --extra dev pyproject.toml --output-file requirements-dev.lock

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml requirements.lock
	$(INSTALL) --require-hashes --no-deps --requirement requirements.lock
	$(INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml requirements-dev.lock
	$(INSTALL) --require-hashes --no-deps --requirement requirements-dev.lock
	$(INSTALL) --no-deps --editable .
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
