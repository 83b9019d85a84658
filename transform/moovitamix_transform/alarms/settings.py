"""moovitamix.toml: the limits of the alarms, who is told, the warnings that are accepted. All has a default; a key it
does not know is an error."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from moovitamix_transform.alarms.verdict import Kind
from moovitamix_transform.errors import UsageError

FILE = "moovitamix.toml"
NOTIFY = "MOOVITAMIX_NOTIFY"
SETTINGS = "MOOVITAMIX_SETTINGS"

Positive = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ages(_Section):
    """Hours since the newest extraction that a table's build saw: a daily sync may be late by half a day."""

    warn_hours: Positive = 36
    error_hours: Positive = 72


class Freshness(Ages):
    """`tables` has those with ages of their own."""

    tables: dict[str, Ages] = {}

    def of(self, table: str) -> Ages:
        return self.tables.get(table, self)


class Baseline(_Section):
    """What a run is held against: so many of the last good runs of its kind, judged once there are `least` of them."""

    runs: Annotated[int, Field(ge=3)] = 28
    least: Annotated[int, Field(ge=3)] = 7
    deviations: Positive = 5


class Volume(_Section):
    """A stream's records may differ from the median by this share of it at least."""

    share: Positive = 0.25


class Points(_Section):
    """A share of rows may rise above the median by so many hundredths at least."""

    points: Positive = 1.0


class Duration(_Section):
    """A run may take longer than the median by this share of it, and by these seconds, at least."""

    share: Positive = 1.0
    seconds: Positive = 60


class Notify(_Section):
    """Where messages go, as apprise's URLs. They hold passwords: never printed, never stored."""

    urls: tuple[SecretStr, ...] = ()


class Warnings(_Section):
    """`accept` names the warnings that are counted and shown as ever, but make no exit code 3 under `--strict`."""

    accept: tuple[str, ...] = ()


class Settings(_Section):
    """All of moovitamix.toml. `off` names the kinds of alarms that are not judged at all."""

    off: tuple[Kind, ...] = ()
    baseline: Baseline = Baseline()
    freshness: Freshness = Freshness()
    volume: Volume = Volume()
    nulls: Points = Points()
    quarantine: Points = Points()
    duration: Duration = Duration()
    notify: Notify = Notify()
    warnings: Warnings = Warnings()

    def channels(self) -> list[str]:
        """The URLs of the file, then those of MOOVITAMIX_NOTIFY, which white space separates; each once."""
        given = [url.get_secret_value() for url in self.notify.urls] + os.environ.get(NOTIFY, "").split()
        return list(dict.fromkeys(given))


def load(path: Path | None = None) -> Settings:
    """The settings of a file, or of that which MOOVITAMIX_SETTINGS names; without either, of moovitamix.toml in the
    working directory, or the defaults.

    Raises UsageError: the file cannot be read, is no TOML, or has a key or value that it cannot have.
    """
    if path is None and SETTINGS in os.environ:
        path = Path(os.environ[SETTINGS])
    if path is None:
        path = Path(FILE)
        if not path.exists():
            return Settings()
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"no TOML: {error}"
        raise UsageError(f"{path}: expected a readable TOML file, got {reason}") from None
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{path}: {'; '.join(map(_explained, error.errors(include_input=False)))}") from None
    _require_names(path, settings)
    return settings


def _explained(error: Any) -> str:  # noqa: ANN401 - pydantic's own dict
    """Without the value, which may be a password."""
    *section, key = map(str, error["loc"])
    where = f"[{'.'.join(section)}] {key}" if section else key
    if error["type"] == "extra_forbidden":
        return f"{where}: expected {', '.join(_keys(section))}, got an unknown key"
    return f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _keys(section: list[str]) -> list[str]:
    """The keys that a section may have."""
    model: type[BaseModel] = Settings
    for name in section:
        field = model.model_fields.get(name)
        kind = field.annotation if field else Ages  # a table of [freshness.tables]
        model = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else Ages
    return list(model.model_fields)


def _require_names(path: Path, settings: Settings) -> None:
    from moovitamix_transform.data_warnings import all_warnings  # after what can fail at once: both load every contract
    from moovitamix_transform.graph import models

    if unknown := [name for name in settings.freshness.tables if name not in models()]:
        raise UsageError(
            f"{path}: [freshness.tables] {unknown[0]}: expected one of {', '.join(models())}, got an unknown table"
        )
    known = [warning.name for warning in all_warnings()]
    if unknown := [name for name in settings.warnings.accept if name not in known]:
        raise UsageError(f"{path}: [warnings] accept: expected one of {', '.join(known)}, got {unknown[0]!r}")
