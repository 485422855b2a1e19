"""The border of a field of view at full resolution: where its light falls to half.

A circle found with a low threshold in a coarse copy is too large: it lies at the foot of the slope
that the border's blur is. Profiles of the light across it, along rows or columns, cross the
border where they are half-way between the levels on either side.
"""

from dataclasses import dataclass

import numpy as np

from fundusseg.fundus.circle import Circle, Cut, CutCircle, circle_through
from fundusseg.fundus.surround import Surround

PROFILES = 360  # around a circle
CUT_PROFILES = 60  # along a cut
CUT_SHARE = 0.8  # of a cut's length that is profiled, in its middle
REACH = 0.025  # of the diameter, from the coarse border into the light; half of it outwards
LEAST_REACH_PX = 4
TOLERANCE = 0.005  # of the diameter, for borders that are no circle: else an arc of it is taken
LEAST_TOLERANCE_PX = 1.0


@dataclass(frozen=True)
class CoarseBorder:
    """A circle and its cuts, in pixels of its photograph, uint8 (Y, X, 3), to be refined."""

    photograph: np.ndarray
    surround: Surround
    coarse: CutCircle

    def refined(self) -> CutCircle:
        """The border at half level; each part as it is where too little of it can be seen."""
        cuts = [
            Cut(*(self._refined_line(axis, *line) for line in zip(cut, (-1, 1), strict=True)))
            for axis, cut in enumerate(self.coarse[1:])
        ]
        return CutCircle(self._refined_circle(), *cuts)

    def _refined_circle(self) -> Circle:
        angles = np.linspace(0, 2 * np.pi, PROFILES, endpoint=False)
        normals = np.column_stack([np.sin(angles), np.cos(angles)])
        circle, *cuts = self.coarse
        starts = circle[:2] + circle.radius * normals
        firsts, lasts = np.transpose(cuts)
        seen = ((starts > firsts) & (starts < lasts)).all(axis=1)
        is_across = np.abs(normals) >= np.abs(normals[:, ::-1])
        steps = np.where(is_across, np.sign(normals), 0).astype(int)
        tolerance_px = max(LEAST_TOLERANCE_PX, 2 * TOLERANCE * circle.radius)
        points = self._crossings(starts[seen], steps[seen])
        return circle_through(points, tolerance_px) or circle

    def _refined_line(self, axis: int, line: float, outwards: int) -> float:
        if np.isinf(line):
            return line
        circle = self.coarse.circle
        half_chord = np.sqrt(max(circle.radius**2 - (line - circle[axis]) ** 2, 0.0))
        along = np.linspace(-CUT_SHARE, CUT_SHARE, CUT_PROFILES) * half_chord
        starts = np.insert(along[:, np.newaxis] + circle[1 - axis], axis, line, axis=1)
        steps = np.zeros((CUT_PROFILES, 2), int)
        steps[:, axis] = outwards
        points = self._crossings(starts, steps)
        return float(np.median(points[:, axis])) if len(points) else line

    def _crossings(self, starts: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Where profiles cross the border: float (M, 2), M <= N, pixel edges.

        Left out are those that leave the picture, or see no border.

        Args:
            starts: float (N, 2), points (y, x) near the border.
            steps: int (N, 2), a step of one pixel outwards from each, along y or x.
        """
        reach = max(LEAST_REACH_PX, round(2 * REACH * self.coarse.circle.radius))
        offsets = np.arange(-reach, reach // 2 + 1)
        profiles = steps[:, np.newaxis] * offsets[:, np.newaxis]
        profiles += np.floor(starts).astype(int)[:, np.newaxis]
        inside = ((profiles >= 0) & (profiles < self.photograph.shape[:2])).all(axis=(1, 2))
        if not inside.any():
            return np.empty((0, 2))
        profiles, steps = profiles[inside], steps[inside]
        light = self.surround.light_of(self.photograph[profiles[..., 0], profiles[..., 1]])
        end = len(offsets) // 4
        within, beyond = np.median(light[:, :end], axis=1), np.median(light[:, -end:], axis=1)
        contrast, above = within - beyond, light - (within + beyond)[:, np.newaxis] / 2
        # The last pixel within is where a step parts the profile best, however noisy it is.
        last = np.cumsum(above[:, :-1], axis=1).argmax(axis=1)
        number = np.arange(len(last))
        inner, outer = above[number, last], above[number, last + 1]
        clear = (inner >= 0) & (outer < 0) & (contrast > self.surround.lit_level)
        fraction = inner[clear] / (inner - outer)[clear]
        return profiles[number, last][clear] + 0.5 + fraction[:, np.newaxis] * steps[clear]
