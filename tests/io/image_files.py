"""Small image files, written as other programs write them."""

from PIL import Image

HEIGHT, WIDTH = 40, 56


def saved(path, pixels, mode=None, **options):
    """Write pixels, in another mode of Pillow's if one is given; `path`."""
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path
