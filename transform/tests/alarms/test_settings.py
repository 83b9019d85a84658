"""moovitamix.toml: all of it has a default, and what it cannot have is told by name, never by value."""

from pathlib import Path

import pytest
from moovitamix_transform.alarms.settings import Ages, Settings, load
from moovitamix_transform.errors import UsageError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MOOVITAMIX_NOTIFY", "MOOVITAMIX_SETTINGS"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_file_everything_has_its_default():
    settings = load()

    assert settings == Settings()
    assert settings.freshness.of("dim_users") == settings.freshness
    assert (settings.freshness.warn_hours, settings.freshness.error_hours) == (36, 72)
    assert settings.channels() == []


def test_the_file_of_the_working_directory_counts_and_another_one_when_it_is_named(monkeypatch: pytest.MonkeyPatch):
    Path("moovitamix.toml").write_text('off = ["duration"]\n[freshness.tables.dim_users]\nwarn_hours = 2\n')
    Path("other.toml").write_text("[volume]\nshare = 0.1\n")

    here, other = load(), load(Path("other.toml"))
    monkeypatch.setenv("MOOVITAMIX_SETTINGS", "other.toml")

    assert load() == other
    assert here.off == ("duration",)
    assert here.freshness.of("dim_users") == Ages(warn_hours=2, error_hours=72)
    assert (here.volume.share, other.volume.share) == (0.25, 0.1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            "[freshness]\nwarn_hour = 3",
            "[freshness] warn_hour: expected warn_hours, error_hours, tables, got an unknown key",
            id="key",
        ),
        pytest.param("[volumes]\nshare = 0.1", "volumes: expected off, baseline, freshness, volume, ", id="section"),
        pytest.param(
            "[freshness.tables.dim_users]\nwarn = 3",
            "[freshness.tables.dim_users] warn: expected warn_hours, error_hours, got an unknown key",
            id="key_of_a_table",
        ),
        pytest.param(
            "[freshness.tables.dim_user]\nwarn_hours = 3",
            "[freshness.tables] dim_user: expected one of base_tracks, ",
            id="table",
        ),
        pytest.param(
            '[warnings]\naccept = ["odd"]',
            "[warnings] accept: expected one of tracks_updated_before_created, users_updated_before_created, ",
            id="warning",
        ),
        pytest.param("[volume]\nshare = -1", "[volume] share: input should be greater than 0", id="value"),
        pytest.param('off = ["volumes"]', "[off] 0: input should be 'run', 'zero_rows', ", id="kind"),
        pytest.param("[volume", "expected a readable TOML file, got no TOML: ", id="no_toml"),
    ],
)
def test_what_the_file_cannot_have_is_told_by_name(content: str, message: str):
    Path("moovitamix.toml").write_text(content)

    with pytest.raises(UsageError) as error:
        load()

    assert str(error.value).startswith(f"moovitamix.toml: {message}")


def test_a_file_that_is_named_must_be_there():
    with pytest.raises(UsageError, match=r"limits\.toml: expected a readable TOML file, got No such file"):
        load(Path("limits.toml"))


def test_urls_of_the_file_and_the_environment_are_channels_each_once_and_never_shown(monkeypatch: pytest.MonkeyPatch):
    Path("moovitamix.toml").write_text('[notify]\nurls = ["json://ada:pa55@one", "json://two"]\n')
    monkeypatch.setenv("MOOVITAMIX_NOTIFY", "json://two\n json://three")

    settings = load()

    assert settings.channels() == ["json://ada:pa55@one", "json://two", "json://three"]
    assert "pa55" not in repr(settings)
    assert "pa55" not in settings.model_dump_json()


def test_a_url_that_is_none_is_told_without_its_value():
    Path("moovitamix.toml").write_text('[notify]\nurls = [["json://ada:pa55@one"]]\n')

    with pytest.raises(UsageError) as error:
        load()

    assert "[notify.urls] 0: input should be a valid string" in str(error.value)
    assert "pa55" not in str(error.value)
