"""The drawn eye: tree, growth, raster, photograph, and the description of all that is known."""
