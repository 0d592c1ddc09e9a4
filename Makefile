# Every target sets up what it needs, once, in .venv, and the benchmarks theirs in .venv-bench; only Python >= 3.11 and
# make are required.

PYTHON  ?= python3
VENV    ?= .venv
PEERS   ?= .venv-bench
WORKERS ?= 3
TESTS   ?= tests

BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
FILES  := $(VENV)/.files
PYTEST := $(BIN)/pytest -q -n $(WORKERS)

# What is the same whatever server the tests run on: once is enough.
ONCE := tests/benchmarks tests/embedded tests/wire/test_tls.py tests/house/test_fixtures.py tests/house/test_house.py tests/house/test_imports.py
BENCH  := $(PEERS)/.ready

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test test-valkey test-redis test-topologies soak check lint types house wheel format bench clean FORCE

help:
	@echo "make demo     set up, and run the demonstration"
	@echo "make test     set up, and run the tests on the embedded Valkey, then on redis-server where it is installed"
	@echo "make test-topologies  the tests of the guarantees: on redis-server, a Cluster of either, behind sentinels, over TLS"
	@echo "make soak     everything, everywhere, and for long: takes an hour or more"
	@echo "make check    lint, format, types, house rules, the built wheel"
	@echo "make format   let ruff put format and imports in order"
	@echo "make bench    set up what the benchmarks compare with, and run them all (BENCH_OPTIONS=--quick: to see that they run)"
	@echo "make clean    remove everything that make and the tests made"

setup: $(READY)

demo: $(READY)
	@$(BIN)/sessionstream demo

test: test-valkey test-redis

test-valkey: $(READY)
	@echo "tests on the embedded Valkey"
	@SESSIONSTREAM_TEST_SERVER=valkey $(PYTEST) $(TESTS)

test-redis: $(READY)
	@if command -v redis-server >/dev/null; then \
	    echo "tests on $$(redis-server --version | cut -d' ' -f1-3)"; \
	    SESSIONSTREAM_TEST_SERVER=redis $(PYTEST) $(TESTS) $(ONCE:%=--ignore=%); \
	else \
	    echo "redis-server is not installed, so the tests did not run on it: apt-get install redis-server"; \
	fi

# Runs tests on a program and a topology: $(call on,redis,cluster,arguments of pytest). TLS is always redis-server's.
on = if [ $(1) = valkey ] || command -v redis-server >/dev/null; then \
	    echo "tests on $(1), topology: $(2)"; \
	    SESSIONSTREAM_TEST_SERVER=$(1) SESSIONSTREAM_TEST_TOPOLOGY=$(2) $(PYTEST) $(3); \
	else \
	    echo "redis-server is not installed, so the tests did not run on it ($(2)): apt-get install redis-server"; \
	fi

# Only the files that hold a marked test are collected: the others would take longer than these run.
GUARANTEES = -m guarantee $$(grep -rlF pytest.mark.guarantee tests)

test-topologies: $(READY)
	@$(call on,redis,single,$(GUARANTEES))
	@$(call on,valkey,cluster,$(GUARANTEES))
	@$(call on,redis,cluster,$(GUARANTEES))
	@$(call on,valkey,sentinel,$(GUARANTEES))
	@$(call on,redis,tls,$(GUARANTEES))

# All tests on all topologies; then, a line each, what runs for long: seconds may be given, make soak SOAK_SECONDS=60.
SOAK_SECONDS ?= 600

soak: test
	@$(call on,valkey,cluster,$(TESTS) $(ONCE:%=--ignore=%))
	@$(call on,redis,cluster,$(TESTS) $(ONCE:%=--ignore=%))
	@$(call on,valkey,sentinel,$(TESTS) $(ONCE:%=--ignore=%))
	@$(call on,redis,sentinel,$(TESTS) $(ONCE:%=--ignore=%))
	@$(call on,redis,tls,$(TESTS) $(ONCE:%=--ignore=%))
	@$(BIN)/python -m tests.fault --seconds $(SOAK_SECONDS) --topology single --level fsync
	@$(BIN)/python -m tests.fault --seconds $(SOAK_SECONDS) --topology sentinel --level process
	@$(BIN)/python -m tests.fault --seconds $(SOAK_SECONDS) --topology cluster --level process
	@$(BIN)/python -m tests.soak --seconds $(SOAK_SECONDS)
	@SESSIONSTREAM_TEST_SERVER=valkey $(BIN)/python -m tests.durability
	@SESSIONSTREAM_TEST_SERVER=redis $(BIN)/python -m tests.durability
	@SESSIONSTREAM_TEST_LONG=1 $(PYTEST) --timeout 0 tests/model tests/fuzzing

check: lint types house wheel

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

house: $(READY)
	@$(BIN)/python .ci/house.py

wheel: $(READY)
	@$(BIN)/python .ci/wheel.py

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(BENCH)
	@$(PEERS)/bin/python -m benchmarks $(BENCH_OPTIONS)

clean:
	@rm -rf $(VENV) $(PEERS) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The strict editable install links every source file by name. So it is made again when the set of files changes,
# and not when their content does.
$(READY): pyproject.toml $(FILES)
	@echo "setting up $(VENV) (once; again only when dependencies or the set of source files change)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --editable '.[all,dev]' --config-settings editable_mode=strict
	@touch $@

# What the benchmarks compare with must not come near the tests: some of it brings plugins for pytest.
$(BENCH): pyproject.toml $(FILES)
	@echo "setting up $(PEERS) (once; again only when dependencies or the set of source files change)"
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -c 'import tomllib; \
	    groups = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]; \
	    print(*groups["peers"], sep="\n")' > $(PEERS)/requirements.txt
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --requirement $(PEERS)/requirements.txt --editable '.[all]' --config-settings editable_mode=strict
	@touch $@

$(FILES): $(BIN)/python FORCE
	@find src/sessionstream projections -type f ! -name '*.py[co]' 2>/dev/null | LC_ALL=C sort > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or later is needed; choose one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

FORCE:
