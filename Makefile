# Everything starts from a machine that has Python 3.11+, pip and venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    ?= trimtab-out
WORKERS ?= auto

.PHONY: run test check bench study steering reference browser postgres format lock clean

run: $(VENV)/.installed            ## the main job: run, fit, report
	$(BIN)/trimtab run --out $(OUT) $(RUN_OPTIONS)

# Matrices are small and workers as many as cores: threads of BLAS beside them only wait for each other.
test: export OPENBLAS_NUM_THREADS = 1
# Tests start some dozen interpreters, and none should compile the package anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.installed-dev browser postgres  ## the whole test suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TEST_OPTIONS)

check: $(VENV)/.installed-dev      ## lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev      ## benchmarks against peers
	$(BIN)/python -m pytest benchmarks $(BENCH_OPTIONS)

study: $(VENV)/.installed-dev      ## docs/calibration.md: how often intervals hold, by simulation; half an hour on two cores
	$(BIN)/python studies/calibration.py $(STUDY_OPTIONS)

steering: $(VENV)/.installed-dev   ## docs/steering-evaluation.md: what the predictive policy is worth; half an hour on two cores
	$(BIN)/python studies/steering.py $(STEERING_OPTIONS)

reference: $(VENV)/.installed-dev  ## calibrate the paper's strategies anew: simulation/reference.json; some minutes on two cores
	$(BIN)/python studies/reference.py $(REFERENCE_OPTIONS)

format: $(VENV)/.installed-dev     ## apply formatting and safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The report is opened in a real browser by the tests. Debian's Chromium is used; elsewhere the tests look for
# an installed chromium or google-chrome and skip with a reason if there is none.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	  || echo "no Chromium and no way to install it: browser tests will be skipped"

# Tests start a PostgreSQL of their own in a temporary folder, so only its programs are needed: Debian is told not to
# make and start a database of its own. Without them the tests skip with a reason.
postgres:
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null \
	  && sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
	  && apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } \
	  || echo "no PostgreSQL and no way to install it: its tests will be skipped"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	  "trimtab needs Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] + ": set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

lock: $(VENV)/.installed-dev       ## pin every dependency anew
	$(BIN)/uv pip compile pyproject.toml requirements-build.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header -q -o requirements.txt
	$(BIN)/uv pip compile requirements-dev.in --universal --python-version 3.11 --generate-hashes -c requirements.txt \
	  --no-emit-index-url --no-emit-find-links --no-header -q -o requirements-dev.txt

clean:
	rm -rf $(VENV) trimtab-out build dist
