"""What a synthetic vessel tree is: centrelines, widths, and how vessels split. No pixels.

Everything stands in the anatomical frame: complex numbers with the optic disc at 0, the
temporal direction along +1 and the superior direction along +1j. The unit of length is
1/480 of the field of view's diameter, so a tree is the same at every image size.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Kind = Literal["artery", "vein"]
Vertical = Literal["superior", "inferior"]

VIEW_RADIUS = 240.0


@dataclass(frozen=True)
class Eye:
    """Where disc, macula and field of view lie, in the anatomical frame.

    Attributes:
        disc_diameter: in units.
        macula: centre of the fovea.
        view_centre: centre of the circular field of view, whose radius is VIEW_RADIUS.
        view_half_height: half the height to which the circle is cut at top and bottom.
        view_turn: unit complex number that turns the anatomical frame into the camera's.
    """

    disc_diameter: float
    macula: complex
    view_centre: complex
    view_half_height: float
    view_turn: complex

    def sees(self, position: complex) -> bool:
        """Whether a position lies inside the field of view."""
        seen = (position - self.view_centre) * self.view_turn
        return abs(seen) <= VIEW_RADIUS and abs(seen.imag) <= self.view_half_height


@dataclass(frozen=True)
class Segment:
    """A stretch of vessel between two branch points.

    Attributes:
        points: complex128 (N,), centreline in units, N >= 2, consecutive points STEP apart.
        widths: float64 (N,), diameter in units at each point.
        parent: index of the parent segment in its tree, -1 at the root.
    """

    points: np.ndarray
    widths: np.ndarray
    parent: int


@dataclass(frozen=True)
class BranchPoint:
    """Where a vessel splits: diameters in units, angle between the children in radians."""

    position: complex
    parent_width: float
    child_widths: tuple[float, float]
    angle: float


@dataclass(frozen=True)
class Tree:
    """One artery or vein with all that grew out of it."""

    kind: Kind
    vertical: Vertical
    horizontal: Literal["temporal", "nasal"]
    segments: list[Segment] = field(default_factory=list)
    branch_points: list[BranchPoint] = field(default_factory=list)


def murray_children(parent_width: float, asymmetry: float) -> tuple[float, float]:
    """Diameters of the two children of a vessel by Murray's law, d0^3 = d1^3 + d2^3.

    Args:
        parent_width: diameter d0, any unit, > 0.
        asymmetry: d2 / d1, in (0, 1].

    Returns:
        (d1, d2), d1 >= d2, in the parent's unit.

    Raises:
        ValueError: if a value is out of its range.

    Reference: Murray, PNAS 12:207, 1926, doi:10.1073/pnas.12.3.207
    """
    if parent_width <= 0 or not 0 < asymmetry <= 1:
        raise ValueError(f"parent_width {parent_width} or asymmetry {asymmetry} out of range")
    larger = parent_width / (1 + asymmetry**3) ** (1 / 3)
    return larger, asymmetry * larger


def murray_angles(parent_width: float, larger: float, smaller: float) -> tuple[float, float]:
    """Angles by which two children turn off their parent's heading, at least volume of blood.

    cos(a1) = (d0^4 + d1^4 - d2^4) / (2 d0^2 d1^2), and the same with 1 and 2 exchanged.

    Args:
        parent_width, larger, smaller: diameters d0, d1, d2 in one unit, > 0, that obey
            Murray's law; for others the cosine is clipped to [-1, 1].

    Returns:
        (a1, a2) in radians, in [0, pi].

    Reference: Murray, J Gen Physiol 9:835, 1926
    """

    def angle(own: float, other: float) -> float:
        cosine = (parent_width**4 + own**4 - other**4) / (2 * parent_width**2 * own**2)
        return math.acos(min(max(cosine, -1.0), 1.0))

    return angle(larger, smaller), angle(smaller, larger)
