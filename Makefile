# demo and test need nothing but Python 3.11 with pip; everything lands in .venv/ and results/.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 2
READY := $(VENV)/.ready
# Where to take torch from instead of PyPI, whose builds bring CUDA: README, "Installation".
TORCH_INDEX ?=
TORCH = $(shell grep -E '^torch(vision)?==' envs/lock.txt)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test check clean

demo: $(READY)
	snakemake --cores $(CORES)
	@echo
	@cat results/demo/tables/ladder.md
	@echo "Look at: $(CURDIR)/results/demo/figures/panels.png, selection.png, histories.png"
	@echo "         $(CURDIR)/results/demo/tables/ladder.png"

test: $(READY)
	python -m pytest

check: $(READY)
	ruff check .
	ruff format --check .
	snakefmt --check workflow
	snakemake --lint

# One lock for everything on one machine; a changed lock installs again.
$(READY): envs/lock.txt
	command -v $(PYTHON) >/dev/null || { echo "error: expected $(PYTHON); set PYTHON=" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --index-url $(TORCH_INDEX) $(TORCH))
	$(BIN)/python -m pip install --quiet --requirement envs/lock.txt
	touch $@

clean:
	rm -rf results logs .snakemake
