"""What a fundus camera would see of a phantom's vessels: light, pigment, disc, lesions, sensor.

Strategy. The picture is built in display values (sRGB / 255) by the order of the layers in the
eye: the colour of the fundus, its pigment and choroid, macula and optic disc, lesions, vessels,
which all multiply or blend; then uneven light, blur, noise, and the black frame. Random fields
are cubic B-splines over coarse random grids, so they look alike at every image size.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fundusseg.phantom.appearance import NATURAL, Appearance, Range
from fundusseg.phantom.raster import VesselRaster
from fundusseg.phantom.tree import VIEW_RADIUS

# How strongly blood and pigment darken red, green and blue.
BLOOD = np.array([0.34, 1.0, 0.95], np.float32)
PIGMENT = np.array([0.45, 1.0, 1.1], np.float32)
LIGHT = np.array([0.85, 1.0, 1.1], np.float32)


@dataclass(frozen=True)
class Lesion:
    """A spot that is no vessel: "microaneurysm", "haemorrhage" or "exudate"."""

    kind: str
    centre_px: complex
    diameter_px: float


@dataclass(frozen=True)
class Scene:
    """All that is drawn, on the pixel grid; positions are x + 1j y in pixels.

    Attributes:
        disc_px, macula_px, centre_px: centres of the optic disc, fovea and field of view.
        disc_diameter_px: of the optic disc.
        unit_px: 1/480 of the field of view's diameter.
        half_height_px: half the height to which the circle is cut.
        vessels: by kind, "artery" and "vein".
        mask, fov: bool (Y, X), vessels and field of view.
    """

    disc_px: complex
    macula_px: complex
    centre_px: complex
    disc_diameter_px: float
    unit_px: float
    half_height_px: float
    vessels: dict[str, VesselRaster]
    mask: np.ndarray
    fov: np.ndarray


def smooth_field(shape: tuple[int, int], cells: float, rng: np.random.Generator) -> np.ndarray:
    """Random field of zero mean and unit standard deviation, smooth over 1/cells of the height.

    Args:
        shape: (Y, X).
        cells: nodes of the random grid along the height, > 0.
        rng: source of the random grid.

    Returns:
        float32 (Y, X).
    """
    pitch = shape[0] / cells
    grid = rng.standard_normal([math.ceil(side / pitch) + 4 for side in shape], np.float32)
    for axis, side in enumerate(shape):
        node, t = np.divmod(np.arange(side) / pitch, 1)
        node = node.astype(int)
        weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
        column = (-1, 1) if axis == 0 else (1, -1)
        grid = sum(
            np.take(grid, node + k, axis) * w.astype(np.float32).reshape(column)
            for k, w in enumerate(weights)
        )
    return (grid - grid.mean()) / grid.std()


def lesions(scene: Scene, rng: np.random.Generator, appearance: Appearance) -> list[Lesion]:
    """Choose the lesions of an eye, if it has any.

    They lie in the field of view, off the disc, and touch no vessel, so that no pixel of a
    lesion is a vessel's.
    """
    if rng.random() >= appearance.lesion_probability:
        return []
    spots = []
    counts = {"microaneurysm": rng.integers(2, 14), "haemorrhage": rng.integers(0, 6)}
    more = _drawn(appearance.lesions, rng)
    for kind, low, high in (("microaneurysm", 2.5, 5.0), ("haemorrhage", 7.0, 20.0)):
        for _ in range(round(more * counts[kind])):
            radius = 0.85 * VIEW_RADIUS * math.sqrt(rng.random())
            place = scene.centre_px + _on_circle(radius * scene.unit_px, rng)
            spots.append(Lesion(kind, place, rng.uniform(low, high) * scene.unit_px))
    if rng.random() < 0.6:
        cluster = scene.macula_px + _on_circle(scene.disc_diameter_px * rng.uniform(0.3, 1.2), rng)
        for _ in range(round(more * rng.integers(6, 30))):
            spread = 0.35 * scene.disc_diameter_px
            place = cluster + complex(*rng.normal(0, spread, 2))
            spots.append(Lesion("exudate", place, rng.uniform(2.5, 9.0) * scene.unit_px))
    return [lesion for lesion in spots if _is_clear(lesion, scene)]


def _drawn(limits: Range, rng: np.random.Generator) -> float:
    """A uniform random number.

    Limits of no width use up no random number, so that older seeds keep their bytes.
    """
    return limits[0] if limits[0] == limits[1] else rng.uniform(*limits)


def _on_circle(radius: float, rng: np.random.Generator) -> complex:
    angle = rng.uniform(0, 2 * math.pi)
    return complex(radius * math.cos(angle), radius * math.sin(angle))


def _box(centre: complex, half_side: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    y, x, reach = round(centre.imag), round(centre.real), math.ceil(half_side)
    return (
        slice(max(y - reach, 0), max(min(y + reach + 1, shape[0]), 0)),
        slice(max(x - reach, 0), max(min(x + reach + 1, shape[1]), 0)),
    )


def _is_clear(lesion: Lesion, scene: Scene) -> bool:
    box = _box(lesion.centre_px, 0.75 * lesion.diameter_px + 1, scene.mask.shape)
    is_off_disc = abs(lesion.centre_px - scene.disc_px) > 0.7 * scene.disc_diameter_px
    seen = scene.fov[box]
    return bool(is_off_disc and seen.size and seen.all() and not scene.mask[box].any())


def photograph(
    scene: Scene,
    spots: list[Lesion],
    blur_px: float,
    noise: float,
    rng: np.random.Generator,
    appearance: Appearance = NATURAL,
) -> np.ndarray:
    """Paint a scene.

    Args:
        scene: what there is to see.
        spots: lesions.
        blur_px: standard deviation of the optical blur, >= 0.
        noise: standard deviation of the sensor's noise / full range, >= 0.
        rng: source of colour, light, texture and noise.
        appearance: the ranges that these are drawn from.

    Returns:
        uint8 (Y, X, 3), sRGB.
    """
    colour = _fundus_colour(appearance, rng)
    picture = colour * np.exp(_pigment(scene, appearance, rng)[..., None] * PIGMENT)
    _paint_disc(picture, scene, colour, rng)
    for spot in spots:
        _paint_lesion(picture, spot, rng)
    picture *= np.exp(-_blood(scene, appearance, rng)[..., None] * BLOOD)
    picture *= np.exp(_light(scene, appearance, rng)[..., None] * LIGHT)
    glints = _drawn(appearance.glints, rng)
    if glints:
        patches = smooth_field(scene.fov.shape, rng.uniform(10, 40), rng)
        picture += (glints * np.maximum(patches - 1.2, 0))[..., None]
    blur_px *= _drawn(appearance.blur, rng)
    noise *= _drawn(appearance.noise, rng)
    for channel in range(3):
        picture[..., channel] = ndimage.gaussian_filter(picture[..., channel], blur_px)
    # Bright parts saturate softly, as in cameras; what is below 0.7 stays as it is.
    glare = np.maximum(picture - 0.7, 0)
    picture = np.minimum(picture, 0.7) + 0.3 * (1 - np.exp(-glare / 0.3))
    picture *= _aperture(scene)[..., None]
    grain = rng.standard_normal(picture.shape, np.float32)
    picture += grain * noise * (0.3 + np.sqrt(np.maximum(picture, 0)))
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _fundus_colour(appearance: Appearance, rng: np.random.Generator) -> np.ndarray:
    """Mean colour, float32 (3,): from dark brown over orange and red to pale."""
    red = rng.uniform(*appearance.red)
    green = min(red * rng.uniform(*appearance.green_of_red), 1.0)
    blue = min(green * rng.uniform(*appearance.blue_of_green), 1.0)
    return np.array([red, green, blue], np.float32)


def _distance(shape: tuple[int, int], centre: complex, stretch_y: float = 1.0) -> np.ndarray:
    """float32 (Y, X): distance in pixels from a centre, y divided by `stretch_y`."""
    y = (np.arange(shape[0], dtype=np.float32)[:, None] - centre.imag) / stretch_y
    x = np.arange(shape[1], dtype=np.float32)[None, :] - centre.real
    return np.hypot(y, x).astype(np.float32)


def _pigment(scene: Scene, appearance: Appearance, rng: np.random.Generator) -> np.ndarray:
    """Log brightness, float32 (Y, X): mottling, choroidal vessels, macula, nerve fibres."""
    shape = scene.fov.shape
    fields = np.zeros(shape, np.float32)
    for cells, limits in zip((5, 18, 70), appearance.mottling, strict=True):
        fields += rng.uniform(*limits) * smooth_field(shape, cells, rng)
    # Where a smooth field crosses zero there is a net of soft bands: the choroid's vessels.
    bands = np.exp(-((smooth_field(shape, 14, rng) / 0.5) ** 2))
    where = np.clip(0.5 + 0.5 * smooth_field(shape, 3, rng), 0, 1)
    fields += rng.uniform(*appearance.choroid) * bands * where
    from_macula = _distance(shape, scene.macula_px) / scene.disc_diameter_px
    fields -= rng.uniform(*appearance.macula) * np.exp(-((from_macula / 0.75) ** 2))
    fields -= rng.uniform(0.1, 0.4) * np.exp(-((from_macula / 0.22) ** 2))
    from_disc = _distance(shape, scene.disc_px, 1.4) / scene.disc_diameter_px
    fields += rng.uniform(*appearance.disc_glow) * np.exp(-((from_disc / 1.1) ** 2))
    fibres = _drawn(appearance.fibres, rng)
    return fields + fibres * _fibres(scene, rng) if fibres else fields


def _fibres(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """The nerve fibres' streaks, float32 (Y, X), about -2 to 2: they leave the disc in arcs."""
    y = np.arange(scene.fov.shape[0], dtype=np.float32)[:, None] - scene.disc_px.imag
    x = np.arange(scene.fov.shape[1], dtype=np.float32)[None, :] - scene.disc_px.real
    radius = np.hypot(y, x) / scene.disc_diameter_px
    streaks = rng.standard_normal(720, np.float32)
    # Fibres bend towards the macula, the more the farther from the disc.
    bend = 0.35 * np.sign(scene.macula_px.real - scene.disc_px.real) * radius
    turns = (np.arctan2(y, x) + bend * np.sin(np.arctan2(y, x))) / (2 * math.pi)
    along = np.interp(turns % 1.0, np.linspace(0, 1, len(streaks)), streaks, period=1.0)
    return (along * np.exp(-((radius - 0.8) ** 2) / 2)).astype(np.float32)


def _paint_disc(
    picture: np.ndarray, scene: Scene, colour: np.ndarray, rng: np.random.Generator
) -> None:
    """Blend in the disc: a pink to yellow rim with a soft edge, and a paler cup in it."""
    shape, radius = scene.fov.shape, scene.disc_diameter_px / 2
    temporal = 1 if scene.macula_px.real > scene.disc_px.real else -1
    stretch = rng.uniform(1.0, 1.15)
    from_disc = _distance(shape, scene.disc_px, stretch) / radius
    wobble = 0.05 * smooth_field(shape, 8, rng)
    edge = rng.uniform(0.06, 0.14)
    rim = 1 / (1 + np.exp(np.clip((from_disc + wobble - 1) / (edge / 2), -30, 30)))
    cup_px = scene.disc_px + temporal * radius * rng.uniform(0.05, 0.2)
    from_cup = _distance(shape, cup_px, stretch) / (radius * rng.uniform(0.3, 0.55))
    cup = 1 / (1 + np.exp(np.clip((from_cup + wobble - 1) / 0.15, -30, 30)))
    rim_colour = np.minimum(colour * rng.uniform([1.2, 1.7, 1.6], [1.4, 2.3, 2.3]), 1.1)
    cup_colour = np.minimum(rim_colour * rng.uniform([1.05, 1.2, 1.2], [1.2, 1.45, 1.9]), 1.3)
    disc = rim_colour + (cup_colour - rim_colour) * cup[..., None]
    disc *= (1 + 0.04 * smooth_field(shape, 40, rng))[..., None]
    crescent = np.exp(-(((from_disc - 1.08) / 0.1) ** 2)) * rng.uniform(0, 0.2)
    picture *= 1 - crescent[..., None]
    picture += (disc - picture) * (0.95 * rim)[..., None]


def _paint_lesion(picture: np.ndarray, lesion: Lesion, rng: np.random.Generator) -> None:
    """Blood darkens, exudate brightens; haemorrhages and exudates are uneven in outline."""
    radius = lesion.diameter_px / 2
    box = _box(lesion.centre_px, 1.5 * radius + 1, picture.shape[:2])
    corner = complex(box[1].start, box[0].start)
    patch = picture[box]
    from_centre = _distance(patch.shape[:2], lesion.centre_px - corner, rng.uniform(0.8, 1.25))
    unevenness = 0.0 if lesion.kind == "microaneurysm" else 0.25
    outline = radius * (1 - unevenness * np.abs(smooth_field(patch.shape[:2], 3, rng)))
    cover = np.clip((outline - from_centre) / max(0.3 * radius, 1.0) + 0.5, 0, 1)[..., None]
    if lesion.kind == "exudate":
        bright = np.minimum(patch * np.array([1.25, 2.0, 1.8], np.float32), 1.1)
        patch += (bright - patch) * cover * rng.uniform(0.4, 0.9)
    else:
        patch *= np.exp(-cover * BLOOD * rng.uniform(0.35, 0.8))


def _blood(scene: Scene, appearance: Appearance, rng: np.random.Generator) -> np.ndarray:
    """Optical density of the vessels at the green channel, float32 (Y, X), >= 0.

    A vessel is a round tube: its depth, and so its density, goes with its width and with
    sqrt(1 - (distance / radius)^2). Arteries hold lighter blood and reflect along the axis.
    """
    density = np.zeros(scene.fov.shape, np.float32)
    strength = rng.uniform(*appearance.blood)
    reflex = {
        "artery": rng.uniform(*appearance.artery_reflex),
        "vein": rng.uniform(*appearance.vein_reflex),
    }
    for kind, tone in (("vein", 1.0), ("artery", rng.uniform(*appearance.artery))):
        vessel = scene.vessels[kind]
        is_near = vessel.outside_px < 1
        outside, radius = vessel.outside_px[is_near], vessel.radius_px[is_near]
        from_axis = np.clip(1 + outside / np.maximum(radius, 1e-3), 0, 1)
        # A ramp one pixel wide across the wall stands for the share of the pixel inside.
        cover = np.clip(0.5 - outside, 0, 1)
        profile = 0.35 + 0.65 * np.sqrt(1 - from_axis**2)
        width = 2 * radius / scene.unit_px
        depth = 0.95 * (1 - np.exp(-(width + 0.4) / 4.5))
        shine = reflex[kind] * np.exp(-((from_axis / 0.33) ** 2)) * np.clip((width - 3) / 3, 0, 1)
        density[is_near] += strength * tone * cover * profile * depth * (1 - shine)
    return density * (1 + 0.1 * smooth_field(scene.fov.shape, 10, rng)).clip(0.5)


def _light(scene: Scene, appearance: Appearance, rng: np.random.Generator) -> np.ndarray:
    """Log of the light's brightness, float32 (Y, X): vignetting, slope, slow unevenness."""
    shape, radius = scene.fov.shape, VIEW_RADIUS * scene.unit_px
    bright_spot = scene.centre_px + _on_circle(radius * rng.uniform(0, 0.4), rng)
    from_spot = _distance(shape, bright_spot) / radius
    light = 0.08 - rng.uniform(*appearance.light_slope) * from_spot**2
    light -= rng.uniform(*appearance.light_edge) * np.maximum(from_spot - 0.75, 0) ** 2 * 4
    return light + rng.uniform(*appearance.light_unevenness) * smooth_field(shape, 2, rng)


def _aperture(scene: Scene) -> np.ndarray:
    """Share of the light that passes the camera's aperture, float32 (Y, X), in [0, 1]."""
    shape, softness = scene.fov.shape, max(1.0, 1.5 * scene.unit_px)
    y = np.abs(np.arange(shape[0], dtype=np.float32) - scene.centre_px.imag)[:, None]
    inside = VIEW_RADIUS * scene.unit_px - _distance(shape, scene.centre_px)
    inside = np.minimum(inside, scene.half_height_px - y)
    return np.clip(inside / softness + 0.5, 0, 1)
