"""Tracks of a whole question as one table, a line a frame and node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from compute.errors import ExportError
from compute.files import whole_file
from pipeline.query import TrackSelection


def write_selection_table(selection: TrackSelection, output: Path) -> int:
    """Write tracks as one line a frame and node, to CSV or Parquet by the suffix; return the number of lines.

    The file appears when it is complete; memory holds one track at a time.

    Raises
    ------
    ExportError
        If the suffix is neither .csv nor .parquet, or the file cannot be written, or no track can be read.
    """
    writers: dict[str, Any] = {".csv": pa_csv.CSVWriter, ".parquet": pq.ParquetWriter}
    if output.suffix not in writers:
        raise ExportError(f"{output}: suffix {output.suffix!r}; expected .csv or .parquet")
    n_rows = 0
    with whole_file(output, ExportError, pa.ArrowException) as temporary:
        writer = None
        for table in selection.to_arrow():
            writer = writer or writers[output.suffix](temporary, table.schema)
            writer.write_table(table)
            n_rows += table.num_rows
        if writer is None:
            raise ExportError(f"no track of the question can be read; {output} was not written")
        writer.close()
    return n_rows
