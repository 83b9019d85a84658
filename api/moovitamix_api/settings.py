"""What can be set: each setting is a flag of the command and a MOOVITAMIX_API_* variable."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .library.instants import LAST, to_microseconds


def _within_reach(now: datetime) -> datetime:
    if to_microseconds(now) > LAST:
        raise ValueError("an instant up to 2100-01-01T00:00:00Z")
    return now


class Settings(BaseSettings):
    """Flags win over variables, variables over defaults; an empty variable counts as not set."""

    model_config = SettingsConfigDict(
        env_prefix="MOOVITAMIX_API_", env_ignore_empty=True, extra="forbid", hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    seed: int = Field(0, description="another seed, another library; the same seed, the same rows at every start")
    size: int = Field(1000, ge=0, le=10_000_000, description="tracks, and users, at the library's start (2026-01-01)")
    listens: int = Field(1000, ge=0, le=10_000_000, description="listen records at the library's start")
    now: Annotated[datetime, AfterValidator(_within_reach)] | None = Field(
        None, description="freezes the clock at this instant, up to 2100; without a zone: UTC"
    )
    api_key: SecretStr | None = Field(None, min_length=1, description="answer only requests with this X-API-Key")
    rate_limit: int | None = Field(None, ge=1, description="answer 429 to more requests than this in any second")
    latency_ms: int = Field(0, ge=0, le=600_000, description="milliseconds to wait before each answer")

    @model_validator(mode="after")
    def _someone_to_listen(self) -> "Settings":
        if self.listens and not self.size:
            raise ValueError(f"--listens: expected 0 with --size 0 (nobody is there to listen), got {self.listens}")
        return self
