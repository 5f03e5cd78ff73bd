# Everything a person or a build server does here. `make demo` and `make test` each stand alone.

PYTHON ?= python3
BIN := .venv/bin
ENV := .venv/.made
ROWS := docs/ledger/rows
FASHION := /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz

# One thread a process: the programs that are run are small, and run beside one another.
export OMP_NUM_THREADS := 1
export HF_HUB_OFFLINE := 1

.PHONY: env data browser vega pictures demo test check check-all format lint types examples scoreboard trials lab ledger bench peers clean

env: $(ENV)

$(ENV): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "torchdx needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make environments here. On Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Some of the programs in faults/ train on Fashion-MNIST; without it they are skipped, and say so.
data:
	@test -e $(FASHION) || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		apt-get update -qq && apt-get install -y -qq dataset-fashion-mnist >/dev/null; } || \
		echo "no Fashion-MNIST here (Debian: apt-get install dataset-fashion-mnist): some tests skip"

# Pages are tested in a real browser; without one these tests are skipped, and say so.
browser:
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
		echo "no chromium here (Debian: apt-get install chromium): some tests skip"

# The scripts that draw charts, out of the package that constraints.txt fixes.
vega: env
	$(BIN)/python scripts/bundle_vega.py

demo: env
	$(BIN)/torchdx demo

test: env data browser
	$(BIN)/python -m pytest -n 2 -q -m "not slow"

check: env data browser
	$(BIN)/ruff format --check src tests faults benchmarks docs scripts
	$(BIN)/ruff check src tests faults benchmarks docs scripts
	$(BIN)/mypy
	$(BIN)/python -m pytest -q --doctest-modules src --ignore=src/torchdx/demo/train.py --ignore=src/torchdx/boot/site
	$(BIN)/python -m pytest -n 2 -q -m "not slow"

check-all: check
	$(BIN)/python -m pytest -n 2 -q -m slow

format: env
	$(BIN)/ruff format src tests faults benchmarks
	$(BIN)/ruff check --fix --quiet src tests faults benchmarks || true

scoreboard: env data
	$(BIN)/python faults/scoreboard.py --write

trials: env data
	PYTHONPATH=. $(BIN)/python -m faults.trials
	PYTHONPATH=. $(BIN)/python -m faults.trials --twins --write

pictures: env data browser
	PYTHONPATH=. $(BIN)/python docs/pictures.py

# The rows behind docs/ledger.md: only what is missing, or of an older version, is run.
lab: env data
	$(BIN)/torchdx lab run --all --size quick --folder $(ROWS)

ledger: env
	$(BIN)/torchdx lab report --folder $(ROWS) -o docs/ledger.md -o .torchdx/lab/ledger.html

# The libraries that benchmarks/curvature compares with, in a folder of their own: the environment and
# its torch stay as they are, and nothing else needs them.
peers: env
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --no-deps -c constraints.txt \
		--target .peers $$($(BIN)/python -c "import tomllib; \
		print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['peers'])")

bench: env
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/ensemble.py
	$(BIN)/python -m benchmarks.curvature

clean:
	rm -rf .venv .peers build dist .pytest_cache .mypy_cache .ruff_cache
