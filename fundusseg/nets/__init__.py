"""The only package that imports tensorflow: the network, its training, its prediction.

Nothing here opens a file for reading: samples and weights are handed in as arrays.
"""

from fundusseg.nets import runtime  # noqa: F401  tensorflow must be imported there first
