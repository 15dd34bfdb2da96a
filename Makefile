# demo and test need nothing but Python 3.11 with pip; everything lands in .venv/, data/, results/ and logs/.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 2
# Further words for the demo's snakemake.
WORDS ?=
READY := $(VENV)/.ready
# Where to take torch from instead of PyPI, whose builds bring CUDA: README, "Installation".
TORCH_INDEX ?=
# What only tests use, and what would ask pip for other versions: see there.
NO_DEPS = $(shell sed -n 's/^# no-deps: //p' envs/lock.txt)
TORCH = $(shell grep -E '^torch(vision)?==' envs/lock.txt)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test heavy-test check bench kill-test cluster-test clean

# What leads to M2, M3 and M4 goes first: comparisons fill the other core meanwhile.
demo: $(READY)
	snakemake --cores $(CORES) --prioritize adapt $(WORDS)

test: $(READY)
	python -m pytest

# What would take `make test` beyond ten minutes.
heavy-test: $(READY)
	python -m pytest -m heavy

check: $(READY)
	ruff check .
	ruff format --check .
	snakefmt --check workflow
	snakemake --lint

# Twenty kills at random moments, a full and a read-only disk: twelve minutes. The disks need root.
kill-test: $(READY)
	python tests/kill_at_random.py

# As root on Debian or Ubuntu: a SLURM of its own, the pipeline through it, and SLURM stopped again.
cluster-test: $(READY)
	python -m pip install --quiet --requirement envs/cluster.txt
	python tests/cluster/run_on_slurm.py

# Ratios against plain ways of doing the same, best on a machine that does nothing else; the last
# needs 24 GB of disk.
bench: $(READY)
	python benchmarks/kernels.py
	python benchmarks/strategies.py
	python benchmarks/extraction.py
	python benchmarks/training.py
	python benchmarks/scaling.py

# One lock for everything on one machine; a changed lock installs again.
$(READY): envs/lock.txt
	command -v $(PYTHON) >/dev/null || { echo "error: expected $(PYTHON); set PYTHON=" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --index-url $(TORCH_INDEX) $(TORCH))
	$(BIN)/python -m pip install --quiet --requirement envs/lock.txt
	$(BIN)/python -m pip install --quiet --no-deps $(NO_DEPS)
	touch $@

clean:
	rm -rf results logs .snakemake
