"""Who may read: with a key set, those who send it as X-API-Key."""

from collections.abc import Callable
from secrets import compare_digest
from typing import Annotated

from fastapi import HTTPException, Security
from fastapi.security import APIKeyHeader
from pydantic import SecretStr

_header = APIKeyHeader(name="X-API-Key", auto_error=False)


def requires(api_key: SecretStr) -> Callable[[str | None], None]:
    """A dependency that answers 401 to requests without the key."""
    expected = api_key.get_secret_value().encode()

    def check(key: Annotated[str | None, Security(_header)] = None) -> None:
        # HTTP headers arrive decoded as Latin-1; comparing bytes lets a key hold any character.
        if key is None or not compare_digest(key.encode("latin-1"), expected):
            raise HTTPException(
                status_code=401,
                detail=f"header X-API-Key: expected this API's key, got {'none' if key is None else 'another one'}",
                headers={"WWW-Authenticate": "APIKey"},
            )

    return check
