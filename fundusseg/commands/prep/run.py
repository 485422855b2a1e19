"""prep: a data set folder becomes shards of samples in the canonical frame."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.commands.prep.plan import Plan, planned
from fundusseg.commands.prep.telling import report, warn
from fundusseg.config import FrameConfig
from fundusseg.datasets import shards
from fundusseg.datasets.layouts import Entry
from fundusseg.datasets.samples import Sample
from fundusseg.datasets.splits import Membership
from fundusseg.errors import (
    EXIT_OK,
    EXIT_SOME_FAILED,
    InputError,
    UnavailableError,
    UsageError,
    blamed_on,
)
from fundusseg.files import checksums, images, manifest, masks
from fundusseg.files.atomic import output_folder, sweep
from fundusseg.files.checksums import is_sha256, sha256_of
from fundusseg.files.ledger import Ledger, output_stands, stamp
from fundusseg.files.lock import shared
from fundusseg.files.manifest import Part
from fundusseg.files.names import escaped
from fundusseg.fundus.framing import coverage, framed
from fundusseg.option_fields import settings_of
from fundusseg.options import PrepOptions
from fundusseg.parallel import ordered_map

_BY_NAME = ("sources", "sizes", "inputs", "outputs", "failures")  # what a record tells


def run_prep(src: Path, out: Path, options: PrepOptions) -> int:
    """Write the shards of the data set in `src` to `out`, then the manifest.

    Finished shards are kept. A photograph that cannot be prepared costs only itself.

    Returns:
        The exit code: 3 if some photographs failed.

    Raises:
        FundussegError: if the data set or the output folder is wrong, or a stop is asked for.
    """
    if os.path.realpath(src) == os.path.realpath(out):
        raise UsageError(f"{src}: is SRC and OUT; choose another output folder")
    plan = planned(src, out, options)
    part = Part(*options.part)
    written = () if options.force else (part.named(checksums.NAME), *plan.owners)
    manifest.require_own_folder(out, "prep", written)
    output_folder(out)
    with shared(out, plan.key):
        return _Prep(plan, out, part, options).run()


class _Prep:
    """The way from a plan to shards, shard by shard; the ledger knows which are finished."""

    def __init__(self, plan: Plan, out: Path, part: Part, options: PrepOptions):
        self.plan, self.out, self.part, self.options = plan, out, part, options
        self.ledger = Ledger(out, part)

    def run(self) -> int:
        """Write what is not finished, and the manifest; the exit code."""
        plan, out, ledger = self.plan, self.out, self.ledger
        if self.options.force:
            manifest.begin_anew(out, self.part)
            for record in ledger.records.values():  # shards that will not be written again
                self._remove(record["outputs"].keys() - plan.owners.keys())
            ledger.clear()
        only = self.options.shard
        mine = [only] if only is not None else list(range(len(plan.shards)))
        ledger.require_config(plan.key)
        photographs = sum(len(plan.shards[shard]) for shard in mine)
        with ui.progress(f"prep {plan.source.root}", photographs, "photograph") as bar:
            unfinished = []
            for shard in mine:
                stop.check()
                if self._is_finished(shard):
                    for id, reason in ledger.records[str(shard)]["failures"].items():
                        said = "%s: failed before, and has not changed (%s)"
                        ui.log.warning(said, escaped(id), reason)
                    bar.passed(len(plan.shards[shard]))
                else:
                    unfinished.append(shard)
            if unfinished:
                self._require_same_set()
                manifest.begin_anew(out, self.part)
                ledger.begin()
            manifest.remove_other_parts(out, self.part)
            for shard in unfinished:
                stop.check()
                self._write(shard)
                bar.advance(len(plan.shards[shard]))
        return self._conclude(mine)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self.out / name).unlink(missing_ok=True)

    def _require_same_set(self) -> None:
        """Raise where shards of a set of another name stand: train would refuse the mix."""
        standing, own = self.plan.standing, self.plan.header.data_set
        if standing is not None and standing.data_set != own:
            problem = f"holds shards of {standing.data_set}, and this is {own}"
            remedy = "rename the folder back, choose another output folder, or give --force"
            raise InputError(self.out, problem, remedy)

    def _is_finished(self, shard: int) -> bool:
        record, verify = self.ledger.records.get(str(shard)), self.options.verify
        return (
            record is not None
            and all(isinstance(record.get(name), dict) for name in _BY_NAME)
            and all(map(is_sha256, record["inputs"].values()))
            and all(isinstance(reason, str) for reason in record["failures"].values())
            and record.get("members") == self.plan.members_of(shard)
            and self._has_same_sources(shard, record)
            and all(
                is_sha256(sha256)
                and output_stands(self.out / name, sha256, record["sizes"].get(name), verify)
                for name, sha256 in record["outputs"].items()
            )
        )

    def _has_same_sources(self, shard: int, record: dict) -> bool:
        """Whether a shard's files are as they were; where size or time differ, the hash decides."""
        now, before, inputs = self._stamps(shard), record["sources"], record["inputs"]
        if now.keys() != before.keys():
            return False
        # One that could not be read then may be readable now, with the same size and time.
        in_doubt = [
            name
            for name in now
            if self.options.verify or now[name] != before[name] or name not in inputs
        ]
        known = {name: inputs[name] for name in in_doubt if name in inputs}
        return _hashes(self.plan.source.root, in_doubt) == known

    def _stamps(self, shard: int) -> dict[str, list[int] | None]:
        """Size and modification time of every file of a shard, by path; None where it is gone."""
        stamps: dict[str, list[int] | None] = {}
        for name in (name for entry in self.plan.shards[shard] for name in entry.files):
            stamps[name] = None
            with suppress(OSError):
                stamps[name] = stamp(self.plan.source.root / name)
        return stamps

    def _write(self, shard: int) -> None:
        """Prepare the samples of one shard, write them, and note the shard in the ledger."""
        plan, out = self.plan, self.out
        sources = self._stamps(shard)
        inputs: dict[str, str] = {}
        failures: dict[str, str] = {}
        samples = _prepared(plan, shard, inputs, failures, self.options.threads)
        names = plan.output_names(shard)
        if plan.format == "h5":
            shards.write_shard(out / names[0], plan.header, shard, samples)
        else:
            for folder in {(out / name).parent for name in names}:
                sweep(folder)
            names = []
            for sample in samples:
                names.append(f"{sample.id}.npz")
                shards.write_sample(out / names[-1], plan.header, sample)
        # With a photograph more or less in the set, others move from shard to shard. Files that
        # another shard writes now are left to it, although this one wrote them before.
        before = self.ledger.records.get(str(shard), {}).get("outputs", {})
        gone = {*before, *plan.output_names(shard)} - set(names)
        self._remove(name for name in gone if plan.owners.get(name, shard) == shard)
        self.ledger.add(
            str(shard),
            plan.key,
            members=plan.members_of(shard),
            sources=sources,
            inputs=inputs,
            num_shards=len(plan.shards),
            outputs={name: sha256_of(out / name) for name in names},
            sizes={name: (out / name).stat().st_size for name in names},
            failures=failures,
        )

    def _conclude(self, mine: list[int]) -> int:
        """Write the manifest from the ledger, report, and choose the exit code."""
        plan, options = self.plan, self.options
        records = [self.ledger.records[str(shard)] for shard in mine]
        inputs, outputs, failures = (
            {name: text for record in records for name, text in record[key].items()}
            for key in ("inputs", "outputs", "failures")
        )
        config = {
            "preset": options.preset,
            "format": options.format,
            "split": options.split,
            "layout": plan.source.layout,
            "sha256": plan.header.config_sha256,
        }
        entries = [entry for shard in mine for entry in plan.shards[shard]]
        manifest.write_manifest(
            self.out,
            "prep",
            config,
            outputs,
            part=self.part,
            counts={
                "photographs": len(entries),
                "failed": len(failures),
                "left_out": len(plan.source.not_chosen[self.part.number :: self.part.total]),
            },
            inputs=inputs,
            failures=failures,
            ids_sha256=plan.ids_sha256,
            options=settings_of(replace(options, num_shards=len(plan.shards))),
        )
        warn(plan, entries, inputs, options.subjects is not None, options.split == "auto")
        report(plan, entries, len(failures))
        return EXIT_SOME_FAILED if failures else EXIT_OK


def sample_of(root: Path, entry: Entry, member: Membership, frame: FrameConfig) -> Sample:
    """Read a photograph and what belongs to it, and bring it to the canonical frame.

    InputError if a file cannot be read or used, or sizes differ; PictureFault if the photograph
    shows several fields of view.
    """
    photograph = images.read_photograph(root / entry.photograph)
    shape = photograph.pixels.shape[:2]
    given_fov = None
    if entry.fov is not None:
        given_fov = masks.read_field_of_view(root / entry.fov, shape, photograph)
    in_frame = framed(photograph.pixels, given_fov, frame)
    mask, mask2 = (
        None
        if name is None
        else masks.read_vessels(root / name, shape, photograph.is_turned, photograph)
        for name in (entry.mask, entry.mask2)
    )
    return Sample(
        id=entry.id,
        split=member.split,
        subject=member.subject,
        group=member.group,
        source=entry.photograph,
        source_sha256=photograph.sha256,
        field_of_view=in_frame.field_of_view,
        geometry=in_frame.geometry,
        image=in_frame.image,
        fov=in_frame.fov,
        mask=None if mask is None else coverage(mask, in_frame.geometry),
        mask2=None if mask2 is None else coverage(mask2, in_frame.geometry),
        native_fov=in_frame.native_fov,
        native_mask=mask,
        native_mask2=mask2,
    )


def _hashes(root: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 by path, without the files that cannot be read."""
    hashes = {}
    for name in names:
        with suppress(InputError):
            hashes[name] = sha256_of(root / name)
    return hashes


def _prepared(
    plan: Plan, shard: int, inputs: dict[str, str], failures: dict[str, str], jobs: int
) -> Iterator[Sample]:
    """The samples of one shard in order; what failed goes to `failures` and the log.

    The files' hashes go to `inputs`. They are of the bytes that are decoded, or taken before: a
    file that is replaced in between has another hash in the next run, and is prepared again. One
    that failed for want of memory has none, so that it is tried again.
    """
    root, frame = plan.source.root, plan.header.frame

    def prepared(entry: Entry) -> tuple[dict[str, str], Sample | InputError]:
        photograph, *others = entry.files
        hashes = _hashes(root, others)
        try:
            with blamed_on(root / photograph):
                sample = sample_of(root, entry, plan.members[entry.id], frame)
            return hashes | {photograph: sample.source_sha256}, sample
        except UnavailableError as error:  # without its hash a photograph is tried again
            return hashes, error
        except InputError as error:
            return hashes | _hashes(root, [photograph]), error

    results = ordered_map(prepared, plan.shards[shard], jobs)
    for entry, result in zip(plan.shards[shard], results, strict=True):
        stop.check()
        hashes, sample = result
        inputs |= hashes
        if isinstance(sample, InputError):
            ui.log.warning("%s", sample)
            failures[entry.id] = sample.reason
        else:
            yield sample
