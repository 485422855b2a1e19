"""prep: a data set folder becomes shards of samples in the canonical frame."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from fundusseg import stop, ui
from fundusseg.config import FrameConfig
from fundusseg.errors import EXIT_OK, EXIT_SOME_FAILED, InputError, UsageError
from fundusseg.fundus.framing import coverage, framed
from fundusseg.io import images, layouts, shards, splits
from fundusseg.io.files import output_folder, sha256_of, sweep
from fundusseg.io.ledger import Ledger, SourceStamp, outputs_stand
from fundusseg.io.manifest import (
    begin_anew,
    manifest,
    manifest_name,
    remove_other_parts,
    require_own_folder,
    write_manifest,
)
from fundusseg.io.samples import Sample
from fundusseg.options import PrepOptions
from fundusseg.parallel import free_cores, ordered_map
from fundusseg.stages.prep_plan import Plan, planned


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
    require_own_folder(out, "prep")
    output_folder(out)
    task = (options.shard or 0, options.num_shards if options.shard is not None else 1)
    ledger = Ledger(out, *task)
    if options.force:
        begin_anew(out, *task)
        _remove_leftovers(plan, out, ledger)
        ledger.clear()
    mine = [options.shard] if options.shard is not None else list(range(len(plan.parts)))
    ledger.require_config(plan.key)
    with ui.progress(
        f"prep {src}", sum(len(plan.parts[part]) for part in mine), "photographs"
    ) as bar:
        unfinished = []
        for part in mine:
            stop.check()
            if _finished(plan, part, out, ledger, options.verify):
                for id, reason in ledger.records[str(part)]["failures"].items():
                    ui.log.warning("%s: failed before, and has not changed (%s)", id, reason)
                bar.advance(len(plan.parts[part]))
            else:
                unfinished.append(part)
        if unfinished:
            _require_same_set(plan, out)
            begin_anew(out, *task)
            ledger.begin()
        remove_other_parts(out, task[1])
        for part in unfinished:
            stop.check()
            _write_part(plan, part, out, ledger, options.jobs or free_cores())
            bar.advance(len(plan.parts[part]))
    return _conclude(plan, mine, out, ledger, task, options)


def sample_of(root: Path, entry: layouts.Entry, member: splits.Membership, frame: FrameConfig):
    """Read a photograph and what belongs to it, and bring it to the canonical frame.

    Raises:
        InputError: if a file cannot be read, or sizes differ.
    """
    photograph = images.read_photograph(root / entry.photograph)
    shape = photograph.pixels.shape[:2]
    given_fov = entry.fov and images.read_field_of_view(root / entry.fov, shape)
    found = framed(photograph.pixels, given_fov, frame)
    mask, mask2 = (
        name and images.read_vessels(root / name, shape) for name in (entry.mask, entry.mask2)
    )
    return Sample(
        id=entry.id,
        split=member.split,
        subject=member.subject,
        group=member.group,
        source=entry.photograph,
        source_sha256=photograph.sha256,
        field_of_view=found.field_of_view,
        geometry=found.geometry,
        image=found.image,
        fov=found.fov,
        mask=None if mask is None else coverage(mask, found.geometry),
        mask2=None if mask2 is None else coverage(mask2, found.geometry),
        native_fov=found.native_fov,
        native_mask=mask,
        native_mask2=mask2,
    )


def _remove_leftovers(plan: Plan, out: Path, ledger: Ledger) -> None:
    """Remove the shards of earlier runs that this one will not write again (--force)."""
    for record in ledger.records.values():
        for name in record["outputs"].keys() - plan.owners.keys():
            (out / name).unlink(missing_ok=True)


def _require_same_set(plan: Plan, out: Path) -> None:
    """Raise if shards of a data set of another name stand in `out`: train would refuse the mix."""
    standing = plan.standing
    if standing is not None and standing.data_set != plan.header.data_set:
        problem = f"holds shards of {standing.data_set}, and this is {plan.header.data_set}"
        remedy = "rename the folder back, choose another output folder, or give --force"
        raise InputError(out, problem, remedy)


def _finished(plan: Plan, part: int, out: Path, ledger: Ledger, verify: bool) -> bool:
    record = ledger.records.get(str(part))
    return (
        record is not None
        and record["members"] == plan.members_of(part)
        and _same_sources(plan, part, record, verify)
        and outputs_stand(out, record["outputs"], verify)
    )


def _same_sources(plan: Plan, part: int, record: dict, verify: bool) -> bool:
    """Whether a part's files are as they were; where size or time differ, the hash decides."""
    now, inputs = _sources(plan, part), record["inputs"]
    if now.keys() != record["sources"].keys():
        return False
    # One that could not be read then may be readable now, with the same size and time.
    in_doubt = [
        name for name in now if verify or now[name] != record["sources"][name] or name not in inputs
    ]
    return _hashes(plan.source.root, in_doubt) == {
        name: inputs[name] for name in in_doubt if name in inputs
    }


def _sources(plan: Plan, part: int) -> dict[str, list[int] | None]:
    """Size and modification time of every file of a part, by path."""
    files = (name for entry in plan.parts[part] for name in entry.files)
    return {name: _stamp(plan.source.root / name) for name in files}


def _stamp(path: Path) -> list[int] | None:
    try:
        return SourceStamp.of(path).as_list()
    except OSError:
        return None


def _hashes(root: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 by path, without the files that cannot be read."""
    found = {}
    for name in names:
        with suppress(InputError):
            found[name] = sha256_of(root / name)
    return found


def _write_part(plan: Plan, part: int, out: Path, ledger: Ledger, jobs: int) -> None:
    """Prepare the samples of one part, write them, and note the part in the ledger."""
    sources = _sources(plan, part)
    inputs: dict[str, str] = {}
    failures: dict[str, str] = {}
    samples = _prepared(plan, part, inputs, failures, jobs)
    names = plan.output_names(part)
    if plan.format == "h5":
        shards.write_shard(out / names[0], plan.header, part, samples)
    else:
        for folder in {(out / name).parent for name in names}:
            if folder.is_dir():
                sweep(folder)
        names = []
        for sample in samples:
            names.append(f"{sample.id}.npz")
            shards.write_sample(out / names[-1], plan.header, sample)
    # A photograph more or less in the set moves others from part to part: what another part writes
    # now is that part's, though this one wrote it before.
    before = ledger.records.get(str(part), {}).get("outputs", {})
    for name in {*before, *plan.output_names(part)} - set(names):
        if plan.owners.get(name, part) == part:
            (out / name).unlink(missing_ok=True)
    ledger.add(
        str(part),
        plan.key,
        members=plan.members_of(part),
        sources=sources,
        inputs=inputs,
        outputs={name: sha256_of(out / name) for name in names},
        failures=failures,
    )


def _prepared(
    plan: Plan, part: int, inputs: dict[str, str], failures: dict[str, str], jobs: int
) -> Iterator[Sample]:
    """The samples of one part in order; what failed goes to `failures` and the log.

    The files' hashes go to `inputs`. They are taken before a file is decoded: one that is
    replaced in between has another hash in the next run, and is prepared again.
    """
    root, frame = plan.source.root, plan.header.frame

    def prepared(entry: layouts.Entry) -> tuple[dict[str, str], Sample | InputError]:
        hashes = _hashes(root, entry.files)
        try:
            return hashes, sample_of(root, entry, plan.members[entry.id], frame)
        except InputError as error:
            return hashes, error

    results = ordered_map(prepared, plan.parts[part], jobs)
    for entry, result in zip(plan.parts[part], results, strict=True):
        stop.check()
        hashes, sample = result
        inputs |= hashes
        if isinstance(sample, InputError):
            ui.log.warning("%s", sample)
            failures[entry.id] = sample.reason
        else:
            yield sample


def _conclude(
    plan: Plan,
    mine: list[int],
    out: Path,
    ledger: Ledger,
    task: tuple[int, int],
    options: PrepOptions,
) -> int:
    """Write the manifest from the ledger, report, and choose the exit code."""
    records = [ledger.records[str(part)] for part in mine]
    joined = {
        key: {name: text for record in records for name, text in record[key].items()}
        for key in ("inputs", "outputs", "failures")
    }
    config = {
        "preset": options.preset,
        "format": options.format,
        "split": options.split,
        "layout": plan.source.layout,
        "sha256": plan.header.config_sha256,
    }
    values = manifest("prep", config, **joined, ids_sha256=plan.ids_sha256)
    write_manifest(out / manifest_name(*task), values)
    entries = [entry for part in mine for entry in plan.parts[part]]
    _report(plan, entries, len(joined["failures"]))
    return EXIT_SOME_FAILED if joined["failures"] else EXIT_OK


def _report(plan: Plan, entries: list[layouts.Entry], failed: int) -> None:
    splits_seen = [plan.members[entry.id].split for entry in entries]
    counts = ", ".join(f"{splits_seen.count(split)} {split}" for split in splits.SPLITS)
    unlabelled = sum(entry.mask is None for entry in entries)
    ui.log.info(
        "%s (%s): %d photographs (%s), %d without a mask, %d failed",
        plan.source.root,
        plan.source.layout,
        len(entries),
        counts,
        unlabelled,
        failed,
    )
    passed_over = [path for path in plan.source.ignored if images.image_suffix(path)]
    if passed_over:
        count, first = len(passed_over), passed_over[0]
        ui.log.warning("%d other images have no role in this layout, the first is %s", count, first)
    if plan.source.unmatched:
        ui.log.warning(
            "%d masks or fields of view have no photograph, the first is %s",
            len(plan.source.unmatched),
            plan.source.unmatched[0],
        )
