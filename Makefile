# The front door. Every target sets up what it needs, from nothing, and does so quickly the second time.
SHELL := /bin/bash
PYTHON ?= $(shell command -v /usr/bin/python3 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

# What the tests and the demo call, beside Python; gcc builds the extension, the responder and the floor.
TOOLS := zmap nftables iproute2 ethtool procps gcc libc6-dev python3-venv python3-dev
# What only tests call: captures, terminals, the other firewall, a debugger, and who reads the man page and the
# completions.
TEST_TOOLS := tcpdump tmux iptables groff-base zsh gdb

.PHONY: help demo test test-live check bench fuzz corpus venv tools test-tools clean

help:
	@echo 'make demo       an embedded Internet, zmap and lzr over it, the findings beside the truth (root)'
	@echo 'make test       all tests but the slow live ones (root)'
	@echo 'make test-live  a hundred real programs, each named by its answer (root)'
	@echo 'make check      ruff, ruff format, mypy --strict'
	@echo 'make bench      everything that is asked of the speed, as ratios (root; ARGS=--quick)'
	@echo 'make fuzz       mutated segments and inputs, as long as FUZZ_SECONDS (600) says'
	@echo 'make corpus     recall and precision per label; CORPUS=directory of labelled replies'
	@echo 'make venv       only the virtual environment, with the versions of constraints.txt'

tools:
	@tests/lab/apt-install $(TOOLS)

test-tools:
	@tests/lab/apt-install $(TEST_TOOLS)

# The stamp is newer than whatever decides what is installed.
$(VENV)/.installed: pyproject.toml constraints.txt $(wildcard setup.py lzr/*.[ch] lzr/native/*.[ch])
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--config-settings editable_mode=compat -e '.[dev]'
	@touch $@

venv: tools
	@$(MAKE) --no-print-directory $(VENV)/.installed

demo: venv
	$(BIN)/python -m demo

test: venv test-tools
	$(PYTEST) -m 'not live' $(ARGS)

test-live: venv test-tools
	$(PYTEST) -m live $(ARGS)

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: venv
	$(BIN)/python -m benchmarks $(ARGS)

FUZZ_SECONDS ?= 600
fuzz: venv test-tools
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTEST) tests/fuzz.py -q --timeout 0 $(ARGS)

CORPUS ?= ../shared/corpus
corpus: venv
	$(BIN)/python -m benchmarks.corpus $(CORPUS)

clean:
	rm -rf $(VENV) build dist *.egg-info benchmarks/build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '_native*.so' -delete
