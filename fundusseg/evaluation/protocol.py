"""The protocol: what a reader must know to compare the figures with others."""

from collections import Counter
from itertools import compress

from fundusseg.config import DEFAULT_THRESHOLD
from fundusseg.datasets.maps import MapFolder
from fundusseg.evaluation.image import SIMILARITY_SIZE_PX, TOLERANCE_DIAMETER_PX
from fundusseg.evaluation.matching import Pairing, seen_in_training
from fundusseg.evaluation.scoring import Evaluation, ImageSize
from fundusseg.evaluation.systems import BASELINE, ORACLE, Cohort, System
from fundusseg.files.manifest import package_versions
from fundusseg.files.names import escaped
from fundusseg.metrics.intervals import LEAST_RESAMPLED, LEAST_SUBJECTS, N_RESAMPLES
from fundusseg.options import ScoreOptions
from fundusseg.report.markdown import plain
from fundusseg.wording import counted

MOST_SIZES = 3
_FIELDS = {  # by the method by which it is known
    "given": "given by a mask",
    "circle": "found as a circle",
    "hull": "found as the hull of what is lit",
    "frame": "taken for the whole frame, as none was found,",
}


def protocol(evaluation: Evaluation) -> dict[str, str]:
    """What was scored, and how: a statement for each topic, in the order of the report."""
    statements = {
        "truth": _truth(evaluation),
        "images": _images(evaluation),
        "size": _size(evaluation),
        "region": _region(evaluation),
    }
    for pairing in evaluation.pairings:
        statements[f"maps in {plain(escaped(pairing.label))}"] = _maps(evaluation, pairing)
    if evaluation.baseline is not None:
        statements[BASELINE] = (
            "Sato's filter on the green channel at fixed scales, threshold "
            f"{evaluation.baseline.threshold:.4f}: the one with the highest Dice on "
            f"{evaluation.baseline.n_images} train images"
        )
    statements |= {"mean": _mean(evaluation.cohort), **_definitions()}
    if any(system.role == ORACLE for system in evaluation.systems):
        statements["oracle"] = (
            "the maps at the threshold with the highest mean Dice on these very images "
            "(small objects counted when it is chosen, then left out as infer does): what a better "
            "threshold could gain, not a result"
        )
    return statements | {"versions": _versions()}


def _truth(evaluation: Evaluation) -> str:
    truth = evaluation.truth
    layout = f", layout {truth.layout}" if truth.layout else ""
    return f"{plain(escaped(truth.root.resolve().name))} ({truth.kind}{layout}), first observer"


def _images(evaluation: Evaluation) -> str:
    cohort = evaluation.cohort
    part = "whole data set" if evaluation.split == "all" else f"{evaluation.split} part"
    subjects = counted(len(set(cohort.counted_subjects)), "subject")
    n_excluded = len(evaluation.items) - sum(cohort.counted)
    statement = f"{counted(sum(cohort.counted), 'image')} of {subjects}, from the {part}"
    if n_excluded:
        statement += f"; {n_excluded} more excluded from all means: a map is missing or failed"
    if evaluation.left_out:
        statement += f"; {evaluation.left_out} left out, {_patterns(evaluation.options)}"
    if evaluation.truth.unlabelled:
        unlabelled = counted(evaluation.truth.unlabelled, "photograph")
        statement += f"; {unlabelled} of the truth without a mask"
    return statement


def _patterns(options: ScoreOptions) -> str:
    """--include and --exclude as they were given."""
    given = (("--include", options.include), ("--exclude", options.exclude))
    return ", ".join(f"{word} {plain(escaped(glob))}" for word, globs in given for glob in globs)


def _counted_sizes(evaluation: Evaluation) -> list[ImageSize]:
    """Of the images that are in the means; of all, if none is."""
    sizes, are_in = evaluation.sizes, evaluation.cohort.counted
    return list(filter(None, compress(sizes, are_in))) or list(filter(None, sizes))


def _size(evaluation: Evaluation) -> str:
    sizes = Counter(f"{size.width_px}x{size.height_px}" for size in _counted_sizes(evaluation))
    common = ", ".join(size for size, _ in sizes.most_common(MOST_SIZES))
    others = len(sizes) - MOST_SIZES
    more = f" and {counted(others, 'other size')}" if others > 0 else ""
    if evaluation.options.at == "prepared":
        return f"prepared ({common}): truth and maps are resampled to the shards' frame"
    return f"native ({common}{more}), truth and maps are not resampled"


def _region(evaluation: Evaluation) -> str:
    methods = Counter(size.fov_method for size in _counted_sizes(evaluation))
    n_without = methods.pop("", 0)
    known = ", ".join(
        f"{_FIELDS.get(method, method)} for {counted(count, 'image')}"
        for method, count in sorted(methods.items())
    )
    if evaluation.options.whole_frame:
        return "whole frame, including the pixels outside the field of view"
    if not known:
        return "whole frame: the field of view is not known (--fov provides one)"
    rest = f"; the whole frame of {counted(n_without, 'image')} without one" if n_without else ""
    if evaluation.has_infers_fields:
        return f"inside the circle that infer's status.tsv has of the field of view: {known}{rest}"
    return f"inside the field of view: {known}{rest}"


def _maps(evaluation: Evaluation, pairing: Pairing) -> str:
    statement = _thresholding(evaluation, pairing)
    if pairing.folder.unlisted:
        unlisted = counted(len(pairing.folder.unlisted), "map")
        statement += f"; {unlisted} not scored: not in its status.tsv"
    return "; ".join([statement, *remarks(evaluation, pairing)])


def remarks(evaluation: Evaluation, pairing: Pairing) -> list[str]:
    """What a reader must know before the figures of a PRED mean anything; mostly nothing."""
    return [*filter(None, (training_overlap(pairing), _emptiness(evaluation, pairing)))]


def _emptiness(evaluation: Evaluation, pairing: Pairing) -> str:
    counts = _system_of(evaluation, pairing).pool.counts
    if not counts.n_px or counts.tp or counts.fp:
        return ""
    threshold = evaluation.options.threshold
    threshold = pairing.folder.threshold if threshold is None else threshold
    reached = "" if threshold is None else f": no pixel reaches the threshold {threshold:g}"
    return f"every map is empty{reached}; a model of few steps has learnt nothing yet"


def training_overlap(pairing: Pairing) -> str:
    seen = seen_in_training(pairing)
    if not any(seen.values()):
        return ""
    photographs = counted(len(pairing.maps), "photograph")
    return (
        f"the model learnt from {seen['train']} of {photographs} scored, and "
        f"{seen['validation']} validated its training"
    )


def _thresholding(evaluation: Evaluation, pairing: Pairing) -> str:
    folder, override = pairing.folder, evaluation.options.threshold
    if _system_of(evaluation, pairing).is_binary:
        return "binary, as stored" + ("" if override is None else "; --threshold does not apply")
    if override is not None:
        told = f"threshold {override:g}, from --threshold{_scale(folder)}"
        return f"{told}, small objects left out as by infer"
    if folder.threshold is None:
        return (
            f"binary maps as stored; threshold {DEFAULT_THRESHOLD:g} where there are only "
            "probabilities"
        )
    source = folder.threshold_source or "the model's"
    model = f", model {folder.model_sha256[:12]}" if folder.model_sha256 else ""
    told = f"threshold {folder.threshold:g} from infer's manifest ({escaped(source)}){model}"
    return told + _scale(folder)


def _system_of(evaluation: Evaluation, pairing: Pairing) -> System:
    return next(system for system in evaluation.systems if system.label == pairing.label)


def _scale(folder: MapFolder) -> str:
    """What a threshold is held against, where infer's manifest tells."""
    if folder.threshold is None:
        return ""
    return ", on " + ("calibrated probabilities" if folder.calibration else "raw scores")


def _mean(cohort: Cohort) -> str:
    n_subjects = len(set(cohort.counted_subjects))
    if n_subjects < LEAST_SUBJECTS:
        own = f"too few ({n_subjects}) for an interval"
    elif n_subjects < LEAST_RESAMPLED:
        own = f"{n_subjects}, so a cluster-robust t interval"
    else:
        own = f"{n_subjects}, so a percentile bootstrap interval"
    return (
        f"over images, with a 95 % interval over subjects; here {own}. Percentile bootstrap, "
        f"{N_RESAMPLES:,} draws of whole subjects (seed {cohort.seed}), from {LEAST_RESAMPLED} "
        "subjects on; below, cluster-robust t with a degree of freedom less than subjects, cut at "
        f"the figure's range; none below {LEAST_SUBJECTS}. Differences are paired by image"
    )


def _definitions() -> dict[str, str]:
    return {
        "pooled": "one figure from the pixels of all images together",
        "undefined": (
            "n/a, left out of the mean and counted; two empty masks agree (1), an empty and a "
            "non-empty one do not (0, HD95 infinite)"
        ),
        "AUROC, AUPRC": "exact at 16 bits; AUPRC is average precision, without interpolation",
        "clDice": "on Zhang and Suen's skeletons (scikit-image) of the masks inside the region",
        "NSD": (
            f"tolerance 1 and 2 px at a field of view of {TOLERANCE_DIAMETER_PX} px, scaled to "
            "each image's; NSD and HD95 as defined by DeepMind's surface-distance; HD95 in px of "
            "the size scored"
        ),
        "connected components": "8-connectivity",
        "ECE": "of the vessel probability, 15 bins of equal width",
        "MSE, SSIM, PSNR": (
            f"whole maps averaged to {SIMILARITY_SIZE_PX}x{SIMILARITY_SIZE_PX}, in [-1, 1] (data "
            "range 2); SSIM with a Gaussian window of 1.5 px, without its borders; measures of "
            "image translation, not of segmentation"
        ),
    }


def _versions() -> str:
    versions = package_versions()
    names = ("fundusseg", "numpy", "scipy", "scikit-image")
    return ", ".join(f"{name} {versions[name]}" for name in names)
