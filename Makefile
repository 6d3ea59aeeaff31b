# make demo: set up, run the three-stage job on phantom chest films, show where the pictures and table are.
# make test: set up, lint, pass the tests. Both need Python 3.11, 3.12 or 3.13 with venv, and a package index.
# make test-gpu: what only a GPU shows (parity, formats, determinism, a kill, two parts of a card); GPUS=0 by default.
# python -m tools.measure_gpu --out=DIR: those and all that is still to be timed on one, with time limits.
# make test-reliability: kill, starve and spread real training processes for up to half an hour; prints a table.
# The first that starts and is of a version for which every pinned package has a wheel.
PYTHON ?= $(shell for found in python3.13 python3.12 python3.11 python3 python; do \
	$$found -c "import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))" 2>/dev/null \
	&& echo $$found && break; done)
DEMO   ?= runs/demo
GPUS   ?= 0
TESTERS ?= 3
BIN    := .venv/bin

export TF_CPP_MIN_LOG_LEVEL ?= 3
export CUDA_VISIBLE_DEVICES ?=

.PHONY: demo test test-gpu test-reliability lint clean

demo: .venv/installed
	$(BIN)/python -m tools.run_experiment --phantoms=64 --config=tiny --preset=demo --jobs=2 --workdir=$(DEMO)

# Testers share the cores, and the dozens of processes that they start begin sooner with compiled files.
test test-reliability: export OMP_NUM_THREADS ?= 1
test test-reliability: export PYTHONDONTWRITEBYTECODE =

test: .venv/installed-dev lint
	$(BIN)/python -m pytest -n $(TESTERS) --dist=loadfile --no-loadscope-reorder

test-reliability: .venv/installed-dev
	RELIABILITY=full FULL_FUZZ=1 $(BIN)/python -m pytest -n auto --maxprocesses=4 --dist=loadfile \
		-m "slow or reliability" tests

test-gpu: export CUDA_VISIBLE_DEVICES = $(GPUS)
test-gpu: .venv/installed-dev
	@if $(BIN)/python -c "import sys, tensorflow as tf; sys.exit(not tf.config.list_physical_devices('GPU'))" \
		2>/dev/null; then \
		NVIDIA_TF32_OVERRIDE=0 $(BIN)/python -m pytest -n 0 -rs tests/parity && \
		$(BIN)/python -m pytest -n 0 -rs tests/gpu; \
	else \
		echo "make test-gpu: skipped, as TensorFlow sees no GPU (GPUS=$(GPUS)); on a machine with one," \
		"$(BIN)/python -m pip install 'tensorflow[and-cuda]' -c constraints.txt brings it CUDA"; \
	fi

lint: .venv/installed-dev
	$(BIN)/ruff check .

.venv/installed: requirements.txt constraints.txt
	@test -x $(BIN)/python || test -n "$(PYTHON)" || { echo "make: found no Python 3.11, 3.12 or 3.13 with venv;" \
		"install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	touch $@

clean:
	rm -rf $(DEMO) .pytest_cache .ruff_cache
