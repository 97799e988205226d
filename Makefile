# Every target makes the environment it needs (in .venv) first. Python 3.11 or newer: `make demo PYTHON=python3.12`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format benchmark pictures clean

demo: .venv/installed              ## train and judge six models on real digits, write runs/demo/report.html
	$(BIN)/pofx compare digits --out runs/demo

test: check                        ## lint, types, tests
	$(BIN)/python -m pytest -q

check: .venv/installed-for-tests   ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-for-tests  ## let ruff arrange the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: .venv/installed-for-tests  ## measure speed against plain implementations, write benchmarks/RESULTS.md
	$(BIN)/python benchmarks/speed.py

pictures: .venv/installed          ## make the pictures of the documentation (models are trained once, into runs/docs)
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/latent_pictures.py

clean:                             ## remove the environment and what the demo made
	rm -rf .venv runs/demo

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pofx needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1): make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/installed-for-tests: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[data,test]'
	@touch $@
