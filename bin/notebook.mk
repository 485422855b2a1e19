# The notebook that this project grew from: the same network trained the same way, the same tables,
# and the same photographs through a model that was trained on none of them.
#   make notebook DATA=path/to/set                one data set with its own split
#   make notebook-ablation DATA=path/to/set       adds what the adversary brought
#   make notebook-reference DATA=folder/of/sets   what docs/notebook holds

KAGGLE ?= /kaggle/input
TRAIN_SETS ?=
TEST_SETS ?= $(TRAIN_SETS)
N := $(RUN)/notebook
REPORT ?= $(N)/report
NOTEBOOK_REPORT := bin/notebook-report
BATCHNORM := .venv/bin/python -m tests.bench.batchnorm
NOTEBOOK_STEPS := $(if $(filter file,$(origin STEPS)),7838,$(STEPS))
ABLATION_STEPS ?= 1400
ABLATIONS := L1-1 L1-2 L1+adversarial-1 L1+adversarial-2
# The model beside it should not have seen the test photographs, as the final one may have.
RIVAL := $(if $(wildcard fundusseg/weights/split/config.json),split,default)
# The reference runs: as long as the notebook's on five sets, where this network comes to draw
# nothing, and half as long on one camera, where it learns (docs/notebook.md).
FIVE_SETS := TRAIN_SETS='CHASE_DB1 HRF ARIA DR-HAGIS ORVS' TEST_SETS='CHASE_DB1 HRF LES-AV'
ONE_CAMERA := CHASE_DB1
ONE_CAMERA_STEPS := $(if $(filter file,$(origin STEPS)),4000,$(STEPS))
REFERENCE := $(if $(filter file,$(origin REPORT)),docs/notebook,$(REPORT))

# Without sets, DATA is one, and goes by the name "data".
train_sets := $(or $(TRAIN_SETS),data)
test_sets := $(or $(TEST_SETS),data)
source = "$$DATA$(if $(TRAIN_SETS),/$*)"
side = $(if $(filter $*,$(test_sets)),$(if $(filter $*,$(train_sets)),auto,test),train)

# $(call stamps,FOLDER,NAMES,REST): the manifests FOLDER/NAME/REST/manifest.json.
stamps = $(patsubst %,$(N)/$(1)/%/$(3)/manifest.json,$(2))
shards := $(call stamps,shards,$(sort $(train_sets) $(test_sets)),pix2pix)
rival_shards := $(call stamps,shards,$(test_sets),native)
maps := $(call stamps,maps,$(test_sets),pix2pix)
rival_maps := $(call stamps,maps,$(test_sets),$(RIVAL))
scores := $(call stamps,score,$(test_sets),native)
small_scores := $(call stamps,score,$(test_sets),256)
costs := $(foreach model,pix2pix $(RIVAL),$(patsubst %,$(N)/cost/%/$(model)/several.txt,$(test_sets)))
train_shards := $(call stamps,shards,$(train_sets),pix2pix)
ablation_models := $(patsubst %,$(N)/ablation/model/%/manifest.json,$(ABLATIONS))
ablation_maps := $(foreach run,$(ABLATIONS),$(call stamps,ablation/maps,$(test_sets),$(run)))
ablation_scores := $(call stamps,ablation/score,$(test_sets),native)
ablation_small_scores := $(call stamps,ablation/score,$(test_sets),256)
all_ablation_scores := $(ablation_scores) $(ablation_small_scores)

fail_if_some_failed = @found=$$(find $(N) -name '*.failed' -exec cat {} +); [ -z "$$found" ] || \
	{ echo "$$found" >&2; exit 1; }

.PHONY: notebook notebook-ablation notebook-reference notebook-batchnorm notebook-repeat

ifneq ($(DATA),)
notebook: $(REPORT)/report.md ## the notebook's network and tables, on DATA or on Kaggle's input
	$(fail_if_some_failed)
notebook-ablation: $(REPORT)/report.md $(all_ablation_scores) ## and what the adversary brings
	$(NOTEBOOK_REPORT) $(N) $(REPORT)
	$(fail_if_some_failed)
notebook-reference: ## on DATA/CHASE_DB1, HRF and others, and on CHASE_DB1 alone, to docs/notebook
	$(MAKE) notebook $(FIVE_SETS) REPORT='$(REFERENCE)/five-sets'
	$(MAKE) notebook-ablation notebook-batchnorm DATA="$$DATA/$(ONE_CAMERA)" \
		RUN='$(RUN)/$(ONE_CAMERA)' STEPS=$(ONE_CAMERA_STEPS) REPORT='$(REFERENCE)/$(ONE_CAMERA)'
# BatchNorm at prediction, which the notebook leaves open, by moving averages and otherwise.
notebook-batchnorm: $(REPORT)/report.md
	$(BATCHNORM) $(N)/model $(patsubst %/,%,$(dir $(train_shards))) > $(REPORT)/batchnorm.md
else
notebook notebook-ablation:
	@test -d $(KAGGLE) || { echo 'make $@: DATA= must name a folder of photographs and masks' >&2; \
		exit 1; }
	@$(MAKE) $@ DATA=$(KAGGLE)
notebook-reference:
	@echo 'make $@: DATA= must name the folder of the data sets' >&2; exit 1
endif

$(REPORT)/report.md: $(N)/model/manifest.json $(scores) $(small_scores) $(costs)
	$(NOTEBOOK_REPORT) $(N) $(REPORT)

$(RUN)/params/notebook: params := $(NOTEBOOK_STEPS) $(SEED) $(train_sets)
$(RUN)/params/ablation: params := $(ABLATION_STEPS) $(train_sets)

# $(call begin,SETTINGS): what a stage is begun with are these and the manifests it depends on.
# $(call go_on,COMMAND): run it; photographs that fail are noted in FOLDER.failed.
inputs = $(filter %/manifest.json,$^)
begin = mkdir -p $(@D); $(call begun,$(@D),$(1) $$(cat $(inputs) < /dev/null | sha256sum)); \
	mkdir -p $(@D)
go_on = $(call tolerated,$(patsubst $(RUN)/%,%,$(@D)),$(1))

$(shards): $(N)/shards/%/pix2pix/manifest.json: $(RUN)/params/data | $(READY)
	@$(call begin,$(side) $$DATA)
	$(call go_on,$(FUNDUSSEG) prep $(source) $(@D) --preset pix2pix --split $(side) --jobs $(JOBS))

$(rival_shards): $(N)/shards/%/native/manifest.json: $(RUN)/params/data | $(READY)
	@$(call begin,$(side) $$DATA)
	$(call go_on,$(FUNDUSSEG) prep $(source) $(@D) --split $(side) --jobs $(JOBS))

$(N)/model/manifest.json: $(train_shards) $(RUN)/params/notebook | $(READY)
	@$(call begin,$(NOTEBOOK_STEPS) $(SEED))
	$(train) --steps $(NOTEBOOK_STEPS) --seed $(SEED)

# A training's processor seconds stand in its folder, a line for each time it was gone on with.
train = bin/cpu-seconds $(@D)/cpu-seconds.txt $(FUNDUSSEG) train \
	$(patsubst %/,%,$(dir $(train_shards))) $(@D) --jobs $(JOBS)
infer = $(FUNDUSSEG) infer $(<D) $(@D) --split test --probability --jobs $(JOBS)

$(maps): $(N)/maps/%/pix2pix/manifest.json: $(N)/shards/%/pix2pix/manifest.json \
		$(N)/model/manifest.json
	@$(call begin)
	$(call go_on,$(infer) --model $(N)/model)

$(rival_maps): $(N)/maps/%/$(RIVAL)/manifest.json: $(N)/shards/%/native/manifest.json \
		fundusseg/weights/$(RIVAL)/manifest.json
	@$(call begin)
	$(call go_on,$(infer) --model $(RIVAL))

# $(call score,OPTIONS): the maps that the target depends on against the masks in the shards.
score = $(call go_on,$(FUNDUSSEG) score \
	$(patsubst %/,%,$(dir $(inputs))) $(N)/shards/$*/pix2pix --split test --out $(@D) \
	$(1) --jobs $(JOBS) > /dev/null)
both = $(N)/maps/%/pix2pix/manifest.json $(N)/maps/%/$(RIVAL)/manifest.json

$(scores): $(N)/score/%/native/manifest.json: $(both)
	@mkdir -p $(@D)
	$(call score)

$(small_scores): $(N)/score/%/256/manifest.json: $(both)
	@mkdir -p $(@D)
	$(call score,--at prepared)

# Processor seconds of one photograph and of a third of them: the difference has no start-up in it.
define cost
@mkdir -p $(@D)
@for run in 'one 1000000' 'several 3'; do \
	set -- $$run; rm -rf $(@D)/$$1 $(@D)/$$1.txt; \
	bin/cpu-seconds $(@D)/$$1.txt $(FUNDUSSEG) infer $(source) $(@D)/$$1 --shard 0 \
		--num-shards $$2 --jobs 1 --quiet --model $(1) || [ $$? -eq 3 ] || exit 1; done
endef

$(filter %/pix2pix/several.txt,$(costs)): $(N)/cost/%/pix2pix/several.txt: $(N)/model/manifest.json
	$(call cost,$(N)/model)

$(filter %/$(RIVAL)/several.txt,$(costs)): $(N)/cost/%/$(RIVAL)/several.txt: \
		fundusseg/weights/$(RIVAL)/manifest.json $(RUN)/params/data | $(READY)
	$(call cost,$(RIVAL))

# LOSS-SEED: with the preset's weight of the adversary, or without.
$(ablation_models): $(N)/ablation/model/%/manifest.json: $(train_shards) $(RUN)/params/ablation
	@$(call begin,$(ABLATION_STEPS))
	$(train) --steps $(ABLATION_STEPS) --seed $(lastword $(subst -, ,$*)) \
		$(if $(filter L1-%,$*),--adversarial-weight 0)

define ablation_maps_of
$(call stamps,ablation/maps,$(test_sets),$(1)): $(N)/ablation/maps/%/$(1)/manifest.json: \
		$(N)/shards/%/pix2pix/manifest.json $(N)/ablation/model/$(1)/manifest.json
	@$$(call begin)
	$$(call go_on,$$(infer) --model $(N)/ablation/model/$(1))
endef
$(foreach run,$(ABLATIONS),$(eval $(call ablation_maps_of,$(run))))
all_four = $(foreach run,$(ABLATIONS),$(N)/ablation/maps/%/$(run)/manifest.json)

$(ablation_scores): $(N)/ablation/score/%/native/manifest.json: $(all_four)
	@mkdir -p $(@D)
	$(call score)

$(ablation_small_scores): $(N)/ablation/score/%/256/manifest.json: $(all_four)
	@mkdir -p $(@D)
	$(call score,--at prepared)

REPEAT ?= 100:53
notebook-repeat: $(READY) ## the whole network twice, and stopped at 53 of 100 steps: the same?
	FUNDUSSEG_REPEAT=$(REPEAT) .venv/bin/python -m pytest -n 0 tests/commands/test_repeat.py
