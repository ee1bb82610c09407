# Needs make and Python 3.11 or newer; everything else is fetched into this folder.
#   make PYTHON=/path/to/python ...   picks the interpreter (remembered until `make clean`)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo check check-1 check-2 test coverage mutations test-lowest test-sqlalchemy lint format layers types docs bench build release hatch clean

# Hatch keeps everything inside the checkout.
export HATCH_DATA_DIR := $(CURDIR)/.hatch/data
export HATCH_CACHE_DIR := $(CURDIR)/.hatch/cache
export HATCH_CONFIG := $(CURDIR)/.hatch/config.toml
export HATCH_ENV_TYPE_VIRTUAL_UV_PATH := $(CURDIR)/.venv/bin/uv
HATCH := .venv/bin/hatch

# uv trusts its own list of authorities; this machine's may know a proxy's as well.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS ?= 1
endif

ifdef IMPL
export AIOMYSQL_IMPL := $(IMPL)
endif

# The tests start hundreds of interpreters, each of which would compile all it imports again where the
# environment forbids to keep that.
unexport PYTHONDONTWRITEBYTECODE

# The stamps carry the folder's name: the environments of a copied or moved checkout still point at the
# old one's sources.
here := $(shell pwd | cksum | cut -d ' ' -f 1)
tools := .venv/ready-$(here)
workspace := .hatch/ready-$(here)
compiled := packages/aiomysql-protocol packages/aiomysql-core packages/aiomysql-pool

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-16s %s\n", $$1, $$2}'

demo: $(workspace) ## Run the programs of all READMEs on a throw-away MariaDB
	@$(HATCH) run demo

check: $(workspace) ## Check style, layers, types and what can be tested quickly, in three minutes [SERVER=...]
	@$(MAKE) --no-print-directory lint layers types
	@rm -rf $(taken) && mkdir $(taken)
	@$(MAKE) --no-print-directory -j2 check-1 check-2
	@echo 'Left out: the tests marked slow, the other servers, uvloop, the Python implementation beside C.'

quick := SERVER=$(or $(SERVER),mariadb118) $(HATCH) run test -q --loop asyncio -m 'not slow and not sa_versions'

# Two at a time, because each waits for its server half of the time: they share one list of tests.
taken := .hatch/check
check-1 check-2: $(workspace)
	@$(quick) --lane=$(taken) tests

test: $(workspace) ## Run the tests [SERVER=mariadb1011,...] [IMPL=c|python] [ARGS='-k name -x']
	@$(HATCH) run test $(ARGS)

test-sqlalchemy: $(workspace) ## Run the tests of the SQLAlchemy layer on each series of SQLAlchemy [SERVER=...]
	@$(HATCH) run test -m sa_versions $(ARGS)

coverage: $(workspace) ## Measure what the tests cover, Python and C [ARGS=--quick: on one server]
	@$(HATCH) run coverage $(ARGS)

mutations: $(workspace) ## Check that the tests notice twenty faults [ARGS='--only WORD']
	@$(HATCH) run mutations $(ARGS)

test-lowest: $(workspace) ## Run the tests on the oldest supported dependencies
	@$(HATCH) -v run lowest:test $(ARGS)

lint: $(tools) ## Check style (ruff)
	@$(HATCH) run lint:check

format: $(tools) ## Mend style (ruff)
	@$(HATCH) run lint:fix

layers: $(tools) ## Check which module imports which (import-linter)
	@$(HATCH) run layers:check

types: $(workspace) ## Check types (mypy --strict, pyright), and the C modules against their stubs
	@echo '==> Checking types (the first run takes half a minute)'
	@$(HATCH) -v run types:check
	@$(HATCH) run types:pyright
	@$(if $(wildcard $(compiled:=/src/*/_speedups.*.so)),$(HATCH) run types:stubs)

docs: $(tools) ## Build the site of the documentation, and check its links
	@$(HATCH) -v run docs:build $(ARGS)

bench: $(workspace) ## Compare with other drivers, in 25 minutes [ARGS=--quick: in three]
	@$(HATCH) -v run bench:compare $(ARGS)

# `hatch build --all` would also build the root, which is for `pip install .` and is not released.
build: $(tools) ## Build all wheels and sdists into dist/
	@for package in packages/*; do .venv/bin/uv build --out-dir dist "$$package" || exit 1; done

# What belongs to a release is in docs/releasing.md.
release: $(tools) ## Commit and tag a release of one distribution, and build it [PACKAGE=aiomysql-core VERSION=1.1.0]
	@$(HATCH) run release:prepare $(PACKAGE) $(VERSION)
	@$(HATCH) run release:build $(PACKAGE)

hatch: $(workspace) ## Run hatch itself [ARGS='run python -m tests.servers list']
	@$(HATCH) $(ARGS)

clean: ## Remove the environments and everything built
	rm -rf .venv .hatch dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	rm -f $(foreach package,$(compiled),$(package)/src/*/*.so $(package)/src/*/*.pyd)

$(tools): .ci/bootstrap
	@.ci/bootstrap
	@mkdir -p .hatch && touch "$(HATCH_CONFIG)"
	@rm -f .hatch/ready-* && touch $@

# Made anew when a requirement, a version, or the C code changes: it takes seconds.
$(workspace): $(tools) hatch.toml $(wildcard packages/*/pyproject.toml packages/*/src/*/_version.py shared/*) \
		$(foreach package,$(compiled),$(wildcard $(package)/hatch_build*.py $(package)/src/*/c/*.[ch] $(package)/src/*/c/*/*.[ch]))
	@echo '==> Installing the workspace'
	@$(HATCH) env remove default >/dev/null 2>&1 || true
	@$(HATCH) -v env create default </dev/null || { \
		printf '\n*** %s\n    %s\n    %s\n' 'Could not install the workspace (see above).' \
		'Without network access: UV_FIND_LINKS=/folder UV_NO_INDEX=1, or UV_OFFLINE=1 once it is cached.' \
		'Behind a package mirror: set UV_DEFAULT_INDEX; uv does not read the configuration of pip.' >&2; exit 1; }
	@env -u AIOMYSQL_IMPL $(HATCH) run versions
	@touch $@
