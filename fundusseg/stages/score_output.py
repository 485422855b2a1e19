"""What score prints and writes: the table, JSON, metrics.tsv, report.md with its plots."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from fundusseg.io.files import sha256_of, write_bytes, write_json, write_text
from fundusseg.io.manifest import NAME, manifest, write_manifest
from fundusseg.io.status import escaped
from fundusseg.metrics.bootstrap import Interval
from fundusseg.report import markdown
from fundusseg.stages.score_image import ImageScore
from fundusseg.stages.score_pictures import Picture, galleries, plots
from fundusseg.stages.score_protocol import protocol
from fundusseg.stages.score_run import Collected, ImageSize
from fundusseg.stages.score_summary import (
    FIGURES,
    STRATUM_FIGURES,
    Row,
    StratumRow,
    System,
    stratum_rows,
    table_rows,
)

FORMAT = "fundusseg-score"
VERSION = 1
NOT_APPLICABLE = "n/a (binary)"
_TABLE = (
    "figure",
    "of",
    "mean over images",
    "95 % interval",
    "pooled",
    "images",
    "subjects",
    "n/a",
)
_BY_KEY = {figure.key: figure for figure in FIGURES}


class Report:
    """The scores as text. Rows are computed once, since each interval is 10 000 draws."""

    def __init__(self, results: Collected):
        self.results = results
        self.protocol = protocol(results)
        self.rows = table_rows(results.systems, results.cohort)
        self.strata = stratum_rows(results.systems, results.strata, results.cohort)

    def table(self) -> str:
        """All figures as a Markdown table."""
        return markdown.table(_TABLE, map(_table_cells, self.rows), text_columns=2)

    def json(self) -> dict:
        """All figures for programs: NaN is null, infinity "inf"."""
        results = self.results
        return {
            "format": FORMAT,
            "version": VERSION,
            "protocol": self.protocol,
            "rows": [_json_row(row) for row in self.rows],
            "strata": [_json_stratum(row) for row in self.strata],
            "pooled_counts": {
                escaped(system.label): _json_pool(system) for system in results.systems
            },
            "failures": {
                escaped(label): {escaped(id): escaped(reason) for id, reason in faults.items()}
                for label, faults in results.faults.items()
            },
            "maps_without_truth": {
                escaped(pairing.label): [escaped(id) for id in pairing.without_truth]
                for pairing in results.scorer.pairings
            },
        }

    def markdown(self, pictures: Iterable[Picture]) -> str:
        """The report; the table of all figures is its last block."""
        pairings = self.results.scorer.pairings
        names = ", ".join(escaped(pairing.label) for pairing in pairings)
        shown = "\n".join(markdown.picture(picture.name, picture.title) for picture in pictures)
        sections = (
            (
                "Protocol",
                markdown.bullets(f"**{topic}**: {said}" for topic, said in self.protocol.items()),
            ),
            ("Plots and images", shown),
            ("Strata", self._strata_table()),
            ("Missing and failed", self._fault_table()),
            ("Maps without a truth", self._lonely_maps()),
            ("Figures", self.table()),
        )
        truth = escaped(self.results.scorer.truth.root.resolve().name)
        return markdown.document(f"{names} against {truth}", sections)

    def _strata_table(self) -> str:
        if not self.strata:
            return ""
        titles = (_BY_KEY[key].title for key in STRATUM_FIGURES)
        header = ("grouping", "stratum", "of", "images", "subjects", *titles)
        return markdown.table(header, map(_stratum_cells, self.strata), text_columns=3)

    def _fault_table(self) -> str:
        rows = [
            (escaped(id), escaped(label), escaped(reason))
            for label, faults in self.results.faults.items()
            for id, reason in faults.items()
        ]
        if not rows:
            return "None.\n"
        return markdown.table(("image", "of", "what"), rows, text_columns=3)

    def _lonely_maps(self) -> str:
        lines = []
        for pairing in self.results.scorer.pairings:
            if pairing.without_truth:
                ids = [markdown.plain(escaped(id)) for id in pairing.without_truth]
                label = markdown.plain(escaped(pairing.label))
                lines.append(f"{label}: {len(ids)} not scored: {markdown.named_in_a_line(ids)}")
        return markdown.bullets(lines)


def printed(report: Report, as_json: bool) -> str:
    """What goes to stdout: the table, or the summary as JSON."""
    if as_json:
        return json.dumps(report.json(), indent=1, sort_keys=True) + "\n"
    return report.table()


def write_report(report: Report, out: Path) -> None:
    """Write the report's files to `out`, the manifest last.

    Raises:
        InputError: if the file system refuses.
    """
    results = report.results
    (out / NAME).unlink(missing_ok=True)  # its presence would say that the rest is complete
    pictures = [*plots(results), *galleries(results)]
    for picture in pictures:
        write_bytes(out / picture.name, picture.png)
    write_text(out / "metrics.tsv", metrics_table(results))
    write_json(out / "summary.json", report.json())
    write_text(out / "report.md", report.markdown(pictures))
    names = ["metrics.tsv", "summary.json", "report.md", *(picture.name for picture in pictures)]
    outputs = {name: sha256_of(out / name) for name in names}
    failures = {
        f"{label}/{id}": reason
        for label, faults in results.faults.items()
        for id, reason in faults.items()
    }
    write_manifest(
        out / NAME, manifest("score", _config(results), _inputs(results), outputs, failures)
    )


def metrics_table(results: Collected) -> str:
    """metrics.tsv: a line for every image and system, its counts and figures."""
    counts = ("tp", "fp", "fn", "tn")
    centreline = ("prediction_hits", "prediction_length", "truth_hits", "truth_length")
    sizes = ("width_px", "height_px", "fov_diameter_px", "fov_method")
    figures = tuple(figure.key for figure in FIGURES)
    header = (
        "id",
        "subject",
        "split",
        *results.strata,
        "of",
        "role",
        "status",
        "reason",
        "in_means",
    )
    lines = [(*header, *sizes, *counts, *centreline, *figures)]
    for number, ref in enumerate(results.scorer.refs):
        groups = [names[number] for names in results.strata.values()]
        size = _size_cells(results.sizes[number])
        is_counted = "yes" if results.cohort.counted[number] else "no"
        for system in results.systems:
            score = system.scores[number]
            reason = results.faults.get(system.label, {}).get(ref.id, "")
            status = "ok" if score else reason.partition(":")[0] or "absent"
            who = (ref.id, ref.subject, ref.split, *groups, system.label, system.role)
            lines.append((*who, status, reason, is_counted, *size, *_score_cells(score)))
    return "".join("\t".join(map(escaped, line)) + "\n" for line in lines)


def _score_cells(score: ImageScore | None) -> Iterator[str]:
    if score is None:
        yield from [""] * (8 + len(FIGURES))
        return
    counts = (score.counts.tp, score.counts.fp, score.counts.fn, score.counts.tn)
    line = score.centreline
    lengths = (line.prediction_hits, line.prediction_length, line.truth_hits, line.truth_length)
    yield from map(str, (*counts, *lengths))
    for figure in FIGURES:
        value = score.values.get(figure.key)
        yield NOT_APPLICABLE if value is None else markdown.number(value, 6)


def _size_cells(size: ImageSize | None) -> tuple[str, ...]:
    if size is None:
        return ("", "", "", "")
    return (str(size.width_px), str(size.height_px), f"{size.fov_diameter_px:.1f}", size.fov_method)


def _table_cells(row: Row) -> tuple[str, ...]:
    of, found, decimals = escaped(row.of), row.interval, row.figure.decimals
    if found is None:
        return (row.figure.title, of, NOT_APPLICABLE, NOT_APPLICABLE, NOT_APPLICABLE, "", "", "")
    return (
        row.figure.title,
        of,
        markdown.number(found.mean, decimals),
        markdown.interval(found.low, found.high, decimals),
        markdown.number(row.pooled, decimals),
        str(found.n_images),
        str(found.n_subjects),
        str(found.n_undefined),
    )


def _stratum_cells(row: StratumRow) -> tuple[str, ...]:
    figures = (_stratum_cell(key, found) for key, found in row.intervals.items())
    names = (escaped(row.grouping), escaped(row.stratum), escaped(row.of))
    return (*names, str(row.n_images), str(row.n_subjects), *figures)


def _stratum_cell(key: str, found: Interval | None) -> str:
    if found is None:
        return NOT_APPLICABLE
    decimals = _BY_KEY[key].decimals
    mean = markdown.number(found.mean, decimals)
    bounds = markdown.interval(found.low, found.high, decimals)
    return f"{mean} ({bounds})" if bounds != markdown.UNDEFINED else mean


def _json_row(row: Row) -> dict:
    found = {"figure": row.figure.key, "of": escaped(row.of), "role": row.role}
    return {**found, **_json_interval(row.interval), "pooled": _json_number(row.pooled)}


def _json_stratum(row: StratumRow) -> dict:
    return {
        "grouping": escaped(row.grouping),
        "stratum": escaped(row.stratum),
        "of": escaped(row.of),
        "n_images": row.n_images,
        "n_subjects": row.n_subjects,
        "figures": {key: _json_interval(found) for key, found in row.intervals.items()},
    }


def _json_interval(found: Interval | None) -> dict:
    return (
        {} if found is None else {key: _json_number(value) for key, value in asdict(found).items()}
    )


def _json_number(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value


def _json_pool(system: System) -> dict:
    return {**asdict(system.pool.counts), "centreline": asdict(system.pool.centreline)}


def _config(results: Collected) -> dict:
    scorer, options = results.scorer, results.scorer.options
    return {
        "split": scorer.split,
        "layout": scorer.truth.layout,
        "at": options.at,
        "whole_frame": options.whole_frame,
        "threshold": options.threshold,
        "floor": options.floor,
        "seed": options.seed,
        "legacy_size_px": options.legacy_size_px,
    }


def _inputs(results: Collected) -> dict[str, str]:
    """SHA-256 of every map and mask that was read, and of the tables given."""
    scorer, found = results.scorer, {}
    for pairing in scorer.pairings:
        for file in pairing.maps.values():
            for path in filter(None, (file.path, file.probability)):
                found[f"{pairing.label}/{path.relative_to(pairing.folder.root)}"] = path
    for ref in scorer.refs:
        for path in scorer.truth.files(ref):
            found[f"truth/{path.relative_to(scorer.truth.root)}"] = path
        if scorer.given_fields is not None:
            found[f"fov/{ref.id}"] = scorer.given_fields.path_of(ref)
    given = {"groups": scorer.options.groups, "subjects": scorer.options.subjects}
    found |= {name: path for name, path in given.items() if path is not None}
    hashes = {path: sha256_of(path) for path in set(found.values())}
    return {name: hashes[path] for name, path in found.items()}
