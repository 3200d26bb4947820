# Everything a contributor runs. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
export PYTHONPATH := $(CURDIR)/operator:$(CURDIR)/tools

RANDOM_HISTORIES := tests/sql/keyless/test_random_histories.py tests/sql/gc/test_histories.py tests/sql/merge/test_renumber_at_random.py \
	tests/sql/merge/test_schema_at_random.py tests/sql/history/test_random_columns.py tests/sql/branch/test_random_older_columns.py

.DEFAULT_GOAL := help
.PHONY: help venv demo test check crds bench nightly load fuzz image e2e e2e-kind clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: $(VENV)/.done ## make the virtual environment with the pinned development dependencies

$(VENV)/.done: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "pggit needs Python >= 3.11, this is " + sys.version.split()[0])'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned packages of requirements/dev.txt into $(VENV) with pip: once, one to five minutes, 650 MB" >&2
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: venv ## the whole story on a local control plane and PostgreSQL 18 (KEEP=1 leaves it running)
	$(PY) tools/demo.py $(if $(filter-out 0 no false,$(KEEP)),--keep)

check: venv ## ruff, mypy, import-linter, generated files up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy operator/pggit_operator tools tests bench
	$(BIN)/lint-imports
	$(PY) tools/crds.py --check

test: check ## everything CI runs
	$(PY) tools/test.py

crds: venv ## write crds/ and the chart's copy from operator/pggit_operator/api
	$(PY) tools/crds.py

bench: venv ## print ratios beside plain PostgreSQL (OPTIONS=--quick: 100,000 rows)
	$(PY) bench/run.py $(OPTIONS)

nightly: venv ## every test of the SQL core on each PostgreSQL, 15 to 18: four times as long as `make test`
	$(PY) -m pytest tests/sql tests/model tests/migrations -q -n 2 --pg 15,16,17,18 --no-turns
	$(PY) -m pytest tests/sql/schema -q -n 2 --pg 15,16,17,18 --no-event-triggers

load: venv ## 50 clients for a minute, a server killed under them 30 times, a session that dies at each statement of a merge: two hours
	$(PY) -m pytest tests/load -q -n 2 --no-turns --load-clients 50 --load-seconds 60 --load-kills 30 --deaths 0

fuzz: venv ## random histories against models for hours, wrong engines that they have to find, and a million random rows merged
	$(PY) -m pytest tests/model -q -s -n 2 --no-turns --model-examples 2000 --model-steps 60 --merged-rows 1000000 --worlds 5000 --mutants all
	$(PY) -m pytest $(RANDOM_HISTORIES) -q -n 2 --no-turns --model-examples 200 --gc-histories 200

image: ## build the container image with docker, podman or buildah
	tools/image.sh

e2e: venv ## the demo's story with real pods on a one-node cluster (root, Debian)
	$(PY) -m pytest tests/e2e --e2e=node

e2e-kind: venv ## the same on kind, where Docker is
	$(PY) tools/kind.py

clean: ## remove what the build made in this folder
	rm -rf $(VENV) .cache dist build .pytest_cache .mypy_cache .ruff_cache
