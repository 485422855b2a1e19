"""Pictures that are no fundus photographs, or odd ones; drawn, uint8 (Y, X, 3)."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fundusseg.phantom.drawing import PhantomConfig, phantom

SIZE_PX = 400


def strange_pictures() -> dict[str, np.ndarray]:
    """By what they are."""
    eye = phantom(PhantomConfig(size_px=SIZE_PX), 0)
    photograph, vessels = eye.photograph, eye.mask.astype(np.uint8) * np.uint8(255)
    black = np.zeros_like(photograph)
    noise = np.random.default_rng(0).integers(0, 256, photograph.shape, np.uint8)
    y, x = np.mgrid[0:1:400j, 0:1:400j]
    sunset = np.stack([255 - 120 * y, 160 - 90 * y, 90 + 60 * y + 20 * x], 2).astype(np.uint8)
    middle = slice(SIZE_PX // 3, SIZE_PX * 2 // 3)
    return {
        "a photograph": photograph,
        "upside down": photograph[::-1].copy(),
        "mirrored": photograph[:, ::-1].copy(),
        "grey": np.repeat(photograph[..., 1:2], 3, 2),
        "without its border": photograph[middle, middle].copy(),
        "blurred": np.asarray(Image.fromarray(photograph).filter(ImageFilter.GaussianBlur(9))),
        "black": black,
        "white": np.full_like(photograph, 255),
        "grey all over": np.full_like(photograph, 128),
        "noise": noise,
        "two eyes": np.concatenate([photograph, black[:, :20], photograph], axis=1),
        "a map": np.repeat(vessels[..., np.newaxis], 3, 2),
        "a map in colours": _labels(vessels),
        "a drawing": _drawing(),
        "a face": _face(),
        "a page of text": _page(),
        "a sunset": sunset,
        "a chessboard": _chessboard(),
    }


def _labels(vessels: np.ndarray) -> np.ndarray:
    """Arteries red and veins blue, where they lie side by side."""
    labels = np.zeros((*vessels.shape, 3), np.uint8)
    labels[: SIZE_PX // 2, :, 0] = vessels[: SIZE_PX // 2]
    labels[SIZE_PX // 2 :, :, 2] = vessels[SIZE_PX // 2 :]
    return labels


def _drawing() -> np.ndarray:
    image = Image.new("RGB", (SIZE_PX, SIZE_PX), "white")
    draw = ImageDraw.Draw(image)
    draw.polygon([(60, 200), (200, 80), (340, 200)], outline="black", fill=(200, 60, 40), width=4)
    draw.rectangle([90, 200, 310, 340], outline="black", fill=(240, 220, 160), width=4)
    draw.rectangle([170, 250, 230, 340], outline="black", fill=(120, 80, 40), width=4)
    return np.asarray(image)


def _face() -> np.ndarray:
    image = Image.new("RGB", (SIZE_PX, SIZE_PX), (90, 120, 150))
    draw = ImageDraw.Draw(image)
    draw.ellipse([90, 50, 310, 360], fill=(224, 172, 140))
    draw.pieslice([80, 30, 320, 230], 180, 360, fill=(60, 40, 30))
    for left in (140, 220):
        draw.ellipse([left, 170, left + 44, 194], fill="white")
        draw.ellipse([left + 12, 170, left + 34, 194], fill=(50, 80, 60))
        draw.arc([left - 6, 145, left + 50, 185], 200, 340, fill=(60, 40, 30), width=5)
    draw.line([(200, 190), (188, 250), (208, 254)], fill=(190, 130, 105), width=4)
    draw.ellipse([160, 285, 240, 310], fill=(180, 70, 70))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(1.5)))


def _page() -> np.ndarray:
    image = Image.new("RGB", (SIZE_PX, SIZE_PX), (250, 248, 240))
    draw = ImageDraw.Draw(image)
    for line in range(24):
        draw.text((20, 15 + 15 * line), "the quick brown fox jumps over the lazy dog " * 2, "black")
    return np.asarray(image)


def _chessboard() -> np.ndarray:
    y, x = np.indices((SIZE_PX, SIZE_PX)) // 50
    board = np.where((x + y) % 2 == 0, 200, 60).astype(np.uint8)
    return np.repeat(board[..., np.newaxis], 3, 2)
