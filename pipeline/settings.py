"""The few settings of this project.

They come from ``settings.toml`` in the data folder and from environment variables named
``OROFACIAL_`` and the setting's name in capitals; the environment wins. Everything that changes a
result is a row in the database and not a setting. The database server and stores elsewhere than
in the data folder are configured with DataJoint's own files and variables (see `pipeline.database.connection`).
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from compute.errors import OrofacialError
from ingest.layout import DEFAULT_LAYOUT, NOT_RECORDINGS, Layout
from ingest.layout_text import LayoutError

DEFAULT_DATA_FOLDER = Path("~/orofacial")
SETTINGS_FILE_NAME = "settings.toml"


class SettingsError(OrofacialError):
    """A setting that does not exist, or a value that it cannot have."""


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


def _below_data_folder(path: Path, info: ValidationInfo) -> Path:
    return _absolute(info.data["data_folder"] / path.expanduser()) if "data_folder" in info.data else path


def _is_time_zone(name: str) -> str:
    try:
        return name if not name or ZoneInfo(name) else ""
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError("needs the name of a time zone, such as Europe/Berlin") from error


def _is_session_folder(pattern: str) -> str:
    if pattern:
        if "{camera" in pattern:
            raise ValueError(
                "names the folder of a session, and {camera} names a video in it. For paths that name the camera, too,"
                f' write layout = "{pattern}" instead'
            )
        _checked_layout(f"{pattern}/{{camera}}")
    return pattern


def _or_session_folder(layout: str, info: ValidationInfo) -> str:
    pattern = info.data.get("session_pattern", "")
    if layout and pattern:
        raise ValueError("says how files are named, and so does session_pattern; expected one. Remove session_pattern")
    return _checked_layout(layout) if layout else f"{pattern}/{{camera}}" if pattern else DEFAULT_LAYOUT


def _checked_layout(text: str) -> str:
    try:
        return Layout(text).text
    except LayoutError as error:
        raise ValueError(str(error)) from error


def _are_no_chain(aliases: dict[str, str]) -> dict[str, str]:
    for alias, camera in aliases.items():
        if camera in aliases:
            raise ValueError(f"{alias} stands for {camera}, which stands for {aliases[camera]}; expected a camera")
    return aliases


StoreFolder = Annotated[Path, AfterValidator(_below_data_folder), Field(validate_default=True)]


class WorkerSettings(BaseModel):
    """How many workers of one kind `orofacial cluster up` may start, and what Slurm gives each; see `Settings`.

    Attributes
    ----------
    max_workers : int
        Running and waiting workers together.
    partition, gres, memory, time_limit : str
        As sbatch takes them; empty: the cluster's default.
    n_cpus : int
        Cores of one worker. A worker computes on one; a GPU worker decodes on another.
    sbatch_options : tuple of str
        Further options of sbatch, such as ``--account=lab``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_workers: Annotated[int, Field(ge=0)] = 2
    partition: Annotated[str, Field(pattern=r"^[\w.,-]*$")] = ""
    gres: Annotated[str, Field(pattern=r"^[\w.,:()-]*$")] = ""
    memory: Annotated[str, Field(pattern=r"^(\d+[KMGT]?)?$")] = "4G"
    time_limit: Annotated[str, Field(pattern=r"^(\d+(-\d+)?(:\d+){0,2})?$")] = "1-00:00:00"
    n_cpus: Annotated[int, Field(ge=1)] = 1
    sbatch_options: tuple[Annotated[str, Field(pattern=r"^--[a-z]")], ...] = ()

    @property
    def memory_gb(self) -> float | None:
        """The memory as a number (GB); None where it is left to Slurm: empty, or 0 for all of a machine's."""
        digits = self.memory.rstrip("KMGT")
        if not digits or int(digits) == 0:
            return None
        unit = self.memory[len(digits) :] or "M"
        return float(int(digits) * 1024 ** (1 + "KMGT".index(unit)) / 1e9)


class GPUWorkerSettings(WorkerSettings):
    """Limits of workers that train and estimate."""

    max_workers: Annotated[int, Field(ge=0)] = 1
    gres: Annotated[str, Field(pattern=r"^[\w.,:()-]*$")] = "gpu:1"
    memory: Annotated[str, Field(pattern=r"^(\d+[KMGT]?)?$")] = "16G"
    n_cpus: Annotated[int, Field(ge=1)] = 2


class Settings(BaseSettings):
    """Where the data is and how recordings are named; see `load_settings`.

    Attributes
    ----------
    data_folder : Path
        Absolute. Holds the embedded database, the stores and ``settings.toml``.
    schema_prefix : str
        What the names of this project's database schemas begin with.
    session_pattern : str
        Older than `layout`: the folder of one session, whose videos are called after their cameras.
    layout : str
        How paths below the raw folder name mouse, date, number and camera, see `ingest.layout.Layout`.
    not_recordings : tuple of str
        Patterns of names of files and folders that are no recordings; the default is
        `ingest.layout.NOT_RECORDINGS`.
    camera_aliases : dict of str to str
        Camera by the other names that files give it, such as ``bottom = "lower"``. In ``settings.toml`` it is a table.
    rig_time_zone : str
        The rigs' time zone, such as ``Europe/Berlin``, for starts and times without an offset from UTC. Empty: that of
        the machine that ingests.
    stable_after_s : float
        A session folder is taken once nothing in it has changed for so long (s).
    accept_damaged_videos : bool
        Whether to take in a video of which the decoder had to make up some frames in part; without it, such a video is
        refused and the frames are named.
    tracks_store, models_store, labels_store : Path
        Absolute folders of the three file stores; relative ones are below the data folder. A store of
        the same name in DataJoint's own configuration wins.
    database_ca : Path or None
        Certificate of the authority that signed the database server's; then connections must be encrypted, and the
        server's certificate must be of that authority. Without it DataJoint's ``use_tls`` decides: true requires TLS,
        unset prefers it.
    gpu_workers, cpu_workers : WorkerLimits
        How many workers `orofacial cluster up` may start, and with what. In ``settings.toml`` these are tables.
    """

    model_config = SettingsConfigDict(env_prefix="OROFACIAL_", extra="forbid", frozen=True, env_ignore_empty=True)

    data_folder: Annotated[Path, AfterValidator(_absolute), Field(validate_default=True)] = DEFAULT_DATA_FOLDER
    schema_prefix: str = Field("orofacial_", pattern=r"^[a-z][a-z0-9_]{0,31}$")
    session_pattern: Annotated[str, AfterValidator(_is_session_folder)] = ""
    layout: Annotated[str, AfterValidator(_or_session_folder), Field(validate_default=True)] = ""
    not_recordings: tuple[Annotated[str, Field(min_length=1)], ...] = NOT_RECORDINGS
    camera_aliases: Annotated[dict[str, str], AfterValidator(_are_no_chain)] = {}
    rig_time_zone: Annotated[str, AfterValidator(_is_time_zone)] = ""
    stable_after_s: float = Field(10.0, ge=0, allow_inf_nan=False)
    accept_damaged_videos: bool = False
    tracks_store: StoreFolder = Path("store/tracks")
    models_store: StoreFolder = Path("store/models")
    labels_store: StoreFolder = Path("store/labels")
    database_ca: Annotated[Path, AfterValidator(_absolute)] | None = None
    gpu_workers: GPUWorkerSettings = GPUWorkerSettings()
    cpu_workers: WorkerSettings = WorkerSettings()

    @property
    def recording_layout(self) -> Layout:
        """How the lab's recordings lie."""
        return Layout(self.layout, self.camera_aliases, self.not_recordings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, and that over the data folder's ``settings.toml``."""
        named = {**env_settings(), **init_settings()}
        file = _absolute(Path(named.get("data_folder", DEFAULT_DATA_FOLDER))) / SETTINGS_FILE_NAME
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)


def load_settings(data_folder: Path | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    data_folder : Path, optional
        The data folder; without it ``OROFACIAL_DATA_FOLDER``, else ``~/orofacial``. It need not exist.

    Returns
    -------
    Settings
        All settings, checked.

    Raises
    ------
    SettingsError
        If the file is not TOML, names a setting that does not exist, or a value does not fit. The
        message names the setting, its value and where it stands.
    """
    explicit: dict[str, Any] = {} if data_folder is None else {"data_folder": data_folder}
    folder = data_folder or Path(os.environ.get("OROFACIAL_DATA_FOLDER") or DEFAULT_DATA_FOLDER)
    file = _absolute(folder) / SETTINGS_FILE_NAME
    try:
        _refuse_data_folder_in(file)
        return Settings(**explicit)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: not valid TOML ({error}). Correct that line.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read ({error}). Make it a readable UTF-8 text file.") from error
    except ValidationError as error:
        raise SettingsError("\n".join(_describe(problem, file) for problem in error.errors())) from error


def _refuse_data_folder_in(file: Path) -> None:
    if file.exists() and "data_folder" in tomllib.loads(file.read_text(encoding="utf-8")):
        raise SettingsError(
            f"{file}: found data_folder, which cannot stand in the folder that it names. "
            "Remove the line and set OROFACIAL_DATA_FOLDER, or give --data-folder."
        )


def _describe(problem: Any, file: Path) -> str:
    """One sentence for one of pydantic's problems: where, what was found, what was expected."""
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(field for field in Settings.model_fields if field != "data_folder")
        return f"{file}: unknown setting {name!r}. Known settings: {known}. Correct or remove the line."
    variable = f"OROFACIAL_{name}".upper()
    place = f"environment variable {variable}" if variable in os.environ else str(file)
    expected = re.sub(r"^Value error, ", "", problem["msg"])
    return f"{place}: {name} = {problem['input']!r} does not fit: {expected}. Correct the value."
