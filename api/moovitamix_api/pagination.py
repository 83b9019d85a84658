"""The envelope of every list, as the client's API has it, and the query that selects from a list."""

from datetime import datetime
from typing import TypeVar

from fastapi import Query
from fastapi_pagination import Page, Params
from fastapi_pagination.customization import (
    CustomizedPage,
    UseAdditionalFields,
    UseFieldTypeAnnotations,
    UseName,
    UseParams,
)
from fastapi_pagination.types import GreaterEqualOne, GreaterEqualZero

Out = TypeVar("Out")


class Selection(Params):
    """A page of the records updated in [updated_since, updated_until]; the client's API has no such window."""

    size: int = Query(100, ge=1, le=100)
    updated_since: datetime | None = Query(
        None, description="Only records whose updated_at is this instant or later; UTC when it has no zone."
    )
    updated_until: datetime | None = Query(
        None, description="Only records whose updated_at is this instant or earlier; UTC when it has no zone."
    )


Listing = CustomizedPage[
    Page[Out],
    UseName("PageCustomized"),  # part of the client's OpenAPI document
    UseParams(Selection),
    # The client's version of fastapi-pagination lets all four be null, and readers are told so.
    UseFieldTypeAnnotations(total=GreaterEqualZero | None, page=GreaterEqualOne | None, size=GreaterEqualOne | None),
    # A list where the library says "sequence": pydantic then serialises it in one pass, without a call back to Python.
    UseFieldTypeAnnotations(items=list[Out]),
    UseAdditionalFields(pages=(GreaterEqualZero | None, None)),
]
