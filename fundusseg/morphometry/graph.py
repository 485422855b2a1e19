"""A skeleton as a graph: segments between branch points and end points.

Two pixels of a skeleton are joined if they touch, but not across a corner that a third one fills:
so a staircase is a line. Where three lines and more meet, the pixels that touch are one node.
Then, in rounds until nothing changes, spurs go (what thinning makes of a bump of the outline),
and the two segments that meet where a spur has gone become one; last, nodes nearer to each other
than the vessel there is wide become one, so that a crossing, which thinning draws as two
bifurcations with a bridge between, is counted once.
"""

import functools
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_ORTHOGONAL = ((-1, 0), (0, -1), (0, 1), (1, 0))
_DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(eq=False)
class VesselSegment:
    """A stretch of skeleton between two nodes.

    path: float64 (N, 3), [y, x, half the vessel's width] in pixels, from node to node. nodes: of
    its first and last point; the same twice for a loop.
    """

    path: np.ndarray
    nodes: tuple[int, int]

    @property
    def length_px(self) -> float:
        """Of the path, pixel by pixel."""
        return float(np.hypot(*np.diff(self.path[:, :2], axis=0).T).sum())

    def from_node(self, node: int) -> np.ndarray:
        """The path, beginning at this node."""
        return self.path if self.nodes[0] == node else self.path[::-1]


@dataclass(frozen=True)
class VesselGraph:
    """The segments of a skeleton.

    nodes: float64 (M, 3), [y, x, half the vessel's width] in pixels. degrees: int (M,), how many
    ends of segments meet at each: 1 at an end point, 0 where a node has gone. spurs: how many of
    them, and of loops around a missing pixel, were left out. components: number of connected
    components.
    """

    segments: list[VesselSegment]
    nodes: np.ndarray
    degrees: np.ndarray
    spurs: int
    components: int

    @functools.cached_property
    def ends(self) -> np.ndarray:
        """int (S, 2): the nodes of each segment."""
        return np.array([segment.nodes for segment in self.segments], int).reshape(-1, 2)

    @property
    def loops(self) -> int:
        """Number of independent closed ways."""
        return len(self.segments) - int(np.count_nonzero(self.degrees)) + self.components


def vessel_graph(skeleton: np.ndarray, radius_px: np.ndarray) -> VesselGraph:
    """The graph of a skeleton.

    Args:
        skeleton: bool (Y, X), one pixel wide.
        radius_px: float (N,), half the local width of the vessel at each pixel of the skeleton, in
            the order of `np.nonzero`. A spur is shorter than the vessel that it leaves is wide.

    Raises:
        ValueError: if there is not one radius for each pixel.
    """
    pixels = np.argwhere(skeleton)
    if radius_px.shape != (len(pixels),):
        raise ValueError(f"{radius_px.shape} radii of {len(pixels)} pixels")
    draft = _Draft(pixels, radius_px, _neighbours(skeleton, pixels))
    draft.simplify()
    return draft.graph()


def _neighbours(skeleton: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """int (N, 8): the numbers of the pixels that each pixel is joined to, -1 for none."""
    width = skeleton.shape[1] + 2  # a column on either side, so that rows do not touch
    keys = (pixels[:, 0] + 1) * width + pixels[:, 1] + 1
    joined = {}
    for dy, dx in (*_ORTHOGONAL, *_DIAGONAL):
        wanted = keys + dy * width + dx
        places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1) if len(keys) else keys
        joined[dy, dx] = np.where(keys[places] == wanted, places, -1)
    for dy, dx in _DIAGONAL:
        joined[dy, dx][(joined[dy, 0] >= 0) | (joined[0, dx] >= 0)] = -1
    return np.stack(list(joined.values()), axis=1)


class _Draft:
    """A graph that is being simplified."""

    def __init__(self, pixels: np.ndarray, radius_px: np.ndarray, neighbours: np.ndarray):
        self.spurs = 0
        degree = np.count_nonzero(neighbours >= 0, axis=1)
        self._node_of = _node_of_each_pixel(neighbours, degree)
        count = int(self._node_of.max(initial=-1)) + 1
        at_node = self._node_of >= 0
        rows = np.column_stack([pixels, radius_px])
        self.nodes = _merged(rows[at_node], self._node_of[at_node], count)
        self.segments = self._traced(rows, neighbours)

    def _traced(self, rows: np.ndarray, neighbours: np.ndarray) -> list[VesselSegment]:
        """Walk from each node along the pixels to the next one; then what is closed in itself."""
        joined = [[other for other in row if other >= 0] for row in neighbours.tolist()]
        node_of = self._node_of.tolist()
        is_left = [node < 0 for node in node_of]
        segments = []

        def walk(start: int, first: int) -> None:
            chain, before = [], start
            here = first
            while node_of[here] < 0:
                chain.append(here)
                is_left[here] = False
                ahead = [other for other in joined[here] if other != before]
                before, here = here, ahead[0]
            ends = [node_of[start], node_of[here]]
            path = np.concatenate([self.nodes[ends[:1]], rows[chain], self.nodes[ends[1:]]])
            segments.append(VesselSegment(path, (ends[0], ends[1])))

        for pixel in np.flatnonzero(self._node_of >= 0).tolist():
            for other in joined[pixel]:
                if is_left[other]:
                    walk(pixel, other)
        return segments

    def simplify(self) -> None:
        """Prune and join until nothing changes; then merge, once."""
        while self._prune():
            self._join()
        self._join()
        if self._merge():
            self._join()

    def _degrees(self) -> np.ndarray:
        ends = [node for segment in self.segments for node in segment.nodes]
        return np.bincount(np.array(ends, int), minlength=len(self.nodes))

    def _prune(self) -> bool:
        """Leave out spurs, and loops around a missing pixel.

        Where a node has nothing but spurs, its two longest stay.
        """
        degrees = self._degrees()
        gone: set[int] = set()
        spurs_at: dict[int, list[VesselSegment]] = {}
        for segment in self.segments:
            first, last = segment.nodes
            if first == last and segment.length_px < 2 * self.nodes[first, 2]:
                gone.add(id(segment))  # the way around a pixel that is missing
            elif (degrees[first] == 1) != (degrees[last] == 1):
                node = last if degrees[first] == 1 else first
                if degrees[node] > 2 and segment.length_px < 2 * self.nodes[node, 2]:
                    spurs_at.setdefault(node, []).append(segment)
        for node, spurs in spurs_at.items():
            kept = 2 if len(spurs) == degrees[node] else 0
            spurs.sort(key=lambda spur: spur.length_px, reverse=True)
            gone.update(id(spur) for spur in spurs[kept:])
        self.spurs += len(gone)
        self.segments = [segment for segment in self.segments if id(segment) not in gone]
        return bool(gone)

    def _join(self) -> None:
        """Where two segments meet and no third, they become one."""
        at_node: dict[int, list[VesselSegment]] = {}
        for segment in self.segments:
            for node in segment.nodes:
                at_node.setdefault(node, []).append(segment)
        for node, both in at_node.items():
            if len(both) != 2 or both[0] is both[1]:
                continue
            first, second = both
            path = np.concatenate([first.from_node(node)[::-1], second.from_node(node)[1:]])
            ends = tuple(_other_end(segment, node) for segment in both)
            whole = VesselSegment(path, (ends[0], ends[1]))
            for end, part in zip(ends, both, strict=True):
                at_node[end].remove(part)
                at_node[end].append(whole)
            at_node[node] = []
        self.segments = list({id(s): s for parts in at_node.values() for s in parts}.values())

    def _merge(self) -> bool:
        """Make one of nodes whose distance is less than the local width."""
        degrees = self._degrees()
        bridges = [
            segment
            for segment in self.segments
            if segment.nodes[0] != segment.nodes[1]
            and min(degrees[list(segment.nodes)]) > 2
            and segment.length_px < 2 * max(self.nodes[list(segment.nodes), 2])
        ]
        if not bridges:
            return False
        pairs = np.array([bridge.nodes for bridge in bridges])
        group = _components(pairs, len(self.nodes))
        self.nodes = _merged(self.nodes, group, group.max() + 1)
        gone = {id(bridge) for bridge in bridges}
        kept = [segment for segment in self.segments if id(segment) not in gone]
        for segment in kept:
            segment.nodes = int(group[segment.nodes[0]]), int(group[segment.nodes[1]])
            inner = segment.path[1:-1]
            ends = self.nodes[list(segment.nodes)]
            segment.path = np.concatenate([ends[:1], inner, ends[1:]])
        self.segments = kept
        return True

    def graph(self) -> VesselGraph:
        """What has come of it."""
        degrees = self._degrees()
        pairs = np.array([segment.nodes for segment in self.segments], int).reshape(-1, 2)
        parts = _components(pairs, len(self.nodes))[degrees > 0]
        return VesselGraph(self.segments, self.nodes, degrees, self.spurs, len(np.unique(parts)))


def _node_of_each_pixel(neighbours: np.ndarray, degree: np.ndarray) -> np.ndarray:
    """int (N,): the node that a pixel belongs to, -1 along a line.

    Of a closed line without a node its first pixel is made one.
    """
    count = len(degree)
    rows, columns = np.nonzero(neighbours >= 0)
    pairs = np.stack([rows, neighbours[rows, columns]], axis=1)
    is_node = degree != 2
    part = _components(pairs, count)
    has_node = np.zeros(part.max(initial=-1) + 1, bool)
    has_node[part[is_node]] = True
    _, first = np.unique(part, return_index=True)
    is_node[first[~has_node]] = True
    cluster = _components(pairs[is_node[pairs].all(axis=1)], count)
    node_of = np.full(count, -1)
    node_of[is_node] = np.unique(cluster[is_node], return_inverse=True)[1]
    return node_of


def _merged(rows: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """float64 (count, 3): the mean position of each group of rows, and their largest radius."""
    merged = np.zeros((count, 3))
    np.add.at(merged, group, rows)
    merged /= np.maximum(np.bincount(group, minlength=count), 1)[:, np.newaxis]
    merged[:, 2] = 0
    np.maximum.at(merged[:, 2], group, rows[:, 2])
    return merged


def _components(pairs: np.ndarray, count: int) -> np.ndarray:
    """int (count,): the connected component of each of so many things, joined in pairs."""
    ones = np.ones(len(pairs), bool)
    joined = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(joined, directed=False)[1]


def _other_end(segment: VesselSegment, node: int) -> int:
    first, last = segment.nodes
    return last if first == node else first
