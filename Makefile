# deidflow. `make help` lists the targets; the first one that needs it makes .venv and installs the lock into it.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed-from-lock

# The Python that makes .venv: the first of these that runs and is 3.11 or newer. The lock is tested with 3.11.
PYTHON ?= python3.11 python3

# Wherever it is set: a suite that starts hundreds of Pythons compiles each module once, not each time.
export PYTHONDONTWRITEBYTECODE :=
# Nothing here multiplies matrices, and each process would start threads for it.
export OPENBLAS_NUM_THREADS := 1

# More workers than cores: many tests wait for a server. make test PYTEST_ARGS="tests/core -x" runs some.
PYTEST_ARGS ?= -n 4 --dist worksteal
BENCH_ARGS  ?=
FAULTS_ARGS ?= --seed 11 --local 300 --orthanc 60
STOPS_ARGS  ?= --seed 1 --local 30 --orthanc 30
KILLS_ARGS  ?= --kills --seed 1 --local 0 --orthanc 20
NIGHTS_ARGS ?= --seed 1 --kills 20
READERS_ARGS ?= --count 20000 --seed 1
FUZZ_ARGS   ?= --count 200000 --seed 1
# make lock LOCK_ARGS=--upgrade takes newer releases; without it every pin that still fits is kept
LOCK_ARGS   ?=

# Where newer Orthancs live: named, or put each into a folder of its own on the first use (Debian, as root).
ROOTS = DEIDFLOW_TEST_ORTHANC_ROOTS="$${DEIDFLOW_TEST_ORTHANC_ROOTS:-$$(tests/tools/install_orthanc.sh $(SUITES))}"
SUITES ?= trixie sid

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet install --no-input --no-deps

.PHONY: help demo test branches orthanc dcmtk dicom3tools compiler site test-orthanc-versions test-prefect pictures test-faults test-stops test-kills test-nights test-fuzz test-readers test-corpus test-validity test-pixels test-parity test-lowest lint format lock bench bench-pipeline bench-peers clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 24

demo: $(STAMP)  ## inventory of the demo data, then de-identify it into demo-output/
	rm -rf demo-output && mkdir demo-output
	$(BIN)/deidflow inventory configs/demo-data -o demo-output/inventory.csv
	$(BIN)/deidflow run configs/demo.yaml

test: $(STAMP) orthanc dcmtk compiler  ## the tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Tests that run in pytest's own process; a tracer makes them two thirds slower, so it is a target of its own.
IN_PROCESS := tests/core tests/local tests/orthanc tests/verification tests/steps tests/test_settings.py tests/test_served.py \
	tests/flows/test_truth.py tests/flows/test_deletion.py tests/flows/test_disk_errors.py

branches: $(STAMP) orthanc  ## how many branches of each room the tests take, against a floor (2 minutes)
	$(BIN)/python -m pytest $(PYTEST_ARGS) --cov --cov-report= $(IN_PROCESS)
	$(BIN)/python -m tests.branches

# What Debian's packages do for the tests: $(call debian,PACKAGES,what they are for,what is missed without them).
# RUNLEVEL=1 keeps Debian from starting them as services.
define debian
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Debian's $(1), $(2)"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
			apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
	else echo "$(3) Debian: apt-get install $(1)" >&2; fi
endef

compiler:
	@command -v cc >/dev/null || command -v gcc >/dev/null || $(call debian,gcc libc6-dev,for a library that makes system calls fail,NO C COMPILER: no faults are injected.)

dcmtk:
	@command -v dcmdump >/dev/null || $(call debian,dcmtk,the second reader of results,NO DCMTK: pydicom alone reads the results.)

site:
	@[ -d /usr/lib/postgresql ] && command -v chromium >/dev/null || $(call debian,postgresql chromium,for Prefect's server and a browser that measures pages,NO POSTGRESQL OR NO BROWSER: what wants them is skipped.)

dicom3tools:
	@command -v dciodvfy >/dev/null || $(call debian,dicom3tools,whose dciodvfy judges results,NO DICOM3TOOLS: nothing says whether results are valid.)

orthanc:
	@[ -x /usr/sbin/Orthanc ] || $(call debian,orthanc,the server of the contract tests,NO ORTHANC: every test against a real server is skipped.)

test-orthanc-versions: $(STAMP) orthanc  ## the tests against a real Orthanc with Debian's 1.10.1, 1.12.7 and 1.13.0, and Orthanc's own tests (an hour)
	$(ROOTS) $(BIN)/python -m pytest $(PYTEST_ARGS) -m "not long" --ignore tests/contract/parity tests/contract tests/orthanc

test-prefect: $(STAMP) orthanc site  ## schedules, forms and cancelling on a real Prefect server with SQLite and PostgreSQL, its pages and report.html in a browser (20 minutes)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long tests/prefect tests/flows

pictures: $(STAMP) orthanc site  ## take the pictures of docs/operators.md again, from the demo data (3 minutes)
	DEIDFLOW_PICTURES=docs/pictures $(BIN)/python -m pytest -n 0 -m long -k "form and sqlite" tests/prefect/test_in_a_browser.py

test-faults: $(STAMP) orthanc compiler  ## 300 injured runs of the local engine, 60 with a real Orthanc (15 minutes)
	$(BIN)/python -m tests.faults $(FAULTS_ARGS)

test-stops: $(STAMP) orthanc compiler  ## runs stopped at 30 moments from the first edit to the report's last file, on each engine (3 minutes)
	$(BIN)/python -m tests.faults --stops $(STOPS_ARGS)

test-kills: SUITES = sid
test-kills: $(STAMP) orthanc compiler  ## flow or Orthanc killed at 20 moments beside a twin run or a colleague, on 1.10.1 and 1.13.0 (10 minutes)
	$(BIN)/python -m tests.faults $(KILLS_ARGS)
	$(ROOTS) && $(BIN)/python -m tests.faults $(KILLS_ARGS) --root "$${DEIDFLOW_TEST_ORTHANC_ROOTS##*:}"

test-nights: $(STAMP)  ## four nights of an incremental config, killed at 20 moments and resumed (2 minutes)
	$(BIN)/python -m tests.nights $(NIGHTS_ARGS)

test-fuzz: $(STAMP)  ## 200,000 damaged files, manifests and configs (7 minutes on a free core)
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

test-readers: $(STAMP) dcmtk  ## 20,000 files about which pydicom and DCMTK may disagree, each with planted names (3 minutes)
	$(BIN)/python -m tests.readers $(READERS_ARGS)
	$(BIN)/python -m pytest -n 0 -m long tests/verification

test-corpus: $(STAMP) orthanc dcmtk  ## FOLDER=... of real files: a real Orthanc and the engine take the same; writes docs/corpus.md
	$(BIN)/python -m tests.corpus $(FOLDER)

test-validity: $(STAMP) dicom3tools  ## results of pydicom's files have no new error by dciodvfy, under two choices of options (10 seconds)
	$(BIN)/python -m tests.corpus.validity

test-pixels: $(STAMP) dcmtk dicom3tools  ## text painted over in every form of pixels and transfer syntax there is, read by DCMTK and others, and whole runs of all of them (3 minutes)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long tests/local/editing/painting tests/verification/test_painted_matrix.py

test-parity: $(STAMP) orthanc  ## the long comparison with real Orthancs; writes docs/parity.md (17 minutes on two free cores)
	$(ROOTS) $(BIN)/python -m tests.contract.parity

# What pip may choose, and the lock does not: the oldest release of each library that pyproject.toml allows.
test-lowest: $(STAMP) orthanc dcmtk compiler  ## the tests with the oldest libraries that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --seed --python $(BIN)/python .venv-lowest
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --only-binary :all: \
		--extra age --extra codecs --extra dask --extra parquet --output-file .venv-lowest/lowest.txt pyproject.toml >/dev/null
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --requirements .venv-lowest/lowest.txt
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --constraints .venv-lowest/lowest.txt --group dev
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --no-deps --no-build-isolation --editable .
	.venv-lowest/bin/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP)  ## style, format and types; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@mkdir -p $(VENV)/typed/deidflow && ln -sfn ../../../flows ../../../tasks $(VENV)/typed/deidflow/
	$(BIN)/mypy

format: $(STAMP)  ## put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(STAMP)  ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --custom-compile-command "make lock" \
		--extra age --extra codecs --extra dask --extra parquet --group dev $(LOCK_ARGS) --output-file requirements.lock pyproject.toml

bench: $(STAMP)  ## the engine against cp -r
	$(BIN)/python -m benchmarks.engine $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.engine --count 10000 --size 64K $(BENCH_ARGS)

bench-pipeline: $(STAMP)  ## what one more instance costs in a whole run (10 minutes)
	$(BIN)/python -m benchmarks.pipeline $(BENCH_ARGS)

# The peers get an environment of their own; dcmodify is in Debian's package dcmtk.
bench-peers: $(STAMP)  ## the engine against other de-identifiers (15 minutes)
	$(BIN)/python -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --upgrade 'pip>=25.1'  # --group
	.venv-bench/bin/pip install --quiet --no-deps --require-hashes -r requirements.lock
	.venv-bench/bin/pip install --quiet --editable . --group bench
	[ "$$(id -u)" != 0 ] || command -v dcmodify >/dev/null || apt-get install -y -qq dcmtk >/dev/null
	.venv-bench/bin/python -m benchmarks.peers $(BENCH_ARGS)
	.venv-bench/bin/python -m benchmarks.peers --count 10000 --size 64K $(BENCH_ARGS)

clean:  ## remove what the other targets leave behind, except .venv
	rm -rf .coverage .venv-bench .venv-lowest demo-output build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find benchmarks flows tasks tests -name __pycache__ -prune -exec rm -rf {} +

# Exactly the lock, every file checked by its hash; the project itself is linked, so an edit needs no new install.
$(STAMP): requirements.lock pyproject.toml | $(BIN)/pip
	@echo "Installing requirements.lock into $(VENV) (about a minute, only when it changes)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(BIN)/pip:
	@for python in $(PYTHON); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
			echo "$$python has no venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
		exec "$$python" -m venv --clear $(VENV); \
	done; \
	echo "No Python 3.11 or newer found (tried: $(PYTHON)). Name one: make PYTHON=/path/to/python3.11" >&2; exit 1
