# The verbs of this repository: `make` lists them.

.PHONY: help wheel test-wheel tutorial walkthrough lab test test-real parity mistakes check fix setup report clean
.DELETE_ON_ERROR:

export PATH := $(CURDIR)/.venv/bin:$(PATH):$(CURDIR)/.tools/bin
export CANARY_TUTORIAL_TOOLS := $(CURDIR)/.tools/bin
.SHELLFLAGS := -ec

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

tutorial: setup          ## a lab, every lesson and the report run without a browser; results in reports/
	@canary-tutorial run

walkthrough: setup       ## a release and a rollback, from nothing to the end, in two minutes
	@canary-tutorial run walkthrough

lab: setup               ## JupyterLab at the first lesson
	@jupyter lab --allow-root notebooks/00-start-here.ipynb

report: setup            ## one release of podinfo 2.1.3, as a report to attach to a change request
	@canary-tutorial report

setup: .venv/ready .tools/ready  ## .venv and .tools: all that the lessons need

# The wheel is tested by a target of its own: it installs everything once more.
test: .venv/test-ready .tools/ready check  ## every test but the wheel's, 20 minutes on 2 cores
	@python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --ignore tests/e2e/test_wheel.py

# The real Flagger listens on all addresses, so it runs only where the whole lab has a network namespace of its own;
# elsewhere its tests are skipped, and what it once answered is compared all the same. Its temporary files are apart, too:
# pytest would delete those of earlier runs, and root may not do that in there with what belongs to another user.
PARITY = tests/parity
test-real: .venv/test-ready .tools/ready  ## the scenarios of tests/parity on our controller and on the real Flagger
	@if tools/alone true; then \
	    $(MAKE) --no-print-directory .tools/real/ready; \
	    place=$$(mktemp -d); \
	    PARITY_REAL=$(CURDIR)/.tools/real tools/alone python -m pytest $(PARITY) --real --basetemp=$$place; \
	    rm -rf $$place; \
	else \
	    echo "test-real: the real programs do not run here: their tests are skipped"; \
	    python -m pytest $(PARITY) --real; \
	fi

parity: .venv/test-ready  ## docs/parity.md, from the recorded answers
	@cd tests && python -m parity.report > parity.new && mv parity.new ../docs/parity.md

mistakes: .venv/test-ready .tools/ready  ## break one thing after the other: does tests/parity fail?
	@cd tests && python -m parity.try_mistakes

check: .venv/test-ready  ## ruff, mypy, and words that are never right; changes nothing
	@ruff check . && ruff format --check . && mypy && python tools/words.py

fix: .venv/test-ready  ## correct what ruff can correct, and format
	@ruff check --fix . ; ruff format .

wheel: .venv/ready  ## the package as a wheel, in dist/
	@python -m pip wheel --quiet --no-deps --wheel-dir dist .

test-wheel: .venv/test-ready  ## the wheel in an empty environment: install, check --install, walkthrough, report
	@python -m pytest tests/e2e/test_wheel.py

clean:  ## delete .venv, .tools, reports and dist
	rm -rf .venv .tools reports dist

.venv/ready: requirements.lock pyproject.toml
	@tools/setup python && touch $@

.venv/test-ready: requirements-test.lock pyproject.toml
	@tools/setup python test && touch $@ .venv/ready

.tools/ready: tools/setup canary_tutorial/lab/machine/tools.py
	@tools/setup programs && mkdir -p .tools && touch $@  # nothing is unpacked where the machine has them

.tools/real/ready: tools/setup | .venv/ready
	@tools/setup real && touch $@
