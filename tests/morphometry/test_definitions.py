"""What a row says is lacking is what the map lacks."""

from fundusseg.morphometry.definitions import UNMEASURED, cells


def lacking(values: dict[str, float], has_probability: bool) -> list[str]:
    return cells(values, 150, 7.0, has_probability)[UNMEASURED].split("; ")


def test_the_widest_half_heights_lack_probabilities_not_long_segments():
    said = lacking({"width_six_widest": 5.0}, has_probability=False)
    assert "probabilities (infer --probability)" in said
    assert "6 segments of 0.05 diameters" not in said
    assert "6 segments of 0.05 diameters" in lacking({}, has_probability=False)


def test_an_empty_map_that_has_probabilities_does_not_lack_them():
    said = lacking({}, has_probability=True)
    assert "a centreline" in said and "probabilities (infer --probability)" not in said
