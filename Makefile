# Only make and a Python >= 3.12 are needed: every target first sets up what it uses. `make help` lists them.
BIN := $(CURDIR)/.venv/bin
SEED ?= dev-release
PROMOTE := ansible-playbook playbooks/promote_sit.yml -i inventories/sit
export PATH := $(BIN):$(PATH)
# Ansible ignores an ansible.cfg found in a folder that others may write to; one named here it reads.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_HOME := $(CURDIR)/.ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.ansible/collections

help: ## List the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1|/p' Makefile | tr -s '$$' | while IFS='|' read -r name text; do printf '  %-18s %s\n' "$$name" "$$text"; done

setup: ## Make .venv from requirements.lock; at once when nothing changed
	@scripts/setup.sh

demo: setup ## Promote to SIT on a local AWS and leave it running; run it again and nothing changes
	@scripts/demo.sh $(PROMOTE) -e promotion_soak_seconds=3 $(ARGS)

demo-bad-release: setup ## Show a refused release and one that is rolled back, and check both
	@$(BIN)/python -m scripts.demo_bad_release $(ARGS)

demo-gates: setup ## Show the gates to SIT closed, open and not known, and an approval missing, given and of another plan, and check it
	@$(BIN)/python -m scripts.demo_gates $(ARGS)

demo-dr: setup ## Show global database, switchover, failover with a dead primary region and failback, and check each
	@$(BIN)/python -m scripts.demo_dr $(ARGS)

demo-tenant: setup ## A tenant's life with a real MariaDB: onboard, repair, rotate, bad image, isolation, offboard; and check each
	@sh scripts/mariadb.sh
	@$(BIN)/python -m scripts.demo_tenant $(ARGS)

demo-edge: setup ## Promote the portal, open it in Chromium through a local edge, take a bad release back, and check each
	@$(BIN)/python -m scripts.demo_edge $(ARGS)

browser: ## Install Chromium and its driver (Debian's packages), which demo-edge and a test use
	@sh scripts/browser.sh

local-aws: setup ## Start a local AWS; use it as eval "$$(make -s local-aws)"; SEED=name for another scenario
	@$(BIN)/python -m local_aws start --seed $(SEED)

local-aws-stop: setup ## Stop the local AWS and forget its state
	@$(BIN)/python -m local_aws stop

test: setup ## Run every check, cheapest first
	@scripts/test.sh

lint: setup ## Style of Python, YAML, shell, roles and changelog; what must not be in a committed file
	@scripts/test.sh lint

docs: setup ## Bring docs/traceability.md up to date and check the documentation of plugins and roles
	@$(BIN)/python scripts/traceability.py
	@scripts/test.sh docs

sanity: setup ## ansible-test sanity, every test, no ignore file
	@scripts/test.sh sanity

unit: setup ## Tests of single parts and of the local AWS
	@scripts/test.sh unit

fault: setup ## Tests under injected faults, a quick selection
	@scripts/test.sh fault

faults: setup ## Tests under injected faults, the full matrices
	@$(BIN)/pytest -q tests/fault --full-matrix $(ARGS)

ministack: setup ## The modules of database, edge and site on ministack, an emulator that nobody here wrote; fetched from PyPI once
	@$(BIN)/python -m scripts.ministack $(ARGS)

e2e: setup ## The production commands as a user and as AWX run them
	@scripts/test.sh e2e

molecule: setup ## Every role's Molecule scenario; SCENARIO=name for one of them
	@$(if $(SCENARIO),$(BIN)/molecule test --no-command-borders --scenario-name $(SCENARIO),scripts/test.sh molecule)

bench: setup ## Measure what docs/benchmarks.md reports
	@$(BIN)/python -m bench $(ARGS)

lock: setup ## Pin requirements.in anew in requirements.lock; ARGS=--upgrade for newer versions
	@scripts/lock.sh $(ARGS)

clean: ## Stop the local AWS and remove all that make has made
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local_aws stop || true; fi
	rm -rf .venv .ansible .local-aws .pytest_cache .ruff_cache .hypothesis build

.PHONY: help setup demo demo-bad-release demo-gates demo-dr demo-tenant demo-edge browser local-aws local-aws-stop test lint docs sanity unit fault faults ministack e2e molecule bench lock clean
