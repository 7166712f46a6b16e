# Two commands for a newcomer: `make demo` and `make test`. Both set up all they need, and both may be repeated.
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
BIN := .venv/bin
PROTOS := $(patsubst proto/%,%,$(wildcard proto/overpaint/v1/*.proto))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-pure test-torch test-blender test-window test-web test-faults test-farm test-ray engines lint format proto addon blender bench clean

help:
	@echo "make demo          the main job in a real Blender; look at out/demo/sheet.png"
	@echo "make test          all tests: pure ones, those with torch, then the add-on in every Blender that can be had"
	@echo "make test-pure     the tests that need neither torch nor Blender"
	@echo "make test-window   the add-on in a real Blender window, with mouse and keys; look at out/window/"
	@echo "make test-web      the server's web page in a real browser; look at out/web/"
	@echo "make test-farm     sealed jobs on render nodes that are killed and cancelled, and the OpenJD template, run for real"
	@echo "make test-ray      painting on a Ray cluster of several nodes on this machine"
	@echo "make test-faults   worker, server and client killed, the network cut, the disk filled; ends with a table"
	@echo "make engines       torch and what else the learned engines need"
	@echo "make lint          format, lint, types, doors, contract"
	@echo "make addon         the extension's zip, in dist/"
	@echo "make proto         the generated code, after a change of proto/"
	@echo "make bench         our stream against PNG over HTTP"

# The environment: made once, and again when what it is made of has changed.
.venv/ready: pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old: say make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up .venv with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv .venv
	@$(BIN)/pip install --quiet --progress-bar on --editable '.[dev]'
	@touch $@

# What the learned engines need, apart from their weights. Torch is the large one: it brings what the graphics card needs.
.venv/engines: .venv/ready
	@echo "installing torch and what goes with it"
	@$(BIN)/pip install --quiet --progress-bar on --editable '.[dev,engines]'
	@touch $@

# Ray, for the executor of many machines.
.venv/ray: .venv/ready
	@$(BIN)/pip install --quiet --progress-bar on --editable '.[dev,ray]'
	@touch $@

engines: .venv/engines

blender: .venv/ready
	@$(BIN)/python addon/blenders.py

addon: .venv/ready
	@$(BIN)/python addon/build.py

demo: .venv/engines
	@$(BIN)/python addon/blenders.py --one
	@$(BIN)/python addon/build.py
	@$(BIN)/overpaint demo --blender "$$($(BIN)/python addon/blenders.py --best)" --extension dist/overpaint.zip

test: test-pure test-torch test-blender

test-pure: .venv/ready
	@$(BIN)/pytest

test-torch: .venv/engines
	@$(BIN)/pytest -m torch

test-blender: blender
	@$(BIN)/pytest -m blender

# Minutes of kill -9, cut lines and full disks. A disk is a small tmpfs, which takes root to mount; else its tests say that they were skipped.
test-faults: .venv/ready
	@$(BIN)/pytest -m faults tests/faults

# A real window, real mouse and keys. Says why where that cannot be had; out/window/ has the pictures.
test-window: addon .venv/engines
	@$(BIN)/python -c "from pathlib import Path; from overpaint_backend.demo.clip import fetch; fetch(Path('.cache/clips'))"
	@$(BIN)/python -m tests.window.place && $(BIN)/pytest -m window tests/window || test $$? -eq 3

# The web page in Chromium. Says why where there is none; out/web/ has the pictures.
test-web: .venv/ready
	@$(BIN)/python -m tests.web.place && $(BIN)/pytest -m web tests/web || test $$? -eq 3

.venv/farm: .venv/ready
	@$(BIN)/pip install --quiet --progress-bar on --editable '.[dev,farm]'
	@touch $@

# Render nodes as processes of their own; minutes, since they are killed at every window. Then a Ray cluster.
test-farm: .venv/farm test-ray
	@$(BIN)/pytest -m farm tests/farm

test-ray: .venv/ray
	@$(BIN)/pytest -m ray tests/ray

lint: .venv/engines .venv/ray
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against proto/released.binpb
	$(BIN)/buf format --diff --exit-code proto

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/buf format --write proto

proto: .venv/ready
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=shared --pyi_out=shared --grpc_python_out=shared $(PROTOS)

bench: .venv/ready
	@$(BIN)/overpaint bench wire

clean:
	rm -rf .venv .blender .cache dist build out
