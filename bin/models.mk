# The models that ship, from the seven data sets in DATA (docs/recipe.md): the split model, one
# model for each set left out, the final one, and the spread over seeds. Part of the Makefile.

SETS := CHASE_DB1 HRF LES-AV ARIA DR-HAGIS ORVS GAVE
SPLIT_SETS := $(filter-out LES-AV,$(SETS))
PHANTOMS := 200
MODELS := runs/models
SHIP_MODEL := bin/ship-model
FULL_STEPS := 12000
THIRD_STEPS := 4000
LEFT_OUT := $(SETS:%=$(MODELS)/without-%)

.PHONY: reproduce-default
reproduce-default: $(MODELS)/default/manifest.json ## train the shipped models anew, from the sets in DATA
reproduce-default: $(MODELS)/split/manifest.json
reproduce-default: $(patsubst %,$(MODELS)/split-seed-%/manifest.json,2 3)
reproduce-default: $(LEFT_OUT:=/shipped/manifest.json)

# The sets without a test part of their own are trained on as a whole.
$(MODELS)/shards/%/manifest.json: | $(READY)
	$(FUNDUSSEG) prep "$$DATA/$*" $(@D) --jobs $(JOBS) \
		--split $(if $(filter ARIA DR-HAGIS ORVS GAVE,$*),train,auto)

# Every model learns from phantoms too, none is measured on them.
$(MODELS)/phantoms/manifest.json: | $(READY)
	$(FUNDUSSEG) phantom $(@D) --count $(PHANTOMS) --size 704 --appearance varied --jobs $(JOBS)
$(MODELS)/shards/phantoms/manifest.json: $(MODELS)/phantoms/manifest.json
	$(FUNDUSSEG) prep $(<D) $(@D) --jobs $(JOBS) --split train

shards_of = $(1:%=$(MODELS)/shards/%/manifest.json)
$(MODELS)/split-seed-1/manifest.json: steps := $(FULL_STEPS)
$(MODELS)/split-seed-%/manifest.json: steps := $(THIRD_STEPS)
$(MODELS)/split-seed-%/manifest.json: $(call shards_of,$(SPLIT_SETS) phantoms)
	$(FUNDUSSEG) train $(^D) $(@D) --steps $(steps) --seed $* --jobs $(JOBS)

# The left-out models and the final one learn in two stages, the second from the weights of the
# first; what ships is a mean of both (docs/recipe.md).
first_stage = $(FUNDUSSEG) train $(1) $(@D) --split all --config bin/first-stage.toml \
	--steps $(2) --jobs $(JOBS)
second_stage = $(FUNDUSSEG) train $(1) $(@D) --split all --start-from $(@D)-first \
	--steps $(2) --jobs $(JOBS)
$(MODELS)/without-%/model-first/manifest.json: $(call shards_of,$(SETS))
	$(call first_stage,$(filter-out $(MODELS)/shards/$*,$(^D)),$(THIRD_STEPS))
$(MODELS)/without-%/model/manifest.json: $(call shards_of,$(SETS) phantoms) \
		$(MODELS)/without-%/model-first/manifest.json
	$(call second_stage,$(filter-out %/$* %-first,$(^D)),$(THIRD_STEPS))

$(MODELS)/without-%/mean/manifest.json: $(MODELS)/without-%/model/manifest.json
	$(SHIP_MODEL) $(<D) $(abspath $(@D)) --before $(<D)-first

$(MODELS)/without-%/maps/manifest.json: $(MODELS)/without-%/mean/manifest.json
	$(FUNDUSSEG) infer $(MODELS)/shards/$* $(@D) --split all --probability --model $(<D)

$(MODELS)/final-first/manifest.json: $(call shards_of,$(SETS))
	$(call first_stage,$(^D),$(FULL_STEPS))
$(MODELS)/final/manifest.json: $(call shards_of,$(SETS) phantoms) $(MODELS)/final-first/manifest.json
	$(call second_stage,$(filter-out %-first,$(^D)),$(FULL_STEPS))

$(MODELS)/split/manifest.json: $(MODELS)/split-seed-1/manifest.json
	$(SHIP_MODEL) $(<D) $(abspath $(@D))

# $(call maps_and_shards,SETS): what a threshold is chosen on.
maps_and_shards = $(foreach set,$(1),$(MODELS)/without-$(set)/maps $(MODELS)/shards/$(set))

# Its threshold is chosen on the other sets, so on nothing of the one that it left out.
$(MODELS)/without-%/shipped/manifest.json: $(LEFT_OUT:=/maps/manifest.json)
	$(SHIP_MODEL) $(MODELS)/without-$*/mean $(abspath $(@D)) \
		$(call maps_and_shards,$(filter-out $*,$(SETS)))

$(MODELS)/default/manifest.json: $(MODELS)/final/manifest.json $(LEFT_OUT:=/maps/manifest.json)
	$(SHIP_MODEL) $(<D) $(abspath $(@D)) $(call maps_and_shards,$(SETS)) --before $(<D)-first

# Trials of other recipes (docs/trials): what is changed, from which base (tests/bench/trials.py).
BASE ?= scratch
SEEDS ?= 1
TRIALS ?= $(basename $(notdir $(wildcard docs/trials/$(trial_group)/*.json)))
TRIAL := .venv/bin/python -m tests.bench.trials
trial_group = $(if $(filter scratch,$(BASE)),recipe,second-stage)
trials_done = $(foreach seed,$(SEEDS),$(TRIALS:%=runs/trials/$(BASE)/%-$(seed)/done))

.PHONY: trials
trials: $(trials_done) ## other recipes, from BASE, with the sets in DATA, to runs/trials/BASE.md
	$(TRIAL) table $(BASE) runs/trials > runs/trials/$(BASE).md
runs/trials/$(BASE)/%/done: $(call shards_of,$(SETS))
	$(TRIAL) run $(BASE) $* $(MODELS)/shards runs/trials
	touch $@
