# Yujing 舆警. `make demo` and `make test` set up everything they need; the second run is quick.
# Needs: Python >= 3.11 with venv (Debian: python3-venv), git, make. Override with `make PYTHON=python3.12 …`.

PYTHON ?= python3
# TORCH=cpu resolves PyTorch's CPU build (about 200 MB instead of 5 GB) from PyTorch's own index.
TORCH ?= default
UV_VERSION := 0.13.9

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(TORCH)
UV := $(BIN)/uv

.PHONY: demo test up lint bench lock clean setup engines compose-env

# ENGINES=1: on Elasticsearch, Redis and PostgreSQL, started for it on this machine.
demo: setup $(if $(ENGINES),engines)
	@$(if $(ENGINES),$(BIN)/python -m deploy.engines) $(BIN)/yujing demo $(if $(ENGINES),--engines)

# The engines are installed where that can be done without asking; the tests of those that are missing are skipped.
engines:
	@deploy/engines/install.sh

test: setup lint engines
	@$(BIN)/pytest -n 2 --dist loadfile

up: setup
	@$(BIN)/yujing up

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

# Settings, random passwords and a configuration to edit for docker-compose.yml; keeps what is there.
compose-env:
	@deploy/compose/env.sh

bench: setup
	@$(BIN)/python -m bench

setup: $(READY)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "venv is missing; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(READY): $(UV) requirements.lock setup.cfg pyproject.toml
	@echo "setting up .venv (PyTorch's default Linux build is 5 GB; see README for the CPU build)"
ifeq ($(TORCH),default)
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
else
	@grep -v '^ *--hash' requirements.lock | sed 's/ *\\$$//' | grep -viE '^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==' > $(VENV)/constraints.txt
	@$(UV) pip install --quiet --python $(BIN)/python --torch-backend $(TORCH) --constraint $(VENV)/constraints.txt --requirement setup.cfg --extra dev
endif
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

lock: $(UV)
	@$(UV) pip compile setup.cfg --extra dev --universal --generate-hashes --python-version 3.11 --quiet --custom-compile-command "make lock" --output-file requirements.lock

clean:
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
