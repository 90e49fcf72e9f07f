# Everything a developer types. A fresh machine needs Python >= 3.11 and make, nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help dev demo test test-slow dist dist-check deploy-check bench-search bench-hash bench-import bench-detect robustness chaos fuzz check format proto client docs clean bench-urlcheck

help:  ## show this text
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "hashmatch needs Python 3.11 or newer; say which one: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

dev: $(VENV)/.installed  ## make .venv and install hashmatch with everything that developing needs

demo: $(VENV)/.installed  ## start the service, send it real images, show the reports
	$(BIN)/python -m hashsets.demo

unexport PYTHONDONTWRITEBYTECODE  # tests start hundreds of processes, which need not compile what others have compiled
# One more than the cores of a small machine: many tests wait for processes.
test: JOBS ?= 3
test: $(VENV)/.installed  ## run the tests (under ten minutes on two cores): make test JOBS=8
	$(BIN)/python -m pytest -m "not slow and not deploy" --numprocesses $(JOBS) --dist loadfile $(ARGS)

test-slow: $(VENV)/.installed  ## run the long suites: thousands of malformed files, kill -9 loops
	$(BIN)/python -m pytest -m "slow and not deploy" $(ARGS)

bench-search: $(VENV)/.installed  ## measure the search beside its peers: native_bench/RESULTS.md (ten minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	OMP_NUM_THREADS=1 $(BIN)/python native_bench/run.py $(ARGS)

bench-hash: $(VENV)/.installed  ## measure hashing beside its peers: native_bench/HASHING.md (ten minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps threatexchange==1.2.17  # its PDQ needs no more
	OMP_NUM_THREADS=1 $(BIN)/python native_bench/hashing.py $(ARGS)

bench-import: $(VENV)/.installed  ## measure imports beside sqlite3's own: native_bench/import/IMPORT.md (ten minutes)
	$(BIN)/hashmatch bench import --entries 1000000,10000000 --results native_bench/import $(ARGS)

bench-urlcheck: $(VENV)/.installed  ## measure the URL checker beside a plain crawler: native_bench/HOTLINE.md (fifteen minutes)
	$(BIN)/hashmatch bench urlcheck --memory 100000 --results native_bench $(ARGS)

bench-detect: $(VENV)/.installed  ## measure the service under load beside its own pipeline: native_bench/SERVING.md (three minutes)
	OMP_NUM_THREADS=1 $(BIN)/hashmatch bench detect --results native_bench $(ARGS)

PHOTOS ?= hashsets/demo/photos
robustness: $(VENV)/.installed  ## count which altered photos are found: make robustness PHOTOS=DIR ARGS="--limit 60"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	OMP_NUM_THREADS=1 $(BIN)/hashmatch bench robustness $(foreach where,$(PHOTOS),--photos $(where)) --limit 60 --transforms all,augly \
	  --levels all --strangers 100000 --strangers-file native_bench/robustness/strangers.jsonl \
	  --results native_bench/robustness/RESULTS.md --plot native_bench/robustness/plots $(ARGS)

CHAOS_MINUTES ?= 10
chaos: JOBS ?= 2
CHAOS_JSON := native_bench/results/chaos.json
chaos: $(VENV)/.installed  ## break the service in every way, for some CHAOS_MINUTES=10, and write docs/explain/reliability.md
	rm -f $(CHAOS_JSON)
	CHAOS_MINUTES=$(CHAOS_MINUTES) CHAOS_RESULTS=$(CHAOS_JSON) \
	  $(BIN)/python -m pytest tests/chaos --numprocesses $(JOBS) --dist load -o timeout=3600 $(ARGS)
	$(BIN)/python docs/generate.py

FUZZ_S ?= 60
fuzz: $(VENV)/.installed  ## fuzz every parser that a stranger reaches, FUZZ_S seconds each, guided by coverage
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz.guided --seconds $(FUZZ_S) $(ARGS)

check: $(VENV)/.installed  ## lint, types, import layers, generated code and docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check
	$(BIN)/python -m hashmatch.client.generate --check
	$(BIN)/python docs/generate.py --check

format: $(VENV)/.installed  ## format the code and apply safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: $(VENV)/.installed  ## write hashmatch/v1 from proto/
	$(BIN)/python proto/generate.py

client: $(VENV)/.installed  ## write the synchronous client from the asynchronous one
	$(BIN)/python -m hashmatch.client.generate

docs: $(VENV)/.installed  ## write the reference pages that come from the code
	$(BIN)/python docs/generate.py

dist: $(VENV)/.installed  ## build the sdist and, from it, the wheel: dist/
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 1577836800) $(BIN)/python -m build --no-isolation

dist-check: dist  ## install that wheel with pip into an empty environment and use it
	$(BIN)/python -m tests.packaging.fresh dist constraints.txt

deploy-check: $(VENV)/.installed  ## lint and render the chart, hold what is under deploy/ against its schemas
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[deploy]'
	$(BIN)/python deploy/helm/render.py --check
	$(BIN)/python -m pytest -m deploy tests/deployment $(ARGS)

clean:  ## remove .venv, caches and build products
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
