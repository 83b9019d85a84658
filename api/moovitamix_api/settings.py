"""What can be set: each setting is a flag of the command and a MOOVITAMIX_API_* variable."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .instants import LAST, to_microseconds
from .scenarios import SCENARIOS, Scenario


def _written_out(now: object) -> object:
    # pydantic reads a bare number as seconds since 1970: 20260301 would be a day in August of that year.
    if isinstance(now, str) and now.strip().replace(".", "", 1).isdigit():
        raise ValueError("a bare number")
    return now


def _within_reach(now: datetime) -> datetime:
    if to_microseconds(now) > LAST:
        raise ValueError("later than the library grows")
    return now


def _known(scenario: str) -> str:
    if scenario != "list":
        Scenario.parse(scenario)
    return scenario


class Settings(BaseSettings):
    """Flags win over variables, variables over defaults; an empty variable counts as not set.

    A field's title completes the sentence "expected …".
    """

    model_config = SettingsConfigDict(env_prefix="MOOVITAMIX_API_", env_ignore_empty=True, hide_input_in_errors=True)

    host: str = Field("127.0.0.1", min_length=1, title="an address of this machine", description="address to listen on")
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        title="an integer from 0 to 65535",
        description="port to listen on; 0 picks a free one",
    )
    seed: int = Field(
        0, title="an integer", description="another seed, another library; the same seed, the same rows at every start"
    )
    size: int = Field(
        1000,
        ge=0,
        le=10_000_000,
        title="an integer from 0 to 10000000",
        description="tracks, and users, at the library's start, 2026-01-01T00:00:00Z",
    )
    listens: int = Field(
        1000,
        ge=0,
        le=10_000_000,
        validate_default=True,
        title="an integer from 0 to 10000000, and 0 if --size is 0 (there is nobody to listen)",
        description="listen records at the library's start",
    )
    now: Annotated[datetime, AfterValidator(_within_reach), BeforeValidator(_written_out)] | None = Field(
        None,
        title="an instant up to 2100-01-01T00:00:00Z, such as 2026-03-01 or 2026-03-01T12:00:00Z",
        description="freezes the clock at this instant, up to 2100; without a zone: UTC",
    )
    api_key: SecretStr | None = Field(
        None, min_length=1, title="at least one character", description="answer only requests with this X-API-Key"
    )
    rate_limit: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        title="an integer from 1 to 1000000",
        description="answer 429 to more requests than this in any second, all clients together",
    )
    latency_ms: int = Field(
        0,
        ge=0,
        le=600_000,
        title="an integer from 0 to 600000",
        description="milliseconds to wait before each answer",
    )
    scenario: Annotated[str, AfterValidator(_known)] | None = Field(
        None,
        title=f"list, or one of {', '.join(SCENARIOS)}, with :SEED (an integer) if wanted",
        description="NAME[:SEED]: misbehave in this way, the same for the same seed (default 0); list: what there is",
    )

    @field_validator("listens")
    @classmethod
    def _someone_to_listen(cls, listens: int, info: ValidationInfo) -> int:
        if listens and info.data.get("size") == 0:
            raise ValueError("nobody is there to listen")
        return listens

    @property
    def disturbance(self) -> Scenario | None:
        """The scenario, read."""
        return None if self.scenario in (None, "list") else Scenario.parse(str(self.scenario))
