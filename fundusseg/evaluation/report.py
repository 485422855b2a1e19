"""What score prints and writes: the table or JSON, and the folder of a report."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from fundusseg.evaluation.cache import begin_report, require_own_files
from fundusseg.evaluation.metrics_tsv import metrics_tsv
from fundusseg.evaluation.pictures import ReportImage, galleries, plots
from fundusseg.evaluation.protocol import protocol, remarks
from fundusseg.evaluation.row_formats import (
    NOT_APPLICABLE,
    SUMMARY_HEADER,
    TABLE_HEADER,
    json_pool,
    json_row,
    json_stratum,
    stratum_cells,
    summary_cells,
    table_cells,
)
from fundusseg.evaluation.scoring import Evaluation
from fundusseg.evaluation.summary import (
    DIFFERENCE,
    FIGURE_BY_KEY,
    STRATUM_FIGURES,
    SystemRow,
    stratum_rows,
    system_rows,
    table_rows,
)
from fundusseg.evaluation.systems import MAPS
from fundusseg.files.atomic import write_bytes, write_text
from fundusseg.files.checksums import NAME as CHECKSUMS
from fundusseg.files.checksums import sha256_of
from fundusseg.files.manifest import NAME, begin_anew, write_manifest
from fundusseg.files.names import escaped
from fundusseg.option_fields import settings_of
from fundusseg.report import markdown
from fundusseg.report.mailed_page import mailed_page

FORMAT = "fundusseg-score"
VERSION = 2

METRICS, SUMMARY, TABLE = "metrics.tsv", "summary.json", "table.md"
REPORT, PAGE = "report.md", "report.html"
TEXTS = (METRICS, SUMMARY, TABLE, REPORT, PAGE)
PRINTED = {False: TABLE, True: SUMMARY}  # the file that holds what goes to stdout, by --json


class Report:
    """The texts of a report. Rows are computed once: each interval may take 10,000 draws."""

    def __init__(self, evaluation: Evaluation):
        self.evaluation = evaluation
        self.protocol = protocol(evaluation)
        self.rows = table_rows(evaluation.systems, evaluation.cohort)
        self.strata = stratum_rows(evaluation.systems, evaluation.strata, evaluation.cohort)

    def printed(self, as_json: bool) -> str:
        """What goes to stdout."""
        return self.json() if as_json else self.table()

    def table(self) -> str:
        """A row for each system, then for each paired difference; above them what must be known.

        The Markdown that ends the report: the region, remarks on the maps, and the tables.
        """
        lines = [f"Region: {self.protocol['region']}."]
        for pairing in self.evaluation.pairings:
            for remark in remarks(self.evaluation, pairing):
                lines.append(f"Maps in {markdown.plain(escaped(pairing.label))}: {remark}.")
        systems = system_rows(self.rows)
        if any(None in row.intervals.values() for row in systems if row.role == MAPS):
            lines.append(f"{NOT_APPLICABLE}: needs probabilities (infer --probability).")
        tables = [self._systems_table(row for row in systems if row.role != DIFFERENCE)]
        if differences := [row for row in systems if row.role == DIFFERENCE]:
            tables += ["Paired differences:\n", self._systems_table(differences)]
        return "\n".join([*(f"{line}\n" for line in lines), *tables])

    def json(self) -> str:
        """All figures as JSON: NaN is null, infinity "inf"."""
        evaluation = self.evaluation
        summary = {
            "format": FORMAT,
            "version": VERSION,
            "protocol": self.protocol,
            "rows": [json_row(row) for row in self.rows],
            "strata": [json_stratum(row) for row in self.strata],
            "pooled_counts": {
                escaped(system.label): json_pool(system) for system in evaluation.systems
            },
            "failures": {
                escaped(label): {escaped(id): escaped(reason) for id, reason in faults.items()}
                for label, faults in evaluation.faults.items()
            },
            "maps_without_truth": {
                escaped(pairing.label): [escaped(id) for id in pairing.without_truth]
                for pairing in evaluation.pairings
            },
        }
        return json.dumps(summary, indent=1, sort_keys=True) + "\n"

    def markdown(self, pictures: Iterable[ReportImage]) -> str:
        """The report; the tables of all systems are its last block."""
        return markdown.document(self._title(), self._sections(pictures))

    def page(self, pictures: Sequence[ReportImage]) -> str:
        """The same as a page of HTML by itself, the tables of all systems first."""
        *others, figures = self._sections(pictures)
        text = markdown.document(self._title(), (figures, *others))
        return mailed_page(text, {picture.name: picture.png for picture in pictures})

    def _title(self) -> str:
        labels = ", ".join(escaped(pairing.label) for pairing in self.evaluation.pairings)
        return f"{labels} against {escaped(self.evaluation.truth.root.resolve().name)}"

    def _sections(self, pictures: Iterable[ReportImage]) -> Sequence[tuple[str, str]]:
        """Headings and what stands under each."""
        statements = (f"**{topic}**: {said}" for topic, said in self.protocol.items())
        shown = "\n".join(markdown.picture(picture.name, picture.title) for picture in pictures)
        all_figures = markdown.table(TABLE_HEADER, map(table_cells, self.rows), text_columns=2)
        return (
            ("Protocol", markdown.bullets(statements)),
            ("Plots and images", shown),
            ("Strata", self._strata_table()),
            ("Missing and failed", self._fault_table()),
            ("Maps without a truth", self._maps_without_truth()),
            ("All figures", all_figures),
            ("Figures", self.table()),
        )

    @staticmethod
    def _systems_table(rows: Iterable[SystemRow]) -> str:
        return markdown.table(SUMMARY_HEADER, map(summary_cells, rows))

    def _strata_table(self) -> str:
        if not self.strata:
            return ""
        titles = (FIGURE_BY_KEY[key].title for key in STRATUM_FIGURES)
        header = ("grouping", "stratum", "of", "images", "subjects", *titles)
        return markdown.table(header, map(stratum_cells, self.strata), text_columns=3)

    def _fault_table(self) -> str:
        unprepared = self.evaluation.truth.unprepared
        rows = [(id, "prep", reason) for id, reason in unprepared.items()]
        rows += [
            (escaped(id), escaped(label), escaped(reason))
            for label, faults in self.evaluation.faults.items()
            for id, reason in faults.items()
        ]
        if not rows:
            return "None.\n"
        return markdown.table(("image", "of", "what"), rows, text_columns=3)

    def _maps_without_truth(self) -> str:
        lines = []
        for pairing in self.evaluation.pairings:
            if pairing.without_truth:
                ids = [markdown.plain(escaped(id)) for id in pairing.without_truth]
                label = markdown.plain(escaped(pairing.label))
                lines.append(f"{label}: {len(ids)} not scored: {markdown.named_in_a_line(ids)}")
        return markdown.bullets(lines)


def write_report(report: Report, out: Path) -> dict[str, str]:
    """Write the report's files to `out`, the manifest last.

    Returns:
        SHA-256 of each file by name, those of the manifest and of SHA256SUMS too.

    Raises:
        InputError: if the file system refuses.
    """
    evaluation = report.evaluation
    pictures = [*plots(evaluation), *galleries(evaluation)]
    names = [picture.name for picture in pictures]
    if not evaluation.options.force:
        require_own_files(out, names)
    begin_anew(out)
    begin_report(out, [*TEXTS, NAME, *names])
    for picture in pictures:
        write_bytes(out / picture.name, picture.png)
    texts = {
        METRICS: metrics_tsv(evaluation),
        SUMMARY: report.json(),
        TABLE: report.table(),
        REPORT: report.markdown(pictures),
        PAGE: report.page(pictures),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    outputs = {name: sha256_of(out / name) for name in (*texts, *names)}
    failures = {
        f"{label}/{id}": reason
        for label, faults in evaluation.faults.items()
        for id, reason in faults.items()
    }
    settings, inputs = _settings(evaluation), _inputs(evaluation)
    write_manifest(
        out,
        "score",
        settings,
        outputs,
        inputs=inputs,
        failures=failures,
        options=settings_of(evaluation.options),
    )
    return outputs | {name: sha256_of(out / name) for name in (CHECKSUMS, NAME)}


def _settings(evaluation: Evaluation) -> dict:
    options = evaluation.options
    return {
        "split": evaluation.split,
        "layout": evaluation.truth.layout,
        "at": options.at,
        "whole_frame": options.whole_frame,
        "threshold": options.threshold,
        "baseline": options.baseline,
        "seed": options.seed,
    }


def _inputs(evaluation: Evaluation) -> dict[str, str]:
    """SHA-256 of every map and mask that was scored, and of the tables given, by name."""
    options, truth = evaluation.options, evaluation.truth
    paths = {"groups": options.groups, "subjects": options.subjects}
    for item, size in zip(evaluation.items, evaluation.sizes, strict=True):
        if size is not None:
            for path in truth.files(item):
                paths[f"truth/{path.relative_to(truth.root)}"] = path
            if evaluation.given_fields is not None:
                paths[f"fov/{item.id}"] = evaluation.given_fields.files[item.id]
    for pairing in evaluation.pairings:
        for id in pairing.maps.keys() - evaluation.faults[pairing.label].keys():
            file = pairing.maps[id]
            for path in filter(None, (file.path, file.probability)):
                paths[f"{pairing.label}/{path.relative_to(pairing.folder.root)}"] = path
    hashes = {path: sha256_of(path) for path in set(paths.values()) if path is not None}
    return {name: hashes[path] for name, path in paths.items() if path is not None}
