# Two commands that need nothing but Python (>= 3.11), pip and make; each sets up its own .venv.
PYTHON ?= python3
BIN = .venv/bin
# The suite starts some hundred processes: what they import is compiled once, also where the environment says otherwise.
export PYTHONDONTWRITEBYTECODE =
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test docs dist clean

demo: .venv/demo
	$(BIN)/evenodds train digits --budget 115s --images 600k

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations=15

# Every warning is an error: a link that leads nowhere, a page without a place, a docstring that is misread.
docs: .venv/docs
	$(BIN)/sphinx-build -W --keep-going -n -q -d build/doctrees -c docs . build/docs
	$(BIN)/python tools/pages.py
	@echo "open build/docs/index.html"

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[demo]'
	touch $@

.venv/test: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[test]'
	-$(PIP) -e '.[browser]'  # where it cannot be had, the summary says what was not looked at
	touch $@

.venv/docs: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[docs]'
	touch $@

# Builds what is published, checks it, installs it and plays with it; ARGUMENTS=--test also tests what was unpacked.
dist: build/tools/ready
	build/tools/bin/python tools/distribution.py $(ARGUMENTS)

build/tools/ready:
	$(PYTHON) -m venv build/tools
	build/tools/bin/python -m pip install --quiet --disable-pip-version-check build twine
	touch $@

clean:
	rm -rf .venv runs build dist
