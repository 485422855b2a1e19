"""What each measure is: name, unit, definition, source and pitfalls, once.

The columns of the tables, `measure --describe` and docs/measures.md all come from here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fundusseg.morphometry import fractal, measures

# From a value in pixels to each unit that its columns have. D: diameter of the field of view.
_UNITS = {
    "length": ("px", "fov", "um"),
    "1/length": ("per_fov",),
    "1/length^2": ("per_fov2",),
    "ratio": ("ratio",),
    "angle": ("deg",),
    "place": ("px",),
    "plain": ("",),
    "count": ("count",),
}
_MURRAY = "Murray, PNAS 12:207, 1926, doi:10.1073/pnas.12.3.207"
_RENYI = "Hentschel and Procaccia, Physica D 8:435, 1983, doi:10.1016/0167-2789(83)90235-X"
_VESSELS = "a centreline"
_WIDTH = "a stretch of vessel away from branch points"
_PROBABILITY = "probabilities (infer --probability)"
_LONG = f"a segment of {measures.SHORTEST:g} diameters"
_SIX = f"{measures.WIDEST} segments of {measures.SHORTEST:g} diameters"
_BIFURCATION = f"a bifurcation of segments of {measures.BRANCH_DISTANCE:g} diameters"


@dataclass(frozen=True)
class Definition:
    """A measure of a map.

    name: without its unit. dimension: a key of the units. what: definition and formula. needs: what
    a map must have, or there is no number. source: with DOI. pitfall: what to know before use.
    typical: the range to expect, and where it is from.
    """

    name: str
    dimension: str
    what: str
    needs: str = ""
    source: str = ""
    pitfall: str = ""
    typical: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns in the table: the name with each unit."""
        return tuple(f"{self.name}_{unit}".rstrip("_") for unit in _UNITS[self.dimension])

    def in_units(self, value: Any, diameter_px: float, pixel_um: float | None) -> list[Any]:
        """A value in pixels, or an array of them, in the unit of each column; NaN without it."""
        factors = {
            "px": 1.0,
            "fov": 1 / diameter_px,
            "um": float("nan") if pixel_um is None else pixel_um,
            "per_fov": diameter_px,
            "per_fov2": diameter_px**2,
        }
        return [value * factors.get(unit, 1.0) for unit in _UNITS[self.dimension]]


def _widths(prefix: str, what: str, needs: str, of_six: str, pitfall: str) -> Iterator[Definition]:
    """The six summaries of one kind of width. of_six: what the mean of the widest needs."""
    summaries = {
        "mean": ("Mean over segments of their mean width.", needs),
        "median": ("Median over segments of their mean width.", needs),
        "length_weighted": ("Mean over all points of the centrelines, a pixel apart.", needs),
        "p10": ("10th percentile over all points of the centrelines.", needs),
        "p90": ("90th percentile over all points of the centrelines.", needs),
        "six_widest": (
            f"Mean of the {measures.WIDEST} widest of the segments that are at least "
            f"{measures.SHORTEST:g} D long.",
            of_six,
        ),
    }
    for name, (summary, needed) in summaries.items():
        first = name == "mean"
        yield Definition(
            f"{prefix}_{name}",
            "length",
            f"{what} {summary}" if first else summary,
            needed,
            pitfall=pitfall if first else "",
        )


def _fractal(name: str, of: str) -> Iterator[Definition]:
    entropies = (
        "log(number of boxes that are not empty)",
        "-sum p log p, p being a box's share",
        "-log(sum p^2), p being a box's share",
    )
    sides = ", ".join(f"1/{fractal.GRID // box}" for box in fractal.BOXES)
    for order, entropy in enumerate(entropies):
        yield Definition(
            f"fractal_d{order}_{name}",
            "ratio",
            f"D{order} of the {of}: slope of {entropy} over log(1 / side), each sum being the mean "
            f"over all places of the grid of boxes; sides {sides} D.",
            _VESSELS,
            _RENYI,
            ""
            if order
            else "Follows from the sides of the boxes: compare it with none but of the "
            "same. Over so few octaves vessels are no fractal: D0 comes out below D1 and D2, where "
            "that of a fractal is above.",
        )
        yield Definition(
            f"fractal_d{order}_{name}_r2",
            "plain",
            f"R^2 of the line that D{order} is the slope of.",
            _VESSELS,
        )


DEFINITIONS = (
    Definition(
        "area_density",
        "ratio",
        "Vessel pixels inside the field of view over all pixels inside it.",
        pitfall="Grows with how thick an observer or a model draws.",
        typical="0.06 to 0.14 in LES-AV's masks.",
    ),
    Definition(
        "centreline_length",
        "length",
        "Length of all centrelines. The map is thinned (Lee), after objects and holes of less than "
        f"{measures.SMALLEST_OBJECT:g} D^2 are left out; each path is moved to the middle between "
        "the edges, led straight on to the vessel's edge where it ends free, and smoothed by a "
        f"discrete smoothing spline that halves waves of {measures.SMOOTHING * 6.2832:.2g} D.",
        source="Lee et al., CVGIP 56:462, 1994, doi:10.1006/cgip.1994.1042; Whittaker, Proc "
        "Edinburgh Math Soc 41:63, 1923, doi:10.1017/S0013091500077853",
        pitfall="Steps from pixel to pixel, as most tools add them up, are 5.5 % longer, the mean "
        "over all directions. Where one vessel lies along another, a map shows one line.",
    ),
    Definition(
        "length_density",
        "1/length",
        "Centreline length over the area of the field of view, in diameters: L D / A.",
    ),
    Definition(
        "segments",
        "count",
        "Stretches of centreline between nodes. Spurs shorter than the vessel that they leave is "
        "wide are left out; nodes nearer than that to each other are one.",
    ),
    Definition(
        "spurs_left_out", "count", "Spurs, and loops around a missing pixel, that were left out."
    ),
    Definition(
        "branch_points",
        "count",
        "Nodes where three segments or more meet.",
        pitfall="A crossing at a small angle, longer than the vessels are wide, counts as two.",
    ),
    Definition("branch_point_density", "1/length^2", "Branch points over area, in D^2."),
    Definition("crossings", "count", "Branch points where four segments or more meet."),
    Definition(
        "end_points",
        "count",
        "Free ends of segments.",
        pitfall="The rim of the field of view cuts vessels, and so does every gap in a map.",
    ),
    Definition("end_point_density", "1/length^2", "End points over area, in D^2."),
    Definition("components", "count", "Connected components of the centrelines."),
    Definition(
        "loops",
        "count",
        "Independent closed ways: segments - nodes + components.",
        pitfall="Vessels that cross twice make a loop, though blood runs in none.",
    ),
    *_widths(
        "width",
        "Width of the map across its centreline: from edge to edge along the normal, edges being "
        "where the map, interpolated linearly between pixels, is one half; not nearer to a branch "
        "point than half the vessel's width.",
        _WIDTH,
        _SIX,
        "Drawing on pixels alone costs up to half a pixel of width.",
    ),
    Definition(
        "width_measured",
        "ratio",
        "Share of the centreline that has a width.",
        _VESSELS,
    ),
    *_widths(
        "half_height_width",
        "Width of the probabilities across the same centreline: from edge to edge, edges being "
        "where they are half of what they are on the centreline. No threshold enters, but in "
        "where the centreline is.",
        _PROBABILITY,
        _PROBABILITY,
        "As wide as the model was taught to draw.",
    ),
    Definition(
        "tortuosity_arc_over_chord",
        "ratio",
        f"Length over the distance of the ends, of segments of {measures.SHORTEST:g} D and more, "
        f"smoothed so that waves of {measures.SMOOTHING_OF_BENDS * 6.2832:.2g} D are halved; mean "
        "weighted by length.",
        _LONG,
        "Hart et al., Int J Med Inform 53:239, 1999, doi:10.1016/S1386-5056(98)00163-4",
        "A wide even arc counts as much as many small bends. Segments end at branch points, so a "
        "map with more branches has straighter segments.",
        "1 for a straight vessel; half a circle has 1.57.",
    ),
    Definition(
        "tortuosity_squared_curvature",
        "1/length^2",
        "Integral of squared curvature over length, of the same segments; mean weighted by length.",
        _LONG,
        "Hart et al., as above",
        "Follows from the smoothing, which is a share of the diameter here.",
    ),
    Definition(
        "tortuosity_density",
        "1/length",
        "(n - 1) / L * sum over n arcs of (arc / chord - 1), arcs being divided at inflections "
        f"(curvature of {measures.LEAST_CURVATURE:g} / D at least on both sides), of the same "
        "segments; mean weighted by length.",
        _LONG,
        "Grisan et al., Proc IEEE EMBS 2003:866, doi:10.1109/IEMBS.2003.1279902",
        "0 for a vessel that never turns, however bent it is. As in the authors' own program; "
        "others have (n - 1) / n in place of n - 1, and half of this where n is 2.",
    ),
    Definition("tortuosity_segments", "count", "Segments that the three are means of."),
    Definition(
        "bifurcation_angle_mean",
        "angle",
        "Angle between the two daughters of a branch point of three segments: between their ways "
        f"over {measures.BRANCH_DISTANCE:g} D, begun half a vessel's width from the branch point; "
        "the parent is the widest of the three. Mean over bifurcations.",
        _BIFURCATION,
        pitfall="Depends on the distance.",
    ),
    Definition(
        "branching_coefficient_median",
        "ratio",
        "(d1^2 + d2^2) / d0^2, d0 being the parent's width and d1, d2 the daughters'; widths are "
        f"medians over the first {2 * measures.BRANCH_DISTANCE:g} D. Median over bifurcations.",
        _BIFURCATION,
        _MURRAY,
        "Some authors print the inverse, or a form with the ratio of the daughters.",
        "1.26 where two equal daughters obey Murray's law.",
    ),
    Definition(
        "junctional_exponent_deviation_median",
        "ratio",
        "Real cube root of (d0^3 - d1^3 - d2^3), over d0. Median over bifurcations.",
        _BIFURCATION,
        _MURRAY,
        "A cube root magnifies errors of width: a parent 3 % too wide makes 0.44 of 0.",
        "0 by Murray's law.",
    ),
    Definition("bifurcations_measured", "count", "Bifurcations that the three are of."),
    *_fractal("skeleton", "length of the centrelines"),
    *_fractal("area", "vessels' area"),
    Definition(
        "lacunarity",
        "ratio",
        "Mean squared vessel area in a gliding box over its squared mean; boxes of "
        f"{measures.LACUNARITY_BOX / fractal.GRID:g} D inside the field of view.",
        _VESSELS,
        "Allain and Cloitre, Phys Rev A 44:3552, 1991, doi:10.1103/PhysRevA.44.3552",
        typical="1 where vessels are even; more where there are gaps.",
    ),
)


def number(value: float) -> str:
    """A number as a cell: six digits; empty for NaN."""
    return "" if math.isnan(value) else f"{value:.6g}"


LOW_PX = 600.0  # diameter of a field of view in which the thinnest vessels are a pixel or two wide

# The columns before the measures.
OF_THE_MAP = {
    "id": "The map's, as in status.tsv: its path without the suffix.",
    "status": "ok or failed.",
    "reason": "Why it failed; of an ok row, why infer doubts the photograph.",
    "image_width_px": "Width of the map.",
    "image_height_px": "Height of the map.",
    "fov_diameter_px": "Diameter D of the field of view, the unit of what ends in _fov.",
    "fov_method": "How the field of view was found, as in status.tsv.",
    "fov_source": "Where it is known from: --fov, status.tsv, or none (the whole frame).",
    "resolution": f"low below a diameter of {LOW_PX:g} px: thin vessels are a pixel or two wide, "
    "and what goes by width or branch points is not to be compared with finer maps.",
    "pixel_um": "Side of a pixel in micrometres (--pixel-um, else what a DICOM file says). One "
    "size holds for one camera and one size of picture: maps of several need a table.",
    "expected_dice": "The Dice that infer's calibrated probabilities promise.",
    "mean_entropy_bits": "Mean entropy of infer's calibrated probabilities inside the field of "
    "view, of one pixel in eight: 0 sure, 1 undecided.",
    "sharpness_ratio": "Mean squared second difference along rows over 6 times the variance, in "
    "blocks of 16 pixels of the frame (green): 0 where all is smooth, 1 for noise.",
    "evenness_ratio": "10th over 90th percentile of the means of these blocks: 1 for even light.",
    "dark_edge_ratio": "Share of the circle of .96 radii of the field of view that is beyond the "
    "picture, or darker than a quarter of the median.",
    "confidence": "With --min-confidence: low where expected_dice is less, or infer doubts the "
    "photograph.",
}
# What infer says of a map, and status.tsv holds.
CONFIDENCE = tuple(name for name in OF_THE_MAP if name.endswith(("_dice", "_bits", "_ratio")))
UNMEASURED = "unmeasured"
SETTINGS = {
    UNMEASURED: "What the map lacks for the columns that are empty.",
    "settings": "Hash of options and versions.",
    "made_from": "Hash of all else that the row follows from.",
    "crc32": "Checksum of the row before it.",
}
COLUMNS = (
    *OF_THE_MAP,
    *(column for definition in DEFINITIONS for column in definition.columns),
    UNMEASURED,
)
_PIXEL_SIZE = "a pixel's size (--pixel-um)"

_OF_A_SEGMENT = (
    Definition("start_y", "place", "Where the centreline begins."),
    Definition("start_x", "place", "Likewise."),
    Definition("end_y", "place", "Where it ends."),
    Definition("end_x", "place", "Likewise."),
    Definition("length", "length", "Of the centreline."),
    Definition("width", "length", "Mean over its points."),
    Definition("width_sd", "length", "Standard deviation over its points."),
    Definition("half_height_width", "length", "Mean over its points, of the probabilities."),
    Definition("arc_over_chord", "ratio", "As tortuosity_arc_over_chord."),
    Definition("squared_curvature", "1/length^2", "As tortuosity_squared_curvature."),
    Definition("tortuosity_density", "1/length", "As of the map."),
)
SEGMENT_COLUMNS = (
    "id",
    "segment_number",
    *(column for definition in _OF_A_SEGMENT for column in definition.columns),
)


def cells(
    values: dict[str, float], diameter_px: float, pixel_um: float | None, has_probability: bool
) -> dict[str, str]:
    """Measures as the cells of their columns, and what is lacking for those that are empty."""
    row: dict[str, str] = {}
    lacking: dict[str, None] = {}
    for definition in DEFINITIONS:
        value, needs = values.get(definition.name, float("nan")), definition.needs
        if math.isnan(value) and needs and not (has_probability and needs == _PROBABILITY):
            lacking[needs] = None
        shown = map(number, definition.in_units(value, diameter_px, pixel_um))
        row |= zip(definition.columns, shown, strict=True)
    if pixel_um is None:
        lacking[_PIXEL_SIZE] = None
    return {**row, UNMEASURED: "; ".join(lacking)}


def segment_rows(
    segments: dict[str, np.ndarray], diameter_px: float, pixel_um: float | None
) -> list[list[str]]:
    """The rows of a map's segments without the id."""
    if not segments:
        return []
    columns = [each.in_units(segments[each.name], diameter_px, pixel_um) for each in _OF_A_SEGMENT]
    numbers = np.column_stack([column for several in columns for column in several])
    return [[str(place), *map(number, row)] for place, row in enumerate(numbers.tolist(), start=1)]


def described() -> str:
    """What each column is, as Markdown."""
    text = ["## Columns of the table\n\n", *_described_columns(OF_THE_MAP)]
    for definition in DEFINITIONS:
        text.append(f"\n**{', '.join(definition.columns)}**  \n{definition.what}\n")
        for title, said in (
            ("Needs", definition.needs),
            ("Source", definition.source),
            ("Pitfall", definition.pitfall),
            ("Typical", definition.typical),
        ):
            if said:
                text.append(f"{title}: {said.rstrip('.')}.\n")
    text += ["\n", *_described_columns(SETTINGS)]
    text += [
        "\n## Columns of --segments\n\n- id: The map's.\n- segment_number: From 1, in a map.\n"
    ]
    for definition in _OF_A_SEGMENT:
        text.append(f"- {', '.join(definition.columns)}: {definition.what}\n")
    return "".join(text)


def _described_columns(columns: dict[str, str]) -> Iterator[str]:
    for name, what in columns.items():
        yield f"- `{name}`: {what}\n"
