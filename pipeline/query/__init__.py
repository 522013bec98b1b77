"""Ask across animals: tracks, distances, bouts and qualities of all sessions, in one call.

>>> import inspect
>>> [name for name in __all__ if inspect.isfunction(globals()[name]) and not name.startswith("write_")]
['ask_sql', 'bout_counts', 'bouts', 'distances', 'manifest', 'qualities', 'sql', 'tracks']

Each of these takes the same question (see `Question`): by mouse, sex, genotype, date, camera, model, filter, held out
or not, quality of the tracks, and anything else that is in the database.
"""

from pipeline.query.bouts import bout_counts, bouts
from pipeline.query.checks import QueryError
from pipeline.query.question import Question
from pipeline.query.results import distances, qualities
from pipeline.query.search import manifest, tracks
from pipeline.query.selection import LeftOut, TrackSelection
from pipeline.query.sql import ask_sql, sql, write_sql_manifest, write_sql_table

__all__ = [
    "LeftOut",
    "QueryError",
    "Question",
    "TrackSelection",
    "ask_sql",
    "bout_counts",
    "bouts",
    "distances",
    "manifest",
    "qualities",
    "sql",
    "tracks",
    "write_sql_manifest",
    "write_sql_table",
]
