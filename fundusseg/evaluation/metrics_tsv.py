"""metrics.tsv: a line for every image and system, with the counts its figures follow from."""

from collections.abc import Iterator

from fundusseg.evaluation.image import ImageScore
from fundusseg.evaluation.scoring import Evaluation, ImageSize
from fundusseg.evaluation.summary import FIGURES
from fundusseg.evaluation.systems import ORACLE
from fundusseg.files.names import escaped
from fundusseg.report import markdown

_WHO = ("id", "photograph_id", "subject", "split")
_WHAT = ("of", "role", "status", "reason", "in_means")
_SIZES = ("width_px", "height_px", "fov_diameter_px", "fov_method")
_COUNTS = ("tp", "fp", "fn", "tn")
_CENTRELINE = ("prediction_hits", "prediction_length", "truth_hits", "truth_length")
_FIGURES = tuple(figure.key for figure in FIGURES)


def metrics_tsv(evaluation: Evaluation) -> str:
    """The table as text, its header first; oracles, which are no results, are left out."""
    header = (*_WHO, *evaluation.strata, *_WHAT, *_SIZES, *_COUNTS, *_CENTRELINE, *_FIGURES)
    lines = [header]
    shown = [system for system in evaluation.systems if system.role != ORACLE]
    for number, item in enumerate(evaluation.items):
        groups = [strata[number] for strata in evaluation.strata.values()]
        size = _size_cells(evaluation.sizes[number])
        files = (pairing.maps.get(item.id) for pairing in evaluation.pairings)
        photograph_id = next((file.id for file in files if file is not None), "")
        in_means = "yes" if evaluation.cohort.counted[number] else "no"
        for system in shown:
            score = system.scores[number]
            reason = evaluation.faults.get(system.label, {}).get(item.id, "")
            status = "ok" if score else reason.partition(":")[0] or "absent"
            what = (system.label, system.role, status, reason, in_means)
            who = (item.id, photograph_id, item.subject, item.split)
            lines.append((*who, *groups, *what, *size, *_score_cells(score)))
    return "".join("\t".join(map(escaped, line)) + "\n" for line in lines)


def _size_cells(size: ImageSize | None) -> tuple[str, ...]:
    if size is None:
        return ("",) * len(_SIZES)
    return (str(size.width_px), str(size.height_px), f"{size.fov_diameter_px:.1f}", size.fov_method)


def _score_cells(score: ImageScore | None) -> Iterator[str]:
    if score is None:
        yield from [""] * (len(_COUNTS) + len(_CENTRELINE) + len(_FIGURES))
        return
    yield from (str(getattr(score.counts, name)) for name in _COUNTS)
    yield from (str(getattr(score.centreline, name)) for name in _CENTRELINE)
    for key in _FIGURES:
        value = score.values.get(key)
        yield "" if value is None else markdown.number(value, 6)
