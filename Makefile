# From a clean clone: `make demo`, `make test`. Each makes .venv, installs what it needs and builds the messages once.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint docs msgs sample gpu clean

# Nothing of a sourced ROS may reach what runs here, and nothing that runs here may reach a robot: a private domain on
# this machine only. AUX_MOTION_DOMAIN_ID chooses the domain.
unexport $(filter AMENT_% COLCON_% ROS_% RMW_% _ROS_% FASTRTPS_% FASTDDS_% CYCLONEDDS_% ZENOH_%,$(.VARIABLES))
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH CMAKE_PREFIX_PATH VIRTUAL_ENV
override ROS_DOMAIN_ID := $(or $(AUX_MOTION_DOMAIN_ID),$(shell echo $$((RANDOM % 101 + 1))))
override ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST
export ROS_DOMAIN_ID ROS_AUTOMATIC_DISCOVERY_RANGE

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install -qq --disable-pip-version-check --no-build-isolation -c constraints.txt
REQUIREMENTS := setup.py constraints.txt
# A worker a core: live tests need one to themselves. `make test PYTEST_ARGS=tests/core` chooses tests.
# one more than cores: live tests mostly wait
WORKERS := $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)
# MediaPipe, which brings an OpenCV of its own, has no wheel for Python 3.13: its tests are skipped there.
CAMERA = $(shell $(PY) -c 'import sys; print("video" if sys.version_info >= (3, 13) else "tracker")')

help:
	@echo "make demo   play the recorded sample through the node, see build/demo"
	@echo "make test   all tests"
	@echo "make lint   static checks"
	@echo "make docs   this documentation as a site, see build/site/index.html"
	@echo "make msgs   build the messages into $(VENV)"
	@echo "make gpu    measure the model on an NVIDIA GPU with TensorRT, see docs/benchmarks"
	@echo "make sample make the sample bag again"
	@echo "make clean  remove $(VENV) and everything built"

demo: $(VENV)/.demo-installed
	@$(PY) tools/build_messages.py
	@$(PY) -m aux_motion.benchmarks.demo $(DEMO_ARGS)

test: $(VENV)/.test-installed
	@$(PY) tools/build_messages.py
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(VENV)/.lint-installed
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet . || { echo "run: $(PY) -m ruff format ." >&2; exit 1; }
	@$(VENV)/bin/lint-imports --no-logo
	@$(PY) -m mypy
	@$(VENV)/bin/codespell

docs: $(VENV)/.docs-installed
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet
	@echo "open build/site/index.html"

msgs: $(VENV)/.demo-installed
	@$(PY) tools/build_messages.py

# Needs an NVIDIA GPU; PyCUDA is built against the CUDA toolkit. Without them it says so in a line.
gpu: $(VENV)/.demo-installed
	@if command -v nvidia-smi >/dev/null && command -v nvcc >/dev/null; then \
	  $(PIP) -e '.[tensorrt,cuda]' || echo "TensorRT or PyCUDA could not be installed here, see above"; fi
	@$(PY) -m aux_motion.benchmarks.bench_gpu $(GPU_ARGS)

# Makes the sample bag in samples/ again, from the video that its origin note names. Needs the network.
sample: $(VENV)/.demo-installed
	@$(PIP) -e '.[tracker]'
	@$(PY) tools/build_messages.py
	@$(PY) -m aux_motion.commands.make_sample

clean:
	rm -rf $(VENV) build install log ros2_ws/build ros2_ws/install ros2_ws/log

$(PY):
	@bash tools/make_venv.sh $(VENV)

$(VENV)/.lint-installed: $(REQUIREMENTS) | $(PY)
	@$(PIP) -U pip setuptools wheel
	@$(PIP) -e '.[lint]'
	@touch $@

$(VENV)/.docs-installed: $(REQUIREMENTS) | $(PY)
	@$(PIP) -U pip setuptools wheel
	@$(PIP) -e '.[docs]'
	@touch $@

$(VENV)/.demo-installed: $(REQUIREMENTS) | $(PY)
	@if [ "$$(uname -m)" != x86_64 ]; then \
	  echo "the ROS wheels exist for x86-64 only: build with colcon on a ROS 2 installation, see README.md" >&2; exit 1; fi
	@echo "installing into $(VENV)"
	@$(PIP) -U pip setuptools wheel
	@$(PIP) -e '.[ros,ros-build,plots,view]'
	@touch $@

$(VENV)/.test-installed: $(VENV)/.demo-installed
	@echo "installing what the tests need into $(VENV)"
	@$(PIP) -e '.[training,test,docs,tensorrt-rtx,$(CAMERA)]'
	@touch $@
