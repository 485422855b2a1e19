"""Shapes whose measures are known in closed form, drawn pixel by pixel."""

import numpy as np
from scipy.spatial import cKDTree

ODD = np.array([0.3, 0.1])  # no shape is in step with the grid of pixels


def band(points: np.ndarray, width_px: float, shape: tuple[int, int]) -> np.ndarray:
    """bool (Y, X): a dense curve, float (N, 2), drawn at a width with flat ends."""
    pixels = np.argwhere(np.ones(shape, bool))
    distance, nearest = cKDTree(points).query(pixels, distance_upper_bound=width_px)
    is_beside = (nearest > 0) & (nearest < len(points) - 1)
    return ((distance <= width_px / 2) & is_beside).reshape(shape)


def turned(points: np.ndarray, angle: float, shape: tuple[int, int]) -> np.ndarray:
    """Points around the origin, turned by an angle in radians and put in the middle of a frame."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn + np.array(shape) / 2 + ODD


def bar(length_px: float, width_px: float, angle: float, shape: tuple[int, int]) -> np.ndarray:
    """bool (Y, X): a straight bar with flat ends."""
    y, x = (np.indices(shape).reshape(2, -1).T - np.array(shape) / 2 - ODD).T
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    return ((abs(along) <= length_px / 2) & (abs(across) <= width_px / 2)).reshape(shape)


def sine(amplitude: float, period_px: float, angle: float, width_px: float = 5) -> np.ndarray:
    """bool (Y, X): one period of y = A sin x, x from 0 to 2 pi, drawn at a period in pixels."""
    x = np.linspace(-np.pi, np.pi, 100 * int(period_px))
    points = np.column_stack([amplitude * np.sin(x), x]) * period_px / (2 * np.pi)
    side = int(1.4 * period_px)
    return band(turned(points, angle, (side, side)), width_px, (side, side))


def arc(radius_px: float, opening: float, angle: float, width_px: float = 5) -> np.ndarray:
    """bool (Y, X): an arc of a circle with an opening in radians."""
    t = np.linspace(0, opening, 20_000)
    points = radius_px * np.column_stack([np.sin(t), np.cos(t)])
    side = int(2.4 * radius_px)
    return band(turned(points, angle, (side, side)), width_px, (side, side))


def tree(ways: list[list[tuple[float, float]]], width_px: float, size_px: int) -> np.ndarray:
    """bool (Y, X): straight bars with round ends from point to point, [y, x] in [0, 1]."""
    drawn = np.zeros((size_px, size_px), bool)
    pixels = np.argwhere(~drawn)
    for way in ways:
        corners = np.array(way) * size_px + ODD
        for first, last in zip(corners[:-1], corners[1:], strict=True):
            share = ((pixels - first) @ (last - first) / ((last - first) ** 2).sum()).clip(0, 1)
            beside = pixels - first - share[:, np.newaxis] * (last - first)
            drawn |= (np.hypot(*beside.T) <= width_px / 2).reshape(drawn.shape)
    return drawn
