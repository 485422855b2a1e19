"""The protocol: what a reader must know to compare the figures with others'."""

from collections import Counter

from fundusseg.io.manifest import package_versions
from fundusseg.io.status import escaped
from fundusseg.report.markdown import plain
from fundusseg.stages.scoring.image import SIMILARITY_SIZE_PX, TOLERANCE_DIAMETER_PX
from fundusseg.stages.scoring.inputs import Pairing
from fundusseg.stages.scoring.run import Collected
from fundusseg.stages.scoring.summary import ORACLE

MOST_SIZES = 3


def protocol(results: Collected) -> dict[str, str]:
    """What was scored, and how, as statements by topic."""
    scorer = results.scorer
    found = {
        "truth": _truth(results),
        "images": _images(results),
        "size": _size(results),
        "region": _region(results),
    }
    for pairing in scorer.pairings:
        found[f"maps {plain(escaped(pairing.label))}"] = _maps(results, pairing)
    if scorer.floor is not None:
        found["floor"] = (
            "Sato's filter on the green channel, scales fixed beforehand, threshold "
            f"{scorer.floor.threshold:.4f}: the best on {scorer.floor.n_images} train images"
        )
    found |= _definitions(results)
    if any(system.role == ORACLE for system in results.systems):
        found["oracle"] = (
            "the best threshold for these very images, small parts kept: a bound, never a result"
        )
    return found | {"versions": _versions()}


def _truth(results: Collected) -> str:
    truth = results.scorer.truth
    layout = f", layout {truth.layout}" if truth.layout else ""
    return f"{plain(escaped(truth.root.resolve().name))} ({truth.kind}{layout}), first observer"


def _images(results: Collected) -> str:
    scorer, cohort = results.scorer, results.cohort
    split = "all images" if scorer.split == "all" else f"split {scorer.split}"
    n_subjects = len(set(cohort.counted_subjects))
    left_out = len(scorer.refs) - sum(cohort.counted)
    said = f"{sum(cohort.counted)} of {n_subjects} subjects, {split}"
    if left_out:
        said += f"; {left_out} more are left out of all means, since a map is missing or failed"
    if scorer.truth.unlabelled:
        said += f"; {scorer.truth.unlabelled} photographs of the truth have no mask"
    return said


def _size(results: Collected) -> str:
    sizes = Counter(f"{size.width_px}x{size.height_px}" for size in results.sizes if size)
    common = ", ".join(size for size, _ in sizes.most_common(MOST_SIZES))
    more = f" and {len(sizes) - MOST_SIZES} other sizes" if len(sizes) > MOST_SIZES else ""
    if results.scorer.options.at == "prepared":
        return f"as prepared ({common}): truth and maps are resampled, not the untouched masks"
    return f"native ({common}{more}), against the untouched masks"


def _region(results: Collected) -> str:
    methods = Counter(size.fov_method for size in results.sizes if size)
    told = ", ".join(f"{method}: {count}" for method, count in sorted(methods.items()) if method)
    if results.scorer.options.whole_frame:
        return "whole frame, what lies outside the field of view included"
    if not told:
        return "whole frame, for want of a field of view (--fov gives one)"
    return f"inside the field of view ({told})"


def _maps(results: Collected, pairing: Pairing) -> str:
    folder, override = pairing.folder, results.scorer.options.threshold
    system = next(found for found in results.systems if found.label == pairing.label)
    if system.scores and not any(score and score.sweep is not None for score in system.scores):
        return "binary, as they are" + ("" if override is None else ", --threshold does not apply")
    if override is not None:
        return f"threshold {override:g}, given by --threshold, small parts kept"
    if folder.threshold is None:
        return "threshold as the maps have it; 0.5 where there are only probabilities"
    source = folder.threshold_source or "the model's"
    model = f", model {folder.model_sha256[:12]}" if folder.model_sha256 else ""
    return f"threshold {folder.threshold:g} from infer's manifest ({escaped(source)}){model}"


def _definitions(results: Collected) -> dict[str, str]:
    return {
        "mean": (
            "over images; 95 % percentile bootstrap interval, 10 000 draws of whole subjects, "
            f"seed {results.scorer.options.seed}; differences are paired by image"
        ),
        "pooled": "one figure from the pixels of all images together",
        "undefined": (
            "n/a, left out of the mean and counted; two empty masks agree (1), an empty one and "
            "another do not (0, HD95 infinite)"
        ),
        "AUROC, AUPRC": "exact at 16 bits; AUPRC is average precision, without interpolation",
        "clDice": "on Zhang and Suen's skeletons (scikit-image), cut to the region first",
        "NSD": (
            f"tolerance 1 and 2 px of a field of view of {TOLERANCE_DIAMETER_PX} px, scaled to "
            "each image's; NSD and HD95 by the definitions of DeepMind's surface-distance; HD95 in "
            "px of the size scored"
        ),
        "connected parts": "eight neighbours to a pixel",
        "ECE": "of the vessel probability, 15 bins of equal width",
        "MSE, SSIM, PSNR": (
            f"whole maps resampled to {SIMILARITY_SIZE_PX}x{SIMILARITY_SIZE_PX} with averaging, in "
            "[-1, 1] (data range 2); SSIM with a Gaussian window of 1.5 px, its borders left out; "
            "no measure of a segmentation, kept to compare with image translation"
        ),
    }


def _versions() -> str:
    versions = package_versions()
    names = ("fundusseg", "numpy", "scipy", "scikit-image")
    return ", ".join(f"{name} {versions[name]}" for name in names)
