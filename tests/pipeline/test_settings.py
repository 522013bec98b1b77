from pathlib import Path

import pytest

from pipeline.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("OROFACIAL_")]:
        monkeypatch.delenv(name)


def write(folder: Path, text: str) -> Path:
    (folder / "settings.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_configured(monkeypatch, tmp_path, value):
    monkeypatch.setenv("HOME", str(tmp_path))
    if value is not None:
        monkeypatch.setenv("OROFACIAL_DATA_FOLDER", value)
    settings = load_settings()
    assert settings.data_folder == tmp_path / "orofacial"
    assert settings.schema_prefix == "orofacial_"
    assert settings.layout == "{mouse}/{date}_{number}/{camera}"
    assert settings.tracks_store == tmp_path / "orofacial" / "store" / "tracks"
    assert not settings.data_folder.exists()


def test_argument_over_environment_over_file(monkeypatch, tmp_path):
    write(tmp_path, 'schema_prefix = "file_"\nstable_after_s = 3\n')
    monkeypatch.setenv("OROFACIAL_SCHEMA_PREFIX", "environment_")
    monkeypatch.setenv("OROFACIAL_DATA_FOLDER", "/elsewhere")
    settings = load_settings(tmp_path)
    assert (settings.data_folder, settings.schema_prefix, settings.stable_after_s) == (tmp_path, "environment_", 3.0)


def test_file_of_the_folder_that_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv("OROFACIAL_DATA_FOLDER", str(write(tmp_path, 'schema_prefix = "file_"')))
    assert load_settings().schema_prefix == "file_" == Settings().schema_prefix


def test_stores_are_relative_to_the_data_folder(tmp_path):
    settings = load_settings(write(tmp_path, 'tracks_store = "big/tracks"\nmodels_store = "/shared/models"'))
    assert (settings.tracks_store, settings.models_store) == (tmp_path / "big/tracks", Path("/shared/models"))


def test_an_older_session_pattern_is_a_layout_of_folders(tmp_path):
    settings = load_settings(write(tmp_path, 'session_pattern = "{date}/{mouse}_{number}"'))
    assert settings.recording_layout.text == "{date}/{mouse}_{number}/{camera}"
    assert settings.recording_layout.example == "2026-03-02/mouse01_1/side.mp4"


def test_relative_data_folder_becomes_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_settings(Path("data")).labels_store == tmp_path / "data/store/labels"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('sesion_pattern = "{mouse}"', "unknown setting 'sesion_pattern'"),
        ('session_pattern = "{mouse}/{number}"', "'{mouse}/{number}/{camera}' lacks {date}"),
        ('session_pattern = "{mouse}_{date}_{camera}"', 'layout = "{mouse}_{date}_{camera}"'),
        ('session_pattern = "{mouse}/{date}"\nlayout = "{date}/{mouse}/{camera}"', "Remove session_pattern"),
        ('layout = "{mouse}/{date}"', "lacks {camera}"),
        ('[camera_aliases]\nbottom = "below"\nbelow = "lower"', "bottom stands for below, which stands for lower"),
        ('session_pattern = "{mouse}/{date}/{number"', "session_pattern"),
        ('schema_prefix = "My-Lab"', "schema_prefix = 'My-Lab'"),
        ("stable_after_s = -1", "stable_after_s = -1"),
        ("stable_after_s = nan", "stable_after_s"),
        ('stable_after_s = "soon"', "stable_after_s = 'soon'"),
        ('data_folder = "/x"', "data_folder"),
        ("schema_prefix = ", "not valid TOML"),
    ],
)
def test_bad_file_is_named_with_its_key(tmp_path, text, named):
    with pytest.raises(SettingsError) as error:
        load_settings(write(tmp_path, text))
    assert str(tmp_path / "settings.toml") in str(error.value)
    assert named in str(error.value)


def test_bad_environment_variable_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("OROFACIAL_STABLE_AFTER_S", "soon")
    with pytest.raises(SettingsError, match="OROFACIAL_STABLE_AFTER_S"):
        load_settings(tmp_path)


def test_file_that_is_no_text(tmp_path):
    (tmp_path / "settings.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"settings\.toml: cannot be read"):
        load_settings(tmp_path)


def test_settings_cannot_be_changed(tmp_path):
    with pytest.raises(ValueError, match="frozen"):
        load_settings(tmp_path).schema_prefix = "other_"
