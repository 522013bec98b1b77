"""Parts of an HTML page: tables, pictures, explained terms. All text is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

from matplotlib.figure import Figure

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-size: 13px; margin: 1rem 0; }
td, th { padding: .2rem .5rem; text-align: right; overflow-wrap: break-word; max-width: 16rem; }
th { border-bottom: 2px solid #222; vertical-align: bottom; } td { border-bottom: 1px solid #eee; }
td.text, th.text { text-align: left; }
figure { margin: 1rem 0; display: inline-block; max-width: 100%; } img { max-width: 100%; height: auto; }
figcaption, p.note { color: #555; font-size: 13px; max-width: 60rem; }
dl { font-size: 13px; max-width: 60rem; } dt { font-weight: bold; } dd { margin: 0 0 .4rem 1.5rem; color: #444; }
@media print { table { font-size: 9px; } td, th { padding: .1rem .2rem; } figure, tr { break-inside: avoid; } }
"""


def html_page(title: str, parts: Sequence[str]) -> str:
    """A whole page that holds its style and pictures itself."""
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return head + '<meta name="viewport" content="width=device-width">' + "".join(parts) + "</html>"


def html_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, n_text_columns: int = 1) -> str:
    """A table whose first columns are text, the others numbers; long words are broken, so that nothing is cut off."""
    kinds = [" class=text" if index < n_text_columns else "" for index in range(len(heads))]
    head = "".join(f"<th{kind}>{escape(text)}</th>" for kind, text in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_note(text: str) -> str:
    """A line that explains what stands beside it."""
    return f"<p class=note>{escape(text)}</p>"


def html_terms(terms: Mapping[str, str]) -> str:
    """Terms and what they mean."""
    return "<dl>" + "".join(f"<dt>{escape(term)}<dd>{escape(text)}" for term, text in terms.items()) + "</dl>"


def html_figure(figure: Figure, caption: str) -> str:
    """A picture with its caption."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img alt="{escape(caption, quote=True)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
