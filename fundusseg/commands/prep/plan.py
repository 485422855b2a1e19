"""What prep is to do: which photographs, in which split and shard. Nothing is decoded for it."""

import hashlib
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path

from fundusseg.config import SHARD_SAMPLES
from fundusseg.datasets import layouts, shards, splits
from fundusseg.datasets.choice import Choice
from fundusseg.datasets.samples import ShardHeader
from fundusseg.files.ledger import LedgerFiles
from fundusseg.files.names import escaped, name_bytes
from fundusseg.files.tables import read_subjects
from fundusseg.options import PrepOptions
from fundusseg.presets import PRESETS
from fundusseg.serial import config_hash


@dataclass(frozen=True)
class Plan:
    """All that is known before the first photograph is decoded.

    members: split, subject and group by id. shards: the photographs of each; NPZ hold one each, and
    a shard of them is what is prepared and noted together. format: "h5" or "npz". standing: the
    header of the shards that stand in the output folder; None without, or with --force.
    """

    source: layouts.DataSet
    members: dict[str, splits.Membership]
    header: ShardHeader
    shards: tuple[tuple[layouts.Entry, ...], ...]
    format: str
    standing: ShardHeader | None

    @property
    def key(self) -> str:
        """What finished shards must have in common: the settings, and how many there are."""
        return config_hash({"config": self.header.config_sha256, "num_shards": len(self.shards)})

    @property
    def ids_sha256(self) -> str:
        """Over id, split and subject of all parts: parts of another set must not be merged."""
        members = ((entry.id, self.members[entry.id]) for entry in self.source.entries)
        cells = (cell for id, member in members for cell in (id, member.split, member.subject))
        return hashlib.sha256(b"\0".join(map(name_bytes, cells))).hexdigest()

    def members_of(self, shard: int) -> dict[str, list[str]]:
        """Subject, split and group by id: a photograph more in the set can move the others."""
        return {entry.id: list(astuple(self.members[entry.id])) for entry in self.shards[shard]}

    def output_names(self, shard: int) -> list[str]:
        """The files of one shard if no photograph fails."""
        if self.format == "h5":
            return [shards.shard_name(shard, len(self.shards))]
        return [f"{entry.id}.npz" for entry in self.shards[shard]]

    @cached_property
    def owners(self) -> dict[str, int]:
        """Which shard each file is of."""
        numbers = range(len(self.shards))
        return {name: shard for shard in numbers for name in self.output_names(shard)}

    def table(self) -> str:
        """What matched what, as `--dry-run` prints it: a TSV line per photograph."""
        lines = ["id\tsplit\tsubject\tgroup\tphotograph\tmask\tmask2\tfov"]
        for entry in self.source.entries:
            member = self.members[entry.id]
            cells = (entry.id, member.split, member.subject, member.group, entry.photograph)
            files = (entry.mask or "", entry.mask2 or "", entry.fov or "")
            lines.append("\t".join(escaped(cell) for cell in (*cells, *files)))
        return "\n".join(lines) + "\n"


def _standing_count(out: Path, standing: ShardHeader) -> int:
    """How many shards there were to be; NPZ do not tell, the last word of the ledger does."""
    count = standing.num_shards
    for record in LedgerFiles(out):
        count = record.get("num_shards", count)
    return count


def planned(src: Path, out: Path, options: PrepOptions) -> Plan:
    """Read the layout, deal out the splits, and cut the sorted samples into shards [K::N]."""
    choice = Choice(options.include, options.exclude)
    source = layouts.data_set(src, options.layout, leave_out=out).chosen(choice)
    subjects = read_subjects(options.subjects) if options.subjects else None
    members = splits.memberships(src, source.entries, options.split, subjects)
    standing = None if options.force else shards.standing_header(out)
    usual = max(1, -(-len(source.entries) // SHARD_SAMPLES))
    # If nobody says how many: as many as stand there, though the set may have grown.
    count = options.num_shards or (_standing_count(out, standing) if standing else usual)
    own = {"split": options.split, "format": options.format, "layout": source.layout}
    choices = {**own, "subjects": subjects}
    frame = PRESETS[options.preset].frame
    header = ShardHeader.of(options.preset, frame, src.resolve().name, count, choices)
    dealt = tuple(source.entries[shard::count] for shard in range(count))
    return Plan(source, members, header, dealt, options.format, standing)
