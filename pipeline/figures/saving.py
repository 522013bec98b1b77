"""Write pictures to files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from compute.errors import ExportError
from compute.files import whole_file


def save_figure(figure: Figure, output: Path) -> None:
    """Write a picture, whole or not at all; the suffix says how.

    Raises
    ------
    ExportError
        If the suffix is none of .png, .svg and .pdf, or the file cannot be written.
    """
    if output.suffix not in (".png", ".svg", ".pdf"):
        raise ExportError(f"{output}: suffix {output.suffix!r}; expected .png, .svg or .pdf")
    with whole_file(output, ExportError) as temporary:
        figure.savefig(temporary, format=output.suffix[1:])
