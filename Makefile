# make demo: set everything up and promote to SIT on a local AWS
# make test: set everything up and run every check
BIN := $(CURDIR)/.venv/bin
READY := .ansible/ready
export PATH := $(BIN):$(PATH)
export ANSIBLE_HOME := $(CURDIR)/.ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.ansible/collections

setup: $(READY)

$(READY): requirements.lock scripts/setup.sh
	@scripts/setup.sh

.PHONY: setup
