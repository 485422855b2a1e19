"""How phantoms may look: the range of each property, drawn anew for each photograph.

NATURAL stays within what cameras and eyes give. VARIED goes wide beyond it, for training: a network
that has seen vessels under any colour, contrast, light and texture relies on their shape alone
(domain randomisation; Billot et al. 2023, doi 10.1016/j.media.2023.102789).
"""

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Appearance:
    """Ranges of uniform random numbers. Strengths are of log brightness unless said otherwise.

    Attributes:
        red: display value / 255 of the fundus. green_of_red, blue_of_green: ratios.
        mottling: of pigment by the number of cells along the height: 5, 18 and 70.
        choroid: of the choroid's vessels; below 0 they are dark. fibres: of the nerve fibres
            about the disc. glints: of reflexes on the surface, as display values / 255.
        macula, disc_glow: darkness of the macula, and brightness around the disc.
        blood: optical density of the widest vessel, of its green. artery: density / a vein's.
        artery_reflex, vein_reflex: share of the density that the axis reflects away.
        light_slope, light_edge, light_unevenness: of the lamp, over the radius.
        lesion_probability: share of the photographs with lesions. lesions: their number / the
            usual one.
        blur, noise: factors on the configured ones.
    """

    red: Range = (0.5, 0.92)
    green_of_red: Range = (0.3, 0.46)
    blue_of_green: Range = (0.12, 0.6)
    mottling: tuple[Range, Range, Range] = ((0.04, 0.16), (0.015, 0.08), (0.01, 0.04))
    choroid: Range = (-0.02, 0.2)
    fibres: Range = (0.0, 0.0)
    glints: Range = (0.0, 0.0)
    macula: Range = (0.15, 0.4)
    disc_glow: Range = (0.05, 0.3)
    blood: Range = (0.75, 1.15)
    artery: Range = (0.7, 0.85)
    artery_reflex: Range = (0.25, 0.5)
    vein_reflex: Range = (0.0, 0.15)
    light_slope: Range = (0.05, 0.5)
    light_edge: Range = (0.0, 0.4)
    light_unevenness: Range = (0.03, 0.18)
    lesion_probability: float = 0.35
    lesions: Range = (1.0, 1.0)
    blur: Range = (1.0, 1.0)
    noise: Range = (1.0, 1.0)


NATURAL = Appearance()
VARIED = Appearance(
    red=(0.25, 1.0),
    green_of_red=(0.15, 1.2),
    blue_of_green=(0.05, 1.2),
    mottling=((0.0, 0.35), (0.0, 0.25), (0.0, 0.12)),
    choroid=(-0.35, 0.6),
    fibres=(0.0, 0.2),
    glints=(0.0, 0.4),
    macula=(0.0, 0.7),
    disc_glow=(-0.1, 0.6),
    blood=(0.3, 1.6),
    artery=(0.4, 1.0),
    artery_reflex=(0.0, 0.8),
    vein_reflex=(0.0, 0.4),
    light_slope=(0.0, 1.2),
    light_edge=(0.0, 1.0),
    light_unevenness=(0.0, 0.45),
    lesion_probability=0.7,
    lesions=(0.5, 3.0),
    blur=(0.3, 3.0),
    noise=(0.2, 4.0),
)
APPEARANCES = {"natural": NATURAL, "varied": VARIED}
