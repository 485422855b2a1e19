"""What is known of a phantom as plain values, for JSON: its eye, trees, lesions and totals."""

import math

import numpy as np

from fundusseg.phantom.photograph import Lesion
from fundusseg.phantom.raster import Projection, VesselRaster
from fundusseg.phantom.tree import VIEW_RADIUS, Tree

_OTHER = {"artery": "vein", "vein": "artery"}


def description(
    trees: list[Tree],
    projection: Projection,
    vessels: dict[str, VesselRaster],
    mask: np.ndarray,
    fov: np.ndarray,
    spots: list[Lesion],
) -> dict:
    """The truth of a phantom.

    Args:
        trees: its vessels, in the anatomical frame.
        projection: how they fall on the pixel grid.
        vessels: on the grid, by kind.
        mask: bool (Y, X), vessel.
        fov: bool (Y, X), the field of view.
        spots: its lesions.

    Returns:
        Of numbers, strings, lists and dictionaries only. Positions are [y, x] in pixels (pixel
        centres are whole numbers), lengths and widths in pixels inside the field of view,
        angles in degrees. Hidden is the length that runs inside the walls of a wider vessel of the
        other kind, where the mask shows one vessel.
    """
    entries = [_tree_truth(tree, projection, vessels[_OTHER[tree.kind]]) for tree in trees]
    segments = [segment for entry in entries for segment in entry["segments"]]
    mean_widths = [(s["width_start_px"] + s["width_end_px"]) / 2 for s in segments]
    areas = [s["length_px"] * width for s, width in zip(segments, mean_widths, strict=True)]
    fov_px, vessel_px = int(fov.sum()), int(mask.sum())
    return {
        "eye": "left" if projection.is_left else "right",
        "field_of_view": _circle(projection.centre, 2 * VIEW_RADIUS * projection.unit_px),
        "disc": _circle(projection.to_px(0j), projection.eye.disc_diameter * projection.unit_px),
        "macula": _position(projection.to_px(projection.eye.macula)),
        "trees": entries,
        "lesions": [{"kind": s.kind, **_circle(s.centre_px, s.diameter_px)} for s in spots],
        "totals": {
            "length_px": _rounded(sum(entry["length_px"] for entry in entries)),
            "hidden_px": _rounded(sum(segment["hidden_px"] for segment in segments)),
            "length_times_width_px2": _rounded(sum(areas)),
            "segments": len(segments),
            "branch_points": sum(len(entry["branch_points"]) for entry in entries),
            "vessel_px": vessel_px,
            "field_of_view_px": fov_px,
            "vessel_fraction": _rounded(vessel_px / fov_px),
        },
    }


def _tree_truth(tree: Tree, projection: Projection, others: VesselRaster) -> dict:
    segments: list[dict] = []
    for segment in tree.segments:
        seen = np.array([projection.eye.sees(point) for point in segment.points])
        if np.count_nonzero(seen) < 2:
            continue
        points, widths = (
            projection.to_px(segment.points[seen]),
            segment.widths[seen] * projection.unit_px,
        )
        segments.append(
            {
                "length_px": _rounded(np.abs(np.diff(points)).sum()),
                "hidden_px": _rounded(_hidden_px(points, widths, others)),
                "width_start_px": _rounded(widths[0]),
                "width_end_px": _rounded(widths[-1]),
                "start_px": _position(points[0]),
                "end_px": _position(points[-1]),
            }
        )
    branch_points = [
        {
            "position_px": _position(projection.to_px(branch.position)),
            "parent_width_px": _rounded(branch.parent_width * projection.unit_px),
            "child_widths_px": [_rounded(w * projection.unit_px) for w in branch.child_widths],
            "angle_deg": _rounded(math.degrees(branch.angle)),
        }
        for branch in tree.branch_points
        if projection.eye.sees(branch.position)
    ]
    return {
        "kind": tree.kind,
        "vertical": tree.vertical,
        "horizontal": tree.horizontal,
        "length_px": _rounded(sum(segment["length_px"] for segment in segments)),
        "segments": segments,
        "branch_points": branch_points,
    }


def _hidden_px(points: np.ndarray, widths: np.ndarray, others: VesselRaster) -> float:
    """How much of a centreline, complex (N,), has its middle inside a wider one of the others."""
    middle = (points[1:] + points[:-1]) / 2
    height, width = others.radius_px.shape
    y = np.rint(middle.imag).astype(int).clip(0, height - 1)
    x = np.rint(middle.real).astype(int).clip(0, width - 1)
    is_hidden = (others.outside_px[y, x] <= 0) & (2 * others.radius_px[y, x] > widths[1:])
    return float(np.abs(np.diff(points))[is_hidden].sum())


def _rounded(value: float) -> float:
    return round(float(value), 3)


def _position(position: complex) -> list[float]:
    return [_rounded(position.imag), _rounded(position.real)]


def _circle(centre: complex, diameter_px: float) -> dict:
    return {"centre_px": _position(centre), "diameter_px": _rounded(diameter_px)}
