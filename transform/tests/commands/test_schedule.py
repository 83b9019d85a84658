"""`schedule`: what is told before anything is served. With a server: test_schedule_on_prefect.py."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        pytest.param([], 2, "expected one of --cron '0 5 * * *' and --every 1h, got none", id="no_schedule"),
        pytest.param(["--cron", "0 5 * * *", "--every", "1h"], 2, "got both", id="two_schedules"),
        pytest.param(["--every", "soon"], 2, "such as 1h, got 'soon'", id="no_time"),
        pytest.param(["--every", "1h"], 2, "expected one of --api-url URL", id="no_source"),
        pytest.param(
            ["--every", "1h", "--api-url", "http://me:hush@127.0.0.1:1"], 2, "without a password", id="a_password"
        ),
        pytest.param(
            ["--every", "1h", "--api-url", "http://127.0.0.1:1", "--settings", "none.toml"],
            2,
            "none.toml: expected a readable TOML file",
            id="no_settings",
        ),
        pytest.param(
            ["--every", "1h", "--api-url", "http://127.0.0.1:1"],
            1,
            "pip install 'moovitamix[prefect]'",
            id="no_prefect",
        ),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_is(
    moovitamix: Callable[..., Any], options: list[str], code: int, said: str
):
    done = moovitamix("schedule", *options)

    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "hush" not in done.err
