"""The rules that a line breaks which is no record of a known stream, and what each expects."""

from typing import Literal

OddRule = Literal["not_json", "not_a_message", "unknown_stream"]

# For the quarantine's `detail`.
ODD_RULES: dict[OddRule, str] = {
    "not_json": "expected one JSON object in UTF-8 a line",
    "not_a_message": "expected an Airbyte message with its required fields",
    "unknown_stream": "expected one of the streams tracks, users, listen_history",
}
