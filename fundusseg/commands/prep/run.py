"""prep: a data set folder becomes shards of samples in the canonical frame."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from fundusseg import stop, ui
from fundusseg.commands.prep.plan import Plan, planned
from fundusseg.config import FrameConfig
from fundusseg.datasets import layouts, shards, splits
from fundusseg.datasets.samples import Sample
from fundusseg.errors import (
    EXIT_OK,
    EXIT_SOME_FAILED,
    InputError,
    UnavailableError,
    UsageError,
    blamed_on,
)
from fundusseg.files import checksums, images, masks
from fundusseg.files.atomic import output_folder, sweep
from fundusseg.files.checksums import sha256_of
from fundusseg.files.kinds import KINDS, UNKNOWN, by_kind
from fundusseg.files.ledger import Ledger, output_stands, stamp
from fundusseg.files.lock import shared
from fundusseg.files.manifest import (
    Part,
    begin_anew,
    remove_other_parts,
    require_own_folder,
    write_manifest,
)
from fundusseg.files.names import escaped
from fundusseg.fundus.framing import coverage, framed
from fundusseg.options import PrepOptions
from fundusseg.parallel import ordered_map
from fundusseg.processor import free_cores


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
    task = Part(*options.part)
    written = () if options.force else (task.named(checksums.NAME), *plan.owners)
    require_own_folder(out, "prep", written)
    output_folder(out)
    with shared(out, plan.key):
        return _written(src, plan, out, task, options)


def _written(src: Path, plan: Plan, out: Path, task: Part, options: PrepOptions) -> int:
    """Write what is not finished, and the manifest; the exit code."""
    ledger = Ledger(out, task)
    if options.force:
        begin_anew(out, task)
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
            begin_anew(out, task)
            ledger.begin()
        remove_other_parts(out, task)
        for part in unfinished:
            stop.check()
            _write_part(plan, part, out, ledger, options.jobs or free_cores())
            bar.advance(len(plan.parts[part]))
    return _conclude(plan, mine, out, ledger, task, options)


def sample_of(
    root: Path, entry: layouts.Entry, member: splits.Membership, frame: FrameConfig
) -> Sample:
    """Read a photograph and what belongs to it, and bring it to the canonical frame.

    Raises:
        InputError: if a file cannot be read or used, or sizes differ.
        PictureFault: if the photograph shows several fields of view.
    """
    photograph = images.read_photograph(root / entry.photograph)
    shape = photograph.pixels.shape[:2]
    given_fov = None
    if entry.fov is not None:
        given_fov = masks.read_field_of_view(root / entry.fov, shape, photograph)
    in_frame = framed(photograph.pixels, given_fov, frame)
    mask, mask2 = (
        None if name is None else masks.read_vessels(root / name, shape, photograph.is_turned)
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
        and all(
            output_stands(out / name, sha256, record["sizes"].get(name), verify)
            for name, sha256 in record["outputs"].items()
        )
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
        return stamp(path)
    except OSError:
        return None


def _hashes(root: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 by path, without the files that cannot be read."""
    hashes = {}
    for name in names:
        with suppress(InputError):
            hashes[name] = sha256_of(root / name)
    return hashes


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
        num_shards=len(plan.parts),
        outputs={name: sha256_of(out / name) for name in names},
        sizes={name: (out / name).stat().st_size for name in names},
        failures=failures,
    )


def _prepared(
    plan: Plan, part: int, inputs: dict[str, str], failures: dict[str, str], jobs: int
) -> Iterator[Sample]:
    """The samples of one part in order; what failed goes to `failures` and the log.

    The files' hashes go to `inputs`. They are of the bytes that are decoded, or taken before: a
    file that is replaced in between has another hash in the next run, and is prepared again. One
    that failed for want of memory has none, so that it is tried again.
    """
    root, frame = plan.source.root, plan.header.frame

    def prepared(entry: layouts.Entry) -> tuple[dict[str, str], Sample | InputError]:
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
    task: Part,
    options: PrepOptions,
) -> int:
    """Write the manifest from the ledger, report, and choose the exit code."""
    records = [ledger.records[str(part)] for part in mine]
    joined: dict[str, dict[str, str]] = {
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
    entries = [entry for part in mine for entry in plan.parts[part]]
    counts = {"photographs": len(entries), "failed": len(joined["failures"])}
    outputs = joined.pop("outputs")
    more: dict[str, Any] = {**joined, "ids_sha256": plan.ids_sha256}
    write_manifest(out, "prep", config, outputs, part=task, counts=counts, **more)
    _warn(plan, entries, joined["inputs"], options)
    _report(plan, entries, counts["failed"])
    return EXIT_SOME_FAILED if joined["failures"] else EXIT_OK


def _warn(
    plan: Plan, entries: list[layouts.Entry], inputs: dict[str, str], options: PrepOptions
) -> None:
    """Say what of the data set is left out, and who stands on two sides of its own split."""
    of_ids = {id: member.split for id, member in plan.members.items()}
    equal = {e.id: inputs[e.photograph] for e in entries if e.photograph in inputs}
    eyes = {} if options.subjects else splits.named_eyes(plan.source.entries)
    others = by_kind(plan.source.root, plan.source.ignored)
    warnings = (
        (
            [path for path in plan.source.ignored if images.image_suffix(path)],
            "other images have no role in this layout",
        ),
        (plan.source.unmatched, "masks or fields of view have no photograph"),
        *((others[kind], f"{kind} are left out") for kind in KINDS if kind != UNKNOWN),
        (
            [" and ".join(pair) for pair in splits.across_parts(of_ids, equal)],
            "photographs stand in two parts of the split with the same bytes",
        ),
        (
            [" and ".join(pair) for pair in splits.across_parts(of_ids, eyes)],
            "persons seem to have their eyes in two parts of the split (--subjects tells better)",
        ),
        (
            [] if options.subjects else [" and ".join(p) for p in splits.same_names(entries)],
            "names stand in several folders, and count as one person's (--subjects tells better)",
        ),
    )
    for names, what in warnings:
        if names:
            ui.log.warning("%d %s, the first is %s", len(names), what, escaped(names[0]))


def _report(plan: Plan, entries: list[layouts.Entry], failed: int) -> None:
    splits_seen = [plan.members[entry.id].split for entry in entries]
    counts = ", ".join(f"{splits_seen.count(split)} {split}" for split in splits.SPLITS)
    ui.log.info(
        "%s (%s): %d photographs of %d subjects (%s), %d without a mask, %d failed",
        plan.source.root,
        plan.source.layout,
        len(entries),
        len({plan.members[entry.id].subject for entry in entries}),
        counts,
        sum(entry.mask is None for entry in entries),
        failed,
    )
