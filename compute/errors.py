"""The errors that this project raises itself.

Every message names the file or session, what was found, what was expected, and what to do next.
"""


class OrofacialError(Exception):
    """Base class. The message says in one or two sentences what a person can correct."""


class VideoError(OrofacialError):
    """A video that cannot be read to its end, or does not fit its metadata or model."""


class TracksError(OrofacialError, ValueError):
    """Arrays that do not make consistent tracks."""


class LabelsError(OrofacialError):
    """A labels file that cannot be used: unreadable, empty, or with another skeleton."""


class ModelError(OrofacialError):
    """A model bundle that is incomplete, altered, or does not fit the video."""


class ExportError(OrofacialError):
    """A file that cannot be written, or read back."""


class NotInstalledError(OrofacialError):
    """A package that is needed here comes with an extra of this project that is not installed."""


class FilterError(OrofacialError, ValueError):
    """A filter that does not exist, or a parameter outside its range."""


class SessionError(OrofacialError):
    """A session folder that cannot be ingested."""


class DatabaseError(OrofacialError):
    """A database or store that cannot be reached or used."""


class OldDatabaseError(DatabaseError):
    """A database that an older version of orofacial made: its tables must be upgraded first."""


class StoreError(DatabaseError):
    """A store that cannot be written, such as a full disk; the data are not the cause."""


class AnswerWarning(UserWarning):
    """What a reader has to know of an answer. Commands say it on stderr."""


class LeftOutWarning(AnswerWarning):
    """What an answer leaves out: files that cannot be read, models that are not deployed."""


class SeveralModelsWarning(AnswerWarning):
    """Videos that are in an answer more than once, since several models of their camera are deployed."""
