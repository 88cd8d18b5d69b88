# The verbs of this repository. `make tutorial` shows what it is about; `make test` is what CI runs.

.PHONY: tutorial walkthrough lab test test-real parity mistakes check fix setup report clean
.DELETE_ON_ERROR:

export PATH := $(CURDIR)/.venv/bin:$(PATH):$(CURDIR)/.tools/bin
export CANARY_TUTORIAL_TOOLS := $(CURDIR)/.tools/bin
.SHELLFLAGS := -ec

tutorial: setup          ## a lab, every lesson and the report run headless; results in reports/
	@canary-tutorial run

walkthrough: setup       ## a release and a rollback, from nothing to the end, in two minutes
	@canary-tutorial run walkthrough

lab: setup               ## JupyterLab at the first lesson
	@jupyter lab --allow-root notebooks/00-start-here.ipynb

report: setup            ## one release of podinfo 2.1.3, as a report that one would attach to a change request
	@canary-tutorial report

setup: .venv/ready .tools/ready

test: .venv/test-ready .tools/ready check
	@python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# The real Flagger listens on all addresses, so it runs only where the whole lab has a network namespace of its own;
# elsewhere its tests are skipped, and what it once answered is compared all the same.
PARITY = tests/parity
test-real: .venv/test-ready .tools/ready  ## the scenarios of tests/parity on our controller and on the real Flagger
	@if tools/alone true; then \
	    $(MAKE) --no-print-directory .tools/real/ready; \
	    PARITY_REAL=$(CURDIR)/.tools/real tools/alone python -m pytest $(PARITY) --real; \
	else \
	    echo "test-real: the real programs do not run here: their tests are skipped"; \
	    python -m pytest $(PARITY) --real; \
	fi

parity: .venv/test-ready  ## docs/parity.md, from the recorded answers
	@cd tests && python -m parity.report > parity.new && mv parity.new ../docs/parity.md

mistakes: .venv/test-ready .tools/ready  ## breaks one thing after the other, and looks whether tests/parity sees it
	@cd tests && python -m parity.try_mistakes

check: .venv/test-ready  ## changes nothing; `make fix` mends what can be mended
	@ruff check . && ruff format --check . && mypy

fix: .venv/test-ready
	@ruff check --fix . ; ruff format .

clean:
	rm -rf .venv .tools reports

.venv/ready: requirements.lock pyproject.toml
	@tools/setup python && touch $@

.venv/test-ready: requirements-test.lock pyproject.toml
	@tools/setup python test && touch $@ .venv/ready

.tools/ready: tools/setup canary_tutorial/lab/machine/tools.py
	@tools/setup programs && touch $@

.tools/real/ready: tools/setup | .venv/ready
	@tools/setup real && touch $@
