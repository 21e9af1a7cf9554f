# Each target does all its own set-up: it needs Python 3.11 or newer and make, nothing else.
# Another Python than the first suitable one: make run PYTHON=/path/to/python3

VENV := .venv
BIN := $(VENV)/bin
# Kept apart from VENV/bin/python: that one is a symbolic link with the interpreter's own date.
RUN := $(VENV)/run.installed
DEV := $(VENV)/dev.installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PYTHONS := python3 python3.13 python3.12 python3.11 python3.14 python

.PHONY: help run test lint bench torture plant clean

help:
	@echo "make run    start Magpie; without any key it answers with a built-in simulator"
	@echo "make test   run the tests; those of the page need a Chromium"
	@echo "make lint   check format, style and types"
	@echo "make bench  measure speed and size beside a bare bot"
	@echo "make torture MINUTES=90 SEED=1  kill it, cut it, fuzz it: the campaigns behind docs/reliability.md"
	@echo "make plant  plant known bugs one at a time: which test finds which"
	@echo "make clean  remove what the others have installed"

# exec: signals reach the bot itself, and its exit code is the one that make sees.
run: $(RUN)
	@exec $(BIN)/python -m bot

# Four at a time: most of what tests do is to wait for another process. With ARGS (a file, -k a name) in one.
test: $(DEV)
	@$(BIN)/python -m pytest $(or $(ARGS),-n 4 --dist worksteal)

lint: $(DEV)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

bench: $(DEV)
	@$(BIN)/python -m bench $(ARGS)

MINUTES ?= 10
torture: $(DEV)
	@$(BIN)/python -m tests.torture --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

plant: $(DEV)
	@$(BIN)/python -m tests.planted $(ARGS)

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find bot storage tests bench -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@for python in $(or $(PYTHON),$(PYTHONS)); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Magpie needs Python 3.11 or newer; none of these is: $(or $(PYTHON),$(PYTHONS))." >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$found cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; \
	fi; \
	echo "Setting up in $(VENV) (once, a minute or two)…"; \
	"$$found" -m venv --clear $(VENV)

# pip compiles what it installs; compileall does the same for the project, which stays where it is (-e).
$(RUN): requirements/run.txt pyproject.toml $(BIN)/python
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q bot storage
	@touch $@

$(DEV): requirements/dev.txt $(RUN)
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
