"""What score prints and writes: the table or JSON, and the folder of a report."""

import json
from collections.abc import Iterable
from pathlib import Path

from fundusseg.io.files import sha256_of, write_bytes, write_json, write_text
from fundusseg.io.manifest import NAME, begin_anew, manifest, write_manifest
from fundusseg.io.status import escaped
from fundusseg.report import markdown
from fundusseg.stages.scoring.pictures import Picture, galleries, plots
from fundusseg.stages.scoring.protocol import protocol
from fundusseg.stages.scoring.run import Collected
from fundusseg.stages.scoring.summary import STRATUM_FIGURES, stratum_rows, table_rows
from fundusseg.stages.scoring.tables import (
    FIGURE_BY_KEY,
    TABLE_HEADER,
    json_pool,
    json_row,
    json_stratum,
    metrics_table,
    stratum_cells,
    table_cells,
)

FORMAT = "fundusseg-score"
VERSION = 1

METRICS, SUMMARY, REPORT = REPORT_FILES = ("metrics.tsv", "summary.json", "report.md")
TABLE_HEADING = "## Figures\n\n"


class Report:
    """The scores as text. Rows are computed once, since each interval is 10 000 draws."""

    def __init__(self, results: Collected):
        self.results = results
        self.protocol = protocol(results)
        self.rows = table_rows(results.systems, results.cohort)
        self.strata = stratum_rows(results.systems, results.strata, results.cohort)

    def table(self) -> str:
        """All figures as a Markdown table."""
        return markdown.table(TABLE_HEADER, map(table_cells, self.rows), text_columns=2)

    def json(self) -> dict:
        """All figures for programs: NaN is null, infinity "inf"."""
        results = self.results
        return {
            "format": FORMAT,
            "version": VERSION,
            "protocol": self.protocol,
            "rows": [json_row(row) for row in self.rows],
            "strata": [json_stratum(row) for row in self.strata],
            "pooled_counts": {
                escaped(system.label): json_pool(system) for system in results.systems
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
        titles = (FIGURE_BY_KEY[key].title for key in STRATUM_FIGURES)
        header = ("grouping", "stratum", "of", "images", "subjects", *titles)
        return markdown.table(header, map(stratum_cells, self.strata), text_columns=3)

    def _fault_table(self) -> str:
        rows = [(id, "prep", reason) for id, reason in self.results.scorer.truth.unprepared.items()]
        rows += [
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
    begin_anew(out)
    pictures = [*plots(results), *galleries(results)]
    for picture in pictures:
        write_bytes(out / picture.name, picture.png)
    write_text(out / METRICS, metrics_table(results))
    write_json(out / SUMMARY, report.json())
    write_text(out / REPORT, report.markdown(pictures))
    names = [*REPORT_FILES, *(picture.name for picture in pictures)]
    outputs = {name: sha256_of(out / name) for name in names}
    failures = {
        f"{label}/{id}": reason
        for label, faults in results.faults.items()
        for id, reason in faults.items()
    }
    write_manifest(
        out / NAME, manifest("score", _config(results), _inputs(results), outputs, failures)
    )


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
    }


def _inputs(results: Collected) -> dict[str, str]:
    """SHA-256 of every map and mask that was scored, and of the tables given."""
    scorer = results.scorer
    found = {"groups": scorer.options.groups, "subjects": scorer.options.subjects}
    for ref, size in zip(scorer.refs, results.sizes, strict=True):
        if size is not None:
            for path in scorer.truth.files(ref):
                found[f"truth/{path.relative_to(scorer.truth.root)}"] = path
            if scorer.given_fields is not None:
                found[f"fov/{ref.id}"] = scorer.given_fields.path_of(ref)
    for pairing in scorer.pairings:
        for file in (
            pairing.maps[id] for id in pairing.maps if id not in results.faults[pairing.label]
        ):
            for path in filter(None, (file.path, file.probability)):
                found[f"{pairing.label}/{path.relative_to(pairing.folder.root)}"] = path
    hashes = {path: sha256_of(path) for path in set(found.values()) if path is not None}
    return {name: hashes[path] for name, path in found.items() if path is not None}
