"""How the vessels of one eye grow, in the anatomical frame of `tree`.

Strategy. Trunks leave the disc and follow a course (an ellipse around the macula, or a bearing
towards the nasal side); after each stretch a vessel splits in two by Murray's law and the
children grow on. Buds wait in a heap, the widest first, so that trunks claim their ground before
twigs do. An occupancy grid keeps vessels of one kind from crossing one another, and two vessels
from running one upon the other; an artery and a vein may cross.
"""

import cmath
import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fundusseg.phantom.tree import (
    BranchPoint,
    Eye,
    Kind,
    Segment,
    Tree,
    Vertical,
    murray_angles,
    murray_children,
)

Course = Callable[[complex], complex]  # from a position to the direction wanted there

_SIDES: tuple[tuple[int, Vertical], ...] = ((1, "superior"), (-1, "inferior"))
_KINDS: tuple[Kind, ...] = ("vein", "artery")
STEP = 2.0
CELL = 2.0
CELLS = 288
NO_MORE_TWIGS, NO_WAY_ON = 45, 65  # taken cells, of both kinds, in a square of 20 by 20
TRUNK_TAPER, TWIG_TAPER = 4e-4, 1.5e-3  # share of the width lost per unit of length
TRUNK_RESPONSE, TWIG_RESPONSE = 1 / 16, 1 / 160  # share of the error in heading mended per unit


@dataclass(frozen=True)
class _Bud:
    tree: Tree
    position: complex
    heading: float
    width: float
    parent: int
    course: Course
    is_trunk: bool
    free_length: float


class _Retina:
    """What every bud grows into: the eye, which cells are taken by which kind, and chance."""

    def __init__(self, eye: Eye, narrowest: float, rng: np.random.Generator) -> None:
        self.eye, self.narrowest, self.rng = eye, narrowest, rng
        self.sparseness = rng.uniform(1.1, 1.9)
        self._origin = eye.view_centre - complex(CELLS, CELLS) * CELL / 2
        self._taken = {kind: np.zeros((CELLS, CELLS), bool) for kind in ("artery", "vein")}

    def _cell(self, position: complex) -> tuple[int, int]:
        offset = (position - self._origin) / CELL
        last = CELLS - 1
        return min(max(int(offset.imag), 0), last), min(max(int(offset.real), 0), last)

    def is_taken(self, position: complex, kind: Kind | None = None) -> bool:
        """Whether a vessel (of this kind, or of any) stands at a position."""
        cell = self._cell(position)
        kinds = self._taken if kind is None else (kind,)
        return any(self._taken[each][cell] for each in kinds)

    def crowding(self, position: complex) -> float:
        """Number of taken cells in the square around a position, felt more in sparse eyes."""
        row, column = self._cell(position)
        reach = 10
        box = np.s_[max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach]
        taken = sum(int(np.count_nonzero(taken[box])) for taken in self._taken.values())
        return self.sparseness * taken

    def take(self, segment: Segment, kind: Kind) -> None:
        """Mark a segment's cells."""
        for position, width in zip(segment.points, segment.widths, strict=True):
            row, column = self._cell(position)
            reach = int(width / 2 / CELL)
            box = np.s_[
                max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
            ]
            self._taken[kind][box] = True


def grow_trees(eye: Eye, widest: float, narrowest: float, rng: np.random.Generator) -> list[Tree]:
    """Grow the arteries and veins of one eye.

    Args:
        eye: the geometry to grow into.
        widest: mean diameter of a temporal vein at the disc, in units.
        narrowest: a vessel does not branch below this diameter, in units, > 0.
        rng: the only source of chance; advanced by an amount that depends on the trees.

    Returns:
        The trees, trunks of the temporal arcades first. A trunk that would be thinner than
        `narrowest` is left out. The last segment of a vessel that leaves the field of view
        ends a little outside it.

    Raises:
        ValueError: unless 0 < narrowest <= widest.
    """
    if not 0 < narrowest <= widest:
        raise ValueError(f"narrowest {narrowest} must be in (0, widest {widest}]")
    retina = _Retina(eye, narrowest, rng)
    roots = [bud for bud in _root_buds(eye, widest, rng) if bud.width >= narrowest]
    heap = [(-bud.width, serial, bud) for serial, bud in enumerate(roots)]
    heapq.heapify(heap)
    serial = len(heap)
    while heap:
        bud = heapq.heappop(heap)[-1]
        segment, heading, is_alive = _grow_segment(bud, retina)
        retina.take(segment, bud.tree.kind)
        bud.tree.segments.append(segment)
        if is_alive:
            for child in _split(bud, segment, heading, retina):
                heapq.heappush(heap, (-child.width, serial, child))
                serial += 1
    return [bud.tree for bud in roots]


def _root_buds(eye: Eye, widest: float, rng: np.random.Generator) -> list[_Bud]:
    """Two arcades and two nasal trunks of each kind, and thin vessels straight to the macula."""
    buds = []
    vein_is_inner = rng.random() < 0.5
    for sign, vertical in _SIDES:
        vein_width = widest * rng.uniform(0.92, 1.06)
        for kind in _KINDS:
            width = vein_width * (1.0 if kind == "vein" else rng.uniform(0.7, 0.8))
            rank = 0.5 if (kind == "vein") == vein_is_inner else 1.5
            start = complex(
                rank * widest * rng.uniform(0.8, 1.2), sign * rng.uniform(-0.4, 0.4) * widest
            )
            tilt = rng.uniform(0.0, 0.35)
            course = _arcade_course(eye, sign, rank, rng)
            tree = Tree(kind, vertical, "temporal")
            heading = sign * (math.pi / 2 - tilt)
            buds.append(_Bud(tree, start, heading, width, -1, course, True, 0.0))
            tree = Tree(kind, vertical, "nasal")
            course = _bearing_course(sign * (math.pi / 2 + rng.uniform(0.5, 0.8) * rank))
            start = complex(-start.real, sign * rng.uniform(-0.4, 0.4) * widest)
            heading = sign * (math.pi / 2 + tilt)
            width *= rng.uniform(0.6, 0.78)
            buds.append(_Bud(tree, start, heading, width, -1, course, True, 0.0))
    for kind in _KINDS:
        for sign, vertical in _SIDES:
            tree = Tree(kind, vertical, "temporal")
            heading = sign * rng.uniform(0.35, 0.9)
            start = eye.disc_diameter * cmath.rect(rng.uniform(0.2, 0.4), heading)
            course = _point_course(eye.macula + 1j * sign * eye.disc_diameter * 0.4)
            width = widest * rng.uniform(0.2, 0.32)
            buds.append(_Bud(tree, start, heading, width, -1, course, False, 0.0))
    return buds


def _arcade_course(eye: Eye, sign: int, rank: float, rng: np.random.Generator) -> Course:
    """Along an ellipse from the disc around the macula; the outer rank keeps farther out."""
    centre = abs(eye.macula) * rng.uniform(1.25, 1.9)
    height = eye.disc_diameter * (rng.uniform(1.55, 2.0) + 0.3 * rank)

    def course(position: complex) -> complex:
        u, v = (position.real - centre) / centre, position.imag / height
        tangent = sign * complex(centre * v, -height * u)
        normal = complex(u / centre, v / height)
        if abs(normal) < 1e-9:
            return tangent
        return tangent / abs(tangent) - 0.8 * (u * u + v * v - 1) * normal / abs(normal)

    return course


def _bearing_course(heading: float) -> Course:
    direction = cmath.rect(1.0, heading)
    return lambda position: direction


def _point_course(target: complex, sign: int = 1) -> Course:
    """Towards a point, or away from it for sign -1."""
    return lambda position: sign * (target - position)


def _turn(heading: float, wanted: complex) -> float:
    """Angle in radians from a heading to a wanted direction, in (-pi, pi]."""
    return cmath.phase(wanted * cmath.rect(1.0, -heading))


def _planned_length(bud: _Bud, retina: _Retina) -> float:
    typical = 34 + 2 * bud.width if bud.is_trunk else 30 + 6 * bud.width
    is_last = bud.width < 1.26 * retina.narrowest
    return float(typical * retina.rng.uniform(0.6, 1.5) * (1.6 if is_last else 1.0))


def _grow_segment(bud: _Bud, retina: _Retina) -> tuple[Segment, float, bool]:
    """Grow one bud to its planned length, or until it is stopped.

    Returns the segment, the heading at its end in radians, and whether it may branch there.
    """
    eye, rng, length = retina.eye, retina.rng, _planned_length(bud, retina)
    response = TRUNK_RESPONSE if bud.is_trunk else TWIG_RESPONSE
    amplitude = rng.uniform(0.04, 0.14) if bud.is_trunk else rng.uniform(0.08, 0.3)
    wavelength, phase = rng.uniform(30, 80), rng.uniform(0, 2 * math.pi)
    points, base, heading, travelled = [bud.position], bud.heading, bud.heading, 0.0
    is_alive, is_blocked = True, False
    while is_alive and (travelled < length or len(points) < 4):
        position = points[-1]
        if not eye.sees(position):
            is_alive = False
            points += [position + cmath.rect(k * STEP, heading) for k in range(1, 4)]
            points += [points[-1] + cmath.rect(bud.width, heading)]
            break
        base += response * STEP * _turn(base, bud.course(position))
        if travelled > bud.free_length and abs(position) > eye.disc_diameter / 2:
            base += _dodge(position, heading, bud.width, retina)
            is_blocked = len(points) >= 4 and _is_blocked(position, heading, bud, retina)
            is_alive = not is_blocked
        wave = 2 * math.pi * travelled / wavelength + phase
        heading = base + amplitude * (math.sin(wave) - math.sin(phase))
        points.append(position + cmath.rect(STEP, heading))
        travelled += STEP
    centreline = np.array(points)
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(centreline)))])
    taper = TRUNK_TAPER if bud.is_trunk else TWIG_TAPER
    widths = bud.width * (1 - np.minimum(taper * along, 0.25))
    if is_blocked or bud.width < 1.26 * retina.narrowest:
        # A vessel that ends in sight thins out; a blunt end would look cut.
        widths = np.linspace(bud.width, min(bud.width, retina.narrowest), len(points))
    return Segment(centreline, widths, bud.parent), heading, is_alive


def _dodge(position: complex, heading: float, width: float, retina: _Retina) -> float:
    """Turn in radians away from a neighbour that stands on one side only."""
    across = cmath.rect(width / 2 + 5.0, heading + math.pi / 2)
    left, right = retina.is_taken(position + across), retina.is_taken(position - across)
    return 0.07 * (int(right) - int(left))


def _is_blocked(position: complex, heading: float, bud: _Bud, retina: _Retina) -> bool:
    """Whether a vessel of the same kind, or the avascular fovea, lies just ahead,
    or (for a twig) the retina there has all the vessels it needs."""
    ahead = position + cmath.rect(bud.width / 2 + 3.0, heading)
    is_at_fovea = abs(ahead - retina.eye.macula) < 0.3 * retina.eye.disc_diameter
    if is_at_fovea or retina.is_taken(ahead, bud.tree.kind):
        return True
    crowding = retina.crowding(position + cmath.rect(24.0, heading))
    return not bud.is_trunk and crowding > NO_WAY_ON


def _split(bud: _Bud, segment: Segment, heading: float, retina: _Retina) -> list[_Bud]:
    """The two buds at a segment's end; one where there is no room; none if too narrow."""
    width, position = float(segment.widths[-1]), complex(segment.points[-1])
    # An equal split narrows by 2^(-1/3) = 1 / 1.26, so below this no asymmetry is allowed.
    least = 1.26 * retina.narrowest / width
    if least > 1:
        return []
    side, crowding = _emptier_side(position, heading, retina)
    parent = len(bud.tree.segments) - 1
    if crowding > NO_MORE_TWIGS:
        return [replace(bud, position=position, heading=heading, width=width, parent=parent)]
    low, high = (0.25, 0.6) if bud.is_trunk else (0.45, 1.0)
    larger, smaller = murray_children(width, retina.rng.uniform(max(low, least), max(high, least)))
    turn_large, turn_small = murray_angles(width, larger, smaller)
    turn_small *= retina.rng.uniform(0.7, 1.0)
    bud.tree.branch_points.append(
        BranchPoint(position, width, (larger, smaller), turn_large + turn_small)
    )
    free = 8 + 1.2 * width
    small_heading = heading + side * turn_small
    course = _twig_course(bud.tree, position, small_heading, retina.eye)
    large_heading = heading - side * turn_large
    large, is_trunk = (position, large_heading, larger, parent, bud.course), bud.is_trunk
    small = (position, small_heading, smaller, parent, course)
    return [_Bud(bud.tree, *large, is_trunk, free), _Bud(bud.tree, *small, False, free)]


def _emptier_side(position: complex, heading: float, retina: _Retina) -> tuple[int, float]:
    """+1 (left of the heading) or -1, mostly the side with fewer vessels, and its crowding."""
    crowding = {
        side: retina.crowding(position + cmath.rect(36.0, heading + side * 1.1)) for side in (1, -1)
    }
    side = 1 if retina.rng.random() < 0.5 else -1
    if crowding[side] > crowding[-side] and retina.rng.random() < 0.8:
        side = -side
    return side, crowding[side]


def _twig_course(tree: Tree, position: complex, heading: float, eye: Eye) -> Course:
    """Temporal twigs converge on the macula or flee it; nasal ones radiate from the disc."""
    if tree.horizontal == "nasal":
        return _point_course(0j, -1)
    is_inward = abs(_turn(heading, eye.macula - position)) < math.pi / 2
    return _point_course(eye.macula, 1) if is_inward else _point_course(0.5 * eye.macula, -1)
