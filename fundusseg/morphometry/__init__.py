"""What the vessels of a map measure: pure functions on arrays, which open no file.

profiles      where a map falls to a level along a way: edges at sub-pixel accuracy
graph         a skeleton as segments between branch points and end points
centrelines   smooth curves through the segments, and how wide the map is across them
tortuosity    arc over chord, squared curvature, tortuosity density of curves
bifurcations  widths and angles where three vessels meet
fractal       generalised dimensions and lacunarity
measures      all of it of one map, in pixels
definitions   what each measure is: columns, units, text
"""
