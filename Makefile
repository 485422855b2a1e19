# From a folder of photographs with masks to a report:  make all DATA=path/to/CHASE_DB1
# Without DATA it draws a synthetic data set and works on that. `make help` lists everything.

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.DEFAULT_GOAL := help
SHELL := /bin/bash

# What a user may set. DATA reaches the recipes through the environment, so it may hold blanks.
DATA ?=
PRESET ?= native
STEPS ?= $(if $(DATA),2000,400)
SEED ?= 1
JOBS ?= 0
PYTHON ?= python3
export DATA

empty :=
space := $(empty) $(empty)
# The name of DATA's folder, but for what a shell would read as more than a letter.
run_name := $(notdir $(patsubst %/,%,$(subst $(space),_,$(DATA))))
shell_signs := ( ) & ; | < > * ? ! ' " `
$(foreach sign,$(shell_signs),$(eval run_name := $(subst $(sign),_,$(run_name))))
RUN ?= runs/$(or $(run_name),demo)
FUNDUSSEG := bin/fundusseg
READY := .venv/.ready
LINTED := setup.py fundusseg tests docs/tools $(wildcard bin/*.py) bin/cpu-seconds
SHELL_SCRIPTS := $(filter-out %.mk %.py %.toml bin/cpu-seconds bin/__pycache__,$(wildcard bin/*)) .ci/run tests/slurm/cluster

.PHONY: help all prep train infer score measure test test-oldest test-slurm faults lint bench figures man picture clean FORCE

help: ## this list
	@echo 'fundusseg: vessel maps from retinal photographs'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28
	@echo
	@printf '  %-8s %s\n' DATA= "data set folder (none: a synthetic set is drawn), now '$$DATA'"
	@printf '  %-8s %s\n' RUN= 'where everything is written, now $(RUN)'
	@printf '  %-8s %s\n' PRESET= 'native or pix2pix, now $(PRESET)'
	@printf '  %-8s %s\n' STEPS= 'length of the training, now $(STEPS)'
	@printf '  %-8s %s\n' SEED= 'seed of the training, now $(SEED)'
	@printf '  %-8s %s\n' JOBS= 'threads, 0 is one per free core, now $(JOBS)'

all: $(RUN)/report.md ## from photographs to RUN/report.md
	@if ls $(RUN)/*.failed >/dev/null 2>&1; then cat $(RUN)/*.failed >&2; exit 1; fi
	@echo 'the report: $(RUN)/report.md'

prep: $(RUN)/shards/manifest.json ## the data set as shards
train: $(RUN)/model/manifest.json ## a model from the shards
infer: $(RUN)/maps/manifest.json ## maps of the test part
score: $(RUN)/score/manifest.json ## figures, plots and report of the maps
measure: $(RUN)/measures/vessels.csv ## measures of the maps, and how far they agree with those of masks

# The environment: made once, and made anew when the dependencies change.
$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

# A parameter's file is written only if its value has changed; only what depends on it is redone.
$(RUN)/params/data: params := $$DATA
$(RUN)/params/preset: params := $(PRESET)
$(RUN)/params/train: params := $(STEPS) $(SEED)
$(RUN)/params/%: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$(params)" | cmp -s - $@ || printf '%s\n' "$(params)" > $@

# $(call begun,FOLDER,TEXT): a stage that was begun with other settings begins anew; one that was
# stopped goes on. $(call tolerated,STAGE,COMMAND): exit 3 (some photographs failed) is noted for
# `all`, which fails after the report.
begun = if [ "$$(cat $(1).begun 2>/dev/null)" != "$(2)" ]; then \
	rm -rf $(1) && printf '%s\n' "$(2)" > $(1).begun; fi
tolerated = $(2); code=$$?; rm -f $(RUN)/$(1).failed; if [ $$code -eq 3 ]; then \
	echo '$(1): some photographs failed, the report lists them' > $(RUN)/$(1).failed; \
	else exit $$code; fi

$(RUN)/phantoms/manifest.json: | $(READY)
	$(FUNDUSSEG) phantom $(@D) --count 32 --jobs $(JOBS)

$(RUN)/shards/manifest.json: $(if $(DATA),,$(RUN)/phantoms/manifest.json)
# prep sees what has changed in DATA, which takes a moment, and leaves a manifest as it is, and so
# all that depends on it, where nothing has.
$(RUN)/shards/manifest.json: $(if $(DATA)$(wildcard $(RUN)/prep.failed),FORCE)
$(RUN)/shards/manifest.json: $(RUN)/params/data $(RUN)/params/preset | $(READY)
	@$(call begun,$(@D),$(PRESET) $$DATA)
	$(call tolerated,prep,$(FUNDUSSEG) prep "$${DATA:-$(RUN)/phantoms}" $(@D) \
		--preset $(PRESET) --jobs $(JOBS))

$(RUN)/model/manifest.json: $(RUN)/shards/manifest.json $(RUN)/params/train | $(READY)
	@$(call begun,$(@D),$(STEPS) $(SEED) $$(sha256sum < $<))
	$(FUNDUSSEG) train $(RUN)/shards $(@D) --steps $(STEPS) --seed $(SEED) --jobs $(JOBS)

$(RUN)/maps/manifest.json: $(RUN)/model/manifest.json | $(READY)
	@$(call begun,$(@D),$$(sha256sum < $<))
	$(call tolerated,infer,$(FUNDUSSEG) infer $(RUN)/shards $(@D) --split test \
		--model $(RUN)/model --probability --jobs $(JOBS))

$(RUN)/score/manifest.json: $(RUN)/maps/manifest.json | $(READY)
	$(call tolerated,score,$(FUNDUSSEG) score $(RUN)/maps $(RUN)/shards --split test \
		--out $(@D) --jobs $(JOBS))

# After score, so that what is wrong with the masks is said once.
$(RUN)/measures/vessels.csv: $(RUN)/score/manifest.json | $(READY)
	@$(call begun,$(@D),$$(sha256sum < $<))
	@mkdir -p $(@D)
	$(call tolerated,measure,$(FUNDUSSEG) measure $(RUN)/maps $@ --compare $(RUN)/shards \
		--split test --jobs $(JOBS) > $(@D)/agreement.md)
	@touch $@

# The report again, one folder up, with a few of the measures.
$(RUN)/report.md: $(RUN)/measures/vessels.csv
	$(PYTHON) -m bin.run_report $(RUN) > $@

test: $(READY) ## the tests (FUNDUSSEG_DATA names a folder of real data sets, if there is one)
	.venv/bin/python -m pytest -n auto

# The lowest versions that setup.cfg admits, in an environment of their own.
OLDEST := .venv-oldest/.ready
$(OLDEST): setup.cfg
	$(PYTHON) -m venv .venv-oldest
	sed -n 's/^    \([a-z0-9-]*\)>=\([^,]*\).*/\1==\2/p' setup.cfg > .venv-oldest/lowest.txt
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint .venv-oldest/lowest.txt --editable '.[test]'
	touch $@

test-oldest: $(OLDEST) ## the tests with the lowest versions that setup.cfg admits
	.venv-oldest/bin/python -m pytest -n auto

test-slurm: $(READY) ## the job chain on a Slurm that runs here (root; FUNDUSSEG_SLURM=required installs it)
	.venv/bin/python -m pytest -m slurm tests/slurm

faults: $(READY) ## every fault at every write, bad inputs, fuzzing (an hour); tables on stdout
	.venv/bin/python -m tests.faults
	.venv/bin/python -m tests.faults.fuzzing --seconds 30

lint: $(READY) ## style, types and errors that can be seen without running
	.venv/bin/ruff format --check $(LINTED)
	.venv/bin/ruff check $(LINTED)
	.venv/bin/mypy
	.venv/bin/shellcheck --external-sources --severity=warning $(SHELL_SCRIPTS)

bench: $(READY) ## time and memory, written to docs/bench.md and docs/scale.md
	.venv/bin/python -m tests.bench

FIGURES := $(patsubst %,docs/figures/%.md,CHASE_DB1 HRF LES-AV)
figures: $(FIGURES) ## the split model on DATA/CHASE_DB1, HRF and LES-AV, to docs/figures
docs/figures/LES-AV.md: part := all
docs/figures/%.md: part := test
$(FIGURES): docs/figures/%.md: fundusseg/weights/split/manifest.json | $(READY)
	@mkdir -p $(@D)
	$(FUNDUSSEG) prep "$$DATA/$*" runs/figures/$*/shards
	$(FUNDUSSEG) infer runs/figures/$*/shards runs/figures/$*/maps --split $(part) \
		--probability --model split
	$(FUNDUSSEG) score runs/figures/$*/maps runs/figures/$*/shards --split $(part) \
		$(if $(filter test,$(part)),--baseline) --out runs/figures/$*/score > /dev/null
	sed -e '1s/.*/# The split model on $*, which it was not trained on/; /^!\[/d; /^## Plots/d' \
		runs/figures/$*/score/report.md | cat -s > $@

man: $(READY) ## the manual pages and the lists of options in docs/reference.md, from the code
	.venv/bin/python -m bin.manual

picture: docs/example.jpg ## the picture of README.md: photograph, map and outlines of a phantom
DRAWN := runs/picture/phantom/train/images/phantom-0001.png
docs/example.jpg: maps := runs/picture/maps/train/images/phantom-0001
docs/example.jpg: | $(READY)
	$(FUNDUSSEG) phantom runs/picture/phantom --count 1 --size 704 --seed 3
	$(FUNDUSSEG) infer runs/picture/phantom runs/picture/maps --overlay
	.venv/bin/python -m bin.picture $(DRAWN) $(maps).png $(maps).overlay.png $@

include bin/models.mk
include bin/notebook.mk

clean: ## remove the demo's run; other runs stay
	rm -rf runs/demo
