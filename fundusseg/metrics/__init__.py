"""Figures of merit for vessel maps: pure functions on arrays, which open no file.

overlap      Dice, IoU, sensitivity, specificity, precision, accuracy, MCC from pixel counts
curves       ROC and precision-recall curves, AUROC and AUPRC from histograms of the scores
centreline   clDice (centreline Dice), number of connected components
boundary     normalised surface distance, Hausdorff 95
calibration  Brier score, expected calibration error, reliability curve
similarity   MSE, PSNR, SSIM of two maps in [-1, 1]
agreement    limits of agreement, ICC(2,1) and Spearman of two measures of the same
intervals    intervals of a mean over images, from few subjects and from many
checks       what the others refuse: arrays of another shape or type

Counts, histograms and bins are small objects with `of(...)` and `+`: add those of several images
for the figure pooled over pixels, or keep them and recompute every figure later.

Everywhere: `where` is the field of view, None is the whole frame. With no pixel to compare every
figure is NaN. Two empty masks agree (1.0, at a distance of 0 px); an empty mask and another
disagree (0.0, at a distance of infinity). A rate without a case to be right about is NaN.
"""
