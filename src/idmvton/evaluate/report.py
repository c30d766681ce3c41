"""A report as files: report.json, pictures.csv, and report.html, one file that opens offline."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.atomic import whole_file
from idmvton.evaluate.evaluation import Report
from idmvton.evaluate.matching import Case
from idmvton.evaluate.metrics import METRICS
from idmvton.evaluate.scoring import Figure
from idmvton.images import load_image

JSON_NAME: Final = "report.json"
CSV_NAME: Final = "pictures.csv"
HTML_NAME: Final = "report.html"
_SHOWN: Final = 4  # best, median and worst pictures each
_SIDE: Final = 260  # height of a picture in the page
_BINS: Final = 24
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .3rem .7rem; text-align: left; }
tr + tr { border-top: 1px solid #ddd; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: .4rem; } figcaption { font-size: 12px; color: #555; max-width: 420px; }
.note { color: #555; } .warn { background: #fff4d6; padding: .5rem .8rem; border-radius: 4px; }
svg { background: #f6f6f6; } pre { background: #f6f6f6; padding: .6rem; white-space: pre-wrap; }
"""


def write_report(report: Report, output: Path) -> dict[str, Path]:
    """Writes the three files; the same results give the same bytes.

    Args:
        report: what to write.
        output: a folder; made if it is missing.

    Returns:
        Name -> path of each file.

    Raises:
        InputError: the folder cannot be written.
    """
    texts = {
        JSON_NAME: json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n",
        CSV_NAME: pictures_table(report),
        HTML_NAME: page(report),
    }
    for name, text in texts.items():
        with whole_file(output / name) as file:
            file.write(text.encode())
    return {name: output / name for name in texts}


def pictures_table(report: Report) -> str:
    """One line a picture, one column a metric, as CSV; empty where a picture has no answer."""
    columns = report.measured.numbers
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["pair", "result", *columns])
    for row, case in enumerate(report.matched.cases):
        values = ["" if math.isnan(values[row]) else f"{values[row]:.6g}" for values in columns.values()]
        writer.writerow([case.name, case.result, *values])
    return text.getvalue()


def page(report: Report) -> str:
    """The whole report as one HTML page without anything from elsewhere."""
    parts = [
        "<h1>Try-on evaluation</h1>",
        f"<p>{len(report.matched.cases)} pictures, named <code>{html.escape(report.matched.rule)}</code>.</p>",
        *(f'<p class="warn">{html.escape(each)}</p>' for each in report.warnings),
        _metrics_table(report),
        "<h2>The protocol</h2>",
        f"<pre>{html.escape(report.to_dict()['protocol']['in_words'])}</pre>",
        _missing_list(report),
        "<h2>How the values are spread</h2>",
        *(_histogram(name, values) for name, values in report.measured.numbers.items()),
        *_galleries(report),
        "<h2>How the pictures were made</h2>",
        _made_table(report),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Try-on evaluation</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def number_text(value: float | None) -> str:
    """A figure for people: four significant digits."""
    return "-" if value is None else f"{value:.4g}"


def interval_text(figure: Figure) -> str:
    """The interval for people."""
    return "-" if figure.low is None else f"{number_text(figure.low)} to {number_text(figure.high)}"


def _metrics_table(report: Report) -> str:
    head = ["metric", "better", "value", "95 % interval", "pictures", *report.scale, "how"]
    rows = []
    for name, figure in report.figures.items():
        scale = [number_text(values.get(name)) for values in report.scale.values()]
        cells = [number_text(figure.value), interval_text(figure), str(figure.n), *scale]
        numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
        title, better = METRICS[name].title, METRICS[name].better
        rows.append(
            f'<tr><td>{title}</td><td>{better}</td>{numbers}<td class="note">{html.escape(figure.how)}</td></tr>'
        )
    heads = "".join(f"<th>{each}</th>" for each in head)
    return f"<table><tr>{heads}</tr>{''.join(rows)}</table>"


def _missing_list(report: Report) -> str:
    if not report.missing:
        return ""
    items = "".join(f"<li>{METRICS[each.metric].title}: {html.escape(each.why)}</li>" for each in report.missing)
    return f"<h2>Not computed</h2><ul>{items}</ul>"


def _histogram(name: str, values: NDArray[np.float64]) -> str:
    found = values[~np.isnan(values)]
    if not len(found):
        return ""
    counts, edges = np.histogram(found, _BINS)
    width, height = 10, 80
    bars = "".join(
        f'<rect x="{n * width}" y="{height - height * count / counts.max():.1f}" width="{width - 1}" '
        f'height="{height * count / counts.max():.1f}" fill="#4a6fa5"/>'
        for n, count in enumerate(counts)
    )
    label = f"{METRICS[name].title}: {number_text(edges[0])} to {number_text(edges[-1])}"
    picture = f'<svg width="{_BINS * width}" height="{height}" role="img" aria-label="{label}">{bars}</svg>'
    return f"<figure>{picture}<figcaption>{label}</figcaption></figure>"


def _galleries(report: Report) -> list[str]:
    """Best, median and worst pictures by the first metric of pairs."""
    if not report.measured.numbers:
        return []
    name, values = next(iter(report.measured.numbers.items()))
    order = [n for n in np.argsort(values, kind="stable") if not np.isnan(values[n])]
    order = order[::-1] if METRICS[name].better == "higher" else order
    middle = max(0, len(order) // 2 - _SHOWN // 2)
    groups = {"Best": order[:_SHOWN], "Median": order[middle : middle + _SHOWN], "Worst": order[-_SHOWN:]}
    return [
        f"<h2>{title} by {METRICS[name].title}</h2>"
        + "".join(_strip(report.matched.cases[n], f"{METRICS[name].title} {number_text(values[n])}") for n in numbers)
        for title, numbers in groups.items()
    ]


def _strip(case: Case, caption: str) -> str:
    """Garment, photo, result and truth of one case side by side."""
    paths = [path for path in (case.garment, case.person, case.result, case.truth) if path is not None]
    pictures = [load_image(path, what="picture") for path in dict.fromkeys(paths)]
    encoded = base64.b64encode(_side_by_side(pictures)).decode()
    text = html.escape(f"{case.name}: {caption}")
    return f'<figure><img alt="{text}" src="data:image/jpeg;base64,{encoded}"><figcaption>{text}</figcaption></figure>'


def _side_by_side(pictures: Sequence[Image.Image]) -> bytes:
    small = [each.resize((max(1, round(each.width * _SIDE / each.height)), _SIDE)) for each in pictures]
    sheet = Image.new("RGB", (sum(each.width for each in small), _SIDE), "white")
    left = 0
    for each in small:
        sheet.paste(each, (left, 0))
        left += each.width
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _made_table(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>"
        + ", ".join(f"{html.escape(value)} ({count})" for value, count in values.items())
        + "</td></tr>"
        for name, values in report.made.items()
    )
    return f"<table>{rows}</table>"
