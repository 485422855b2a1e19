"""The maps that infer has finished: what the status table and the manifest say of them.

A million photographs must fit into memory. A record of the ledger takes 2.4 KB there, so of
each only one string is held: the line of the status table, then the outputs' hashes.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from fundusseg.io.outputs import OutputKinds
from fundusseg.io.status import COLUMNS, status_line

_SHA256_COLUMN = COLUMNS.index("source_sha256")


class FinishedMaps:
    """Finished maps by id, in a light form."""

    def __init__(self, kinds: OutputKinds):
        self.kinds = kinds
        self._lines: dict[str, str] = {}

    def add(self, id: str, record: dict) -> None:
        """Hold a record of the ledger, in the place of an earlier one."""
        hashes = [record["outputs"][name] for name in self.kinds.names(id)]
        self._lines[id] = "\t".join([status_line(record["row"]), *hashes])

    def discard(self, id: str) -> None:
        """Forget a map that does not stand, if it was held."""
        self._lines.pop(id, None)

    def __contains__(self, id: str) -> bool:
        return id in self._lines

    def status_line(self, id: str) -> str:
        """The line of the status table."""
        return self._lines[id].rsplit("\t", self._outputs)[0]

    def inputs(self) -> Mapping[str, str]:
        """The sources' SHA-256 by id."""
        return _Computed(self._lines, lambda id: self._lines[id].split("\t")[_SHA256_COLUMN])

    def outputs(self) -> Mapping[str, str]:
        """The outputs' SHA-256 by name."""
        owners = {name: id for id in self._lines for name in self.kinds.names(id)}

        def sha256(name: str) -> str:
            id = owners[name]
            hashes = self._lines[id].split("\t")[-self._outputs :]
            return hashes[self.kinds.names(id).index(name)]

        return _Computed(owners, sha256)

    @property
    def _outputs(self) -> int:
        return len(self.kinds.names(""))


class _Computed(Mapping):
    """A mapping whose values are computed when they are asked for."""

    def __init__(self, keys: Collection[str], value: Callable[[str], str]):
        self._keys, self._value = keys, value

    def __getitem__(self, key: str) -> str:
        return self._value(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
