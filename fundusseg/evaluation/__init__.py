"""Vessel maps compared with manual masks: what score does between reading and printing.

study             what is compared with what: truth, items, maps, options
matching          which map belongs to which item of the truth
strata            groups of items that are also summarised separately
image             one map against one mask: counts and figures
trained_baseline  the classical filter's threshold and maps
scoring           the loop over images; the study with its scores
systems           the scores of one PRED, observer, baseline or oracle
summary           rows of the tables: means with intervals, pooled, paired, by stratum
row_formats       these rows as cells and as JSON
metrics_tsv       metrics.tsv, one line per image and system
protocol          what a reader must know to compare the figures
pictures          plots and galleries
report            what is printed, and the folder of a report
cache             whether a finished report is up to date
"""
