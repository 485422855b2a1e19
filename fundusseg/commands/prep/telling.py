"""What prep says at the end: what it left out of a data set, and how many it prepared."""

from fundusseg import ui
from fundusseg.commands.prep.plan import Plan
from fundusseg.datasets import splits
from fundusseg.datasets.choice import told_of_left_out
from fundusseg.datasets.folder_names import lists_parts
from fundusseg.datasets.layouts import Entry
from fundusseg.files.images import image_suffix
from fundusseg.files.kinds import KINDS, UNKNOWN, by_kind
from fundusseg.files.names import escaped
from fundusseg.wording import counted, left_aside


def warn(
    plan: Plan, entries: list[Entry], inputs: dict[str, str], has_subjects: bool, is_dealt: bool
) -> None:
    """Say what of the data set is left out, and who stands on two sides of its own split.

    Args:
        entries: the photographs of the shards that are prepared here.
        inputs: SHA-256 of their files, by path.
        has_subjects: --subjects tells who is who.
        is_dealt: into parts, where the data set has none of its own.
    """
    source = plan.source
    of_ids = {id: member.split for id, member in plan.members.items()}
    equal = {e.id: inputs[e.photograph] for e in entries if e.photograph in inputs}
    eyes = {} if has_subjects else splits.named_eyes(source.entries)
    others = by_kind(source.root, source.ignored)
    is_dealt = is_dealt and not any(entry.part for entry in source.entries)
    tells_better = "(--subjects tells better)"
    warnings = (
        (list(filter(image_suffix, source.ignored)), "image", "without a role in this layout"),
        (
            [path for path in source.ignored if is_dealt and lists_parts(path)],
            "file",
            "that may list the set's own split, which is read from folders only (train/, test/)",
        ),
        (source.unmatched, "picture", "of masks or fields of view without a photograph"),
        (
            [" and ".join(pair) for pair in splits.across_parts(of_ids, equal)],
            "photograph",
            "in two parts of the split with the same bytes",
        ),
        (
            [" and ".join(pair) for pair in splits.across_parts(of_ids, eyes)],
            "person",
            f"with eyes in two parts of the split, it seems {tells_better}",
        ),
        (
            [] if has_subjects else [" and ".join(pair) for pair in splits.same_names(entries)],
            "name",
            f"in several folders, taken for one person's {tells_better}",
        ),
    )
    for names, noun, what in warnings:
        if names:
            nouns = counted(len(names), noun)
            ui.log.warning("%s %s, the first is %s", nouns, what, escaped(names[0]))
    for kind in KINDS:
        if kind != UNKNOWN and others[kind]:
            first = escaped(others[kind][0])
            ui.log.warning("%s", left_aside(len(others[kind]), first, kind))


def report(plan: Plan, entries: list[Entry], failed: int) -> None:
    """Say how many photographs, subjects and parts there are."""
    members = [plan.members[entry.id] for entry in entries]
    of_splits = [member.split for member in members]
    ui.log.info(
        "%s (%s): %s of %s (%s), %d without a mask, %d failed%s",
        plan.source.root,
        plan.source.layout,
        counted(len(entries), "photograph"),
        counted(len({member.subject for member in members}), "subject"),
        ", ".join(f"{of_splits.count(split)} {split}" for split in splits.SPLITS),
        sum(entry.mask is None for entry in entries),
        failed,
        told_of_left_out(len(plan.source.not_chosen)),
    )
