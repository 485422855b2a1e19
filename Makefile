# From a folder of photographs with masks to a report:  make all DATA=path/to/CHASE_DB1
# Without DATA it draws a synthetic data set and works on that. `make help` lists everything.

.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help
SHELL := /bin/bash

# What a user may set ---------------------------------------------------------------------
DATA ?=
PRESET ?= native
STEPS ?= $(if $(DATA),2000,450)
SEED ?= 1
JOBS ?= 0
PYTHON ?= python3

# Names: RUN is runs/demo, or runs/<last part of DATA> with blanks as underscores. --------
empty :=
space := $(empty) $(empty)
data_name := $(shell basename -- "$(DATA)" 2>/dev/null | tr ' ' '_')
RUN ?= runs/$(if $(DATA),$(data_name),demo)
VENV := .venv
READY := $(VENV)/.ready
FUNDUSSEG := bin/fundusseg
SRC := $(if $(DATA),$(DATA),$(RUN)/phantoms)

SHARDS := $(RUN)/shards/manifest.json
MODEL := $(RUN)/model/manifest.json
MAPS := $(RUN)/maps/manifest.json
SCORE := $(RUN)/score/manifest.json
REPORT := $(RUN)/report.md
PHANTOMS := $(if $(DATA),,$(RUN)/phantoms/manifest.json)

.PHONY: help all prep train infer score test lint bench clean FORCE

help: ## this list
	@echo 'fundusseg: vessel maps from retinal photographs'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@echo
	@echo '  DATA=    data set folder (empty: a synthetic set is drawn), now "$(DATA)"'
	@echo '  RUN=     where everything is written, now $(RUN)'
	@echo '  PRESET=  native or pix2pix, now $(PRESET)'
	@echo '  STEPS=   training steps, now $(STEPS)'
	@echo '  SEED=    seed of the training, now $(SEED)'
	@echo '  JOBS=    threads, 0: one per free core, now $(JOBS)'

all: $(REPORT) ## photographs to RUN/report.md: prep, train, infer, score
	@cat $(RUN)/failures 2>/dev/null; test ! -s $(RUN)/failures

prep: $(SHARDS) ## data set to shards
train: $(MODEL) ## shards to a model
infer: $(MAPS) ## photographs of the test part to maps
score: $(SCORE) ## maps to figures

# The environment: made once, made anew when the dependencies change. ---------------------
$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

# A parameter's file changes only if its value does, so that only what depends on it is redone.
define remembered
$(RUN)/params/$(1): FORCE | $(RUN)/params
	@printf '%s\n' '$(2)' | cmp -s - $$@ || printf '%s\n' '$(2)' > $$@
endef
$(eval $(call remembered,data,$(DATA)))
$(eval $(call remembered,preset,$(PRESET)))
$(eval $(call remembered,train,$(STEPS) $(SEED)))

$(RUN)/params:
	mkdir -p $@

# The stages, chained by their manifests. Exit 3 means that some photographs failed: the
# work goes on, the report lists them, and `make all` fails at its end.
define tolerant
@echo '$(1)'; $(1); code=$$?; \
	if [ $$code -eq 3 ]; then echo '$(2): some photographs failed' > $(RUN)/failed-$(2); \
	else rm -f $(RUN)/failed-$(2); exit $$code; fi
endef

$(RUN)/phantoms/manifest.json: | $(READY)
	$(FUNDUSSEG) phantom $(RUN)/phantoms --count 32 --seed 1 --jobs $(JOBS)

$(SHARDS): $(PHANTOMS) $(RUN)/params/data $(RUN)/params/preset | $(READY)
	$(call tolerant,$(FUNDUSSEG) prep "$(SRC)" $(RUN)/shards --preset $(PRESET) --jobs $(JOBS) --force,prep)

$(MODEL): $(SHARDS) $(RUN)/params/train | $(READY)
	$(FUNDUSSEG) train $(RUN)/shards $(RUN)/model --steps $(STEPS) --seed $(SEED) --jobs $(JOBS) $(call stale,$(RUN)/model)

$(MAPS): $(MODEL) $(SHARDS) | $(READY)
	$(call tolerant,$(FUNDUSSEG) infer $(RUN)/shards $(RUN)/maps --split test --model $(RUN)/model --probability --jobs $(JOBS) --force,infer)

$(SCORE): $(MAPS) | $(READY)
	$(call tolerant,$(FUNDUSSEG) score $(RUN)/maps $(RUN)/shards --out $(RUN)/score --jobs $(JOBS) > $(RUN)/table.md,score)

$(REPORT): $(SCORE)
	cp $(RUN)/score/report.md $@
