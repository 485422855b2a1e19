"""How much curves wind: three measures that answer three questions.

Arc over chord: how much longer is it than straight? Squared curvature: how sharply does it bend?
Tortuosity density: how often does it turn from one side to the other, and how far?
"""

import numpy as np

from fundusseg.morphometry.centrelines import Curves


def arc_over_chord(lines: Curves) -> np.ndarray:
    """float64 (S,), 1 for a straight curve; NaN for one that ends where it begins."""
    chord_px = lines.chord_px
    is_open = chord_px > 0
    return np.divide(lines.length_px, chord_px, out=np.full(len(chord_px), np.nan), where=is_open)


def squared_curvature(lines: Curves) -> np.ndarray:
    """float64 (S,): the integral of squared curvature over the length, per px^2; NaN without one.

    Reference: Hart et al., Int J Med Inform 53:239, 1999, doi:10.1016/S1386-5056(98)00163-4
    """
    steps = np.hypot(*lines.steps.T)
    share = (steps + np.roll(steps, 1)) / 2  # of the length, at each point
    integral = np.bincount(lines.owner, share * lines.curvature_per_px**2, len(lines.length_px))
    return np.divide(
        integral,
        lines.length_px,
        out=np.full(len(integral), np.nan),
        where=lines.length_px > 0,
    )


def tortuosity_density(lines: Curves, least_curvature_per_px: float) -> np.ndarray:
    """(n - 1) / L * sum over n arcs of (arc / chord - 1), per px; NaN without a length.

    Arcs end at inflections: where the curvature changes its sign, and is at least
    `least_curvature_per_px` on both sides, so that a straight vessel has none.

    Returns:
        float64 (S,); 0 for a curve without inflections.

    Reference: Grisan et al., Proc IEEE EMBS 2003:866, doi:10.1109/IEMBS.2003.1279902
    """
    curvature = lines.curvature_per_px
    is_bent = np.flatnonzero(np.abs(curvature) >= least_curvature_per_px)
    before, after = is_bent[:-1], is_bent[1:]
    turns = (curvature[before] * curvature[after] < 0) & (lines.owner[before] == lines.owner[after])
    inflections = (before[turns] + after[turns]) // 2
    bounds = np.sort(np.concatenate([lines.starts[:-1], lines.starts[1:] - 1, inflections]))
    first, last = bounds[:-1], bounds[1:]
    is_arc = lines.owner[first] == lines.owner[last]
    first, last = first[is_arc], last[is_arc]
    arc = lines.along_px[last] - lines.along_px[first]
    chord = np.hypot(*(lines.points[last] - lines.points[first]).T)
    excess = np.divide(arc, chord, out=np.ones(len(arc)), where=chord > 0) - 1
    owner, count = lines.owner[first], len(lines.length_px)
    n = np.bincount(owner, minlength=count)
    total = (n - 1) * np.bincount(owner, excess, count)
    length = lines.length_px
    return np.divide(total, length, out=np.full(count, np.nan), where=length > 0)
