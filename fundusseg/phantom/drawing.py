"""Synthetic fundus photographs with exactly known vessels, for demonstration and tests.

`grow_trees` grows the vessels, `vessel_raster` lays them on the pixel grid, `photograph` paints
what a camera would see of them, and `description` tells the truth; here the eye and the camera
are chosen.
"""

import cmath
import math
from dataclasses import dataclass

import numpy as np

from fundusseg.phantom.appearance import NATURAL, Appearance
from fundusseg.phantom.description import description
from fundusseg.phantom.growth import grow_trees
from fundusseg.phantom.photograph import Scene, lesions, photograph
from fundusseg.phantom.raster import Projection, vessel_raster
from fundusseg.phantom.tree import VIEW_RADIUS, Eye, Segment, Tree

SMALLEST_SIZE_PX = 64


@dataclass(frozen=True)
class PhantomConfig:
    """What phantoms look like. Lengths "at 512" scale with the field of view's diameter.

    Attributes:
        size_px: height of the photograph, >= 64.
        aspect: width / height, >= 0.5.
        field_of_view_fraction: diameter of the field of view / smaller side, in (0, 1].
        cut_probability: share of the photographs whose circle is cut at top and bottom.
        widest_vessel_px: mean diameter of a large vein at the disc, at 512.
        narrowest_vessel_px: vessels are nowhere narrower than this, at 512. Photographs of
            less than 512 have fewer and relatively wider vessels, down to 1.2 pixels.
        blur_px: standard deviation of the optical blur, at 512, >= 0.
        noise: standard deviation of the sensor's noise / full range, >= 0.
        appearance: the ranges of colour, light and texture, and of lesions.
    """

    size_px: int = 512
    aspect: float = 1.0
    field_of_view_fraction: float = 0.94
    cut_probability: float = 0.25
    widest_vessel_px: float = 8.5
    narrowest_vessel_px: float = 1.2
    blur_px: float = 0.7
    noise: float = 0.012
    appearance: Appearance = NATURAL


@dataclass(frozen=True)
class Phantom:
    """One synthetic photograph and all that is known of it.

    Attributes:
        photograph: uint8 (Y, X, 3), sRGB.
        mask: bool (Y, X), pixels whose centre lies within half a width of a centreline,
            inside the field of view.
        mask2: bool (Y, X), a second observer, who misses some of the thinnest vessels and
            draws widths a little differently.
        fov: bool (Y, X), the field of view.
        truth: for JSON. Positions are [y, x] in pixels (pixel centres are whole numbers),
            lengths and widths in pixels inside the field of view, angles in degrees.
    """

    photograph: np.ndarray
    mask: np.ndarray
    mask2: np.ndarray
    fov: np.ndarray
    truth: dict


def phantom(config: PhantomConfig, seed: int) -> Phantom:
    """Draw a synthetic fundus photograph.

    Args:
        config: what phantoms look like.
        seed: which of them, >= 0. The same config and seed give the same bytes; lesions,
            noise and the second observer do not change the vessels.

    Returns:
        The photograph with masks, field of view and truth.

    Raises:
        ValueError: if the config or the seed is out of range.
    """
    _check(config, seed)
    chances = np.random.default_rng(seed).spawn(5)
    projection = _projection(config, chances[0])
    trees = grow_trees(projection.eye, *_calibres(config, projection.unit_px), chances[1])
    fov = projection.fov()
    vessels = {
        kind: vessel_raster([tree for tree in trees if tree.kind == kind], projection)
        for kind in ("artery", "vein")
    }
    mask = fov & ((vessels["artery"].outside_px <= 0) | (vessels["vein"].outside_px <= 0))
    mask2 = fov & (
        vessel_raster(_second_observer(trees, projection, chances[2]), projection).outside_px <= 0
    )
    scene = Scene(
        disc_px=complex(projection.to_px(0j)),
        macula_px=complex(projection.to_px(projection.eye.macula)),
        centre_px=projection.centre,
        disc_diameter_px=projection.eye.disc_diameter * projection.unit_px,
        unit_px=projection.unit_px,
        half_height_px=projection.eye.view_half_height * projection.unit_px,
        vessels=vessels,
        mask=mask,
        fov=fov,
    )
    spots = lesions(scene, chances[3], config.appearance)
    blur_px = config.blur_px * projection.unit_px
    picture = photograph(scene, spots, blur_px, config.noise, chances[4], config.appearance)
    truth = description(trees, projection, vessels, mask, fov, spots)
    return Phantom(picture, mask, mask2, fov, truth)


def _check(config: PhantomConfig, seed: int) -> None:
    is_right = {
        "seed": seed >= 0,
        "size_px": config.size_px >= SMALLEST_SIZE_PX,
        "aspect": 0.5 <= config.aspect < math.inf,
        "field_of_view_fraction": 0 < config.field_of_view_fraction <= 1,
        "cut_probability": 0 <= config.cut_probability <= 1,
        "widest_vessel_px": 0 < config.widest_vessel_px <= 20,
        "narrowest_vessel_px": 0 < config.narrowest_vessel_px <= config.widest_vessel_px,
        "blur_px": 0 <= config.blur_px < math.inf,
        "noise": 0 <= config.noise < math.inf,
    }
    wrong = [name for name, right in is_right.items() if not right]
    if wrong:
        raise ValueError(f"phantom: out of range: {', '.join(wrong)}")


def _projection(config: PhantomConfig, rng: np.random.Generator) -> Projection:
    """Choose eye and camera: disc, macula, where the camera looks, which eye, cut or not."""
    height, width = config.size_px, round(config.size_px * config.aspect)
    is_cut = rng.random() < config.cut_probability
    cut = rng.uniform(0.78, 0.93)
    # A cut circle may be wider than the frame is high: that is why cameras cut it.
    diameter_px = config.field_of_view_fraction * min(width, height / cut if is_cut else height)
    radius_px = diameter_px / 2
    half_height_px = min(radius_px * (cut if is_cut else 1.0), height / 2)
    slack_px = 0.3 * (width - diameter_px)
    centre = complex((width - 1) / 2 + rng.uniform(-1, 1) * slack_px, (height - 1) / 2)
    disc_diameter = 2 * VIEW_RADIUS * rng.uniform(0.13, 0.17)
    macula = disc_diameter * complex(rng.uniform(2.35, 2.65), rng.uniform(-0.25, 0.0))
    eye = Eye(
        disc_diameter=disc_diameter,
        macula=macula,
        view_centre=macula * rng.uniform(0.15, 1.0) + 1j * disc_diameter * rng.uniform(-0.3, 0.3),
        view_half_height=VIEW_RADIUS * half_height_px / radius_px,
        view_turn=cmath.rect(1.0, rng.uniform(-0.12, 0.12)),
    )
    unit_px = radius_px / VIEW_RADIUS
    return Projection(eye, centre, unit_px, bool(rng.random() < 0.5), (height, width))


def _calibres(config: PhantomConfig, unit_px: float) -> tuple[float, float]:
    """Widest and narrowest vessel in units; both are kept drawable on coarse grids."""
    narrowest = max(config.narrowest_vessel_px, 1.2 / unit_px)
    return max(config.widest_vessel_px, 2.0 * narrowest), narrowest


def _second_observer(
    trees: list[Tree], projection: Projection, rng: np.random.Generator
) -> list[Tree]:
    """The trees as another person would draw them."""
    hand = rng.uniform(0.9, 1.12)
    thin = 2.4 * min(float(segment.widths.min()) for tree in trees for segment in tree.segments)
    drawn = []
    for tree in trees:
        parents = {segment.parent for segment in tree.segments}
        kept = []
        for index, segment in enumerate(tree.segments):
            width, is_twig = float(segment.widths.mean()), index not in parents
            is_missed = is_twig and width < thin and rng.random() < 0.4
            # The least width that still makes a connected line of pixels is one pixel.
            widths = np.maximum(
                segment.widths * hand * rng.uniform(0.93, 1.07), 1 / projection.unit_px
            )
            if not is_missed:
                kept.append(Segment(segment.points, widths, segment.parent))
        drawn.append(Tree(tree.kind, tree.vertical, tree.horizontal, kept))
    return drawn
