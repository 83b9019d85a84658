"""`schedule`: `run` again and again, seen in Prefect's dashboard."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from moovitamix_transform import connector
from moovitamix_transform.cli.options import DEFAULT_WAREHOUSE, SettingsOption, WarehouseOption
from moovitamix_transform.cli.pipeline import OnDriftOption
from moovitamix_transform.errors import MissingExtra, UsageError
from moovitamix_transform.warehouse import Warehouse

EXAMPLE = "Example: moovitamix schedule --every 1h --api-url http://127.0.0.1:8000"
NAME = "moovitamix"
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def schedule(
    cron: Annotated[str | None, typer.Option(help="When, as cron writes it, in UTC: '0 5 * * *'.")] = None,
    every: Annotated[str | None, typer.Option(metavar="TIME", help="How often: 15m, 1h, 1d.")] = None,
    api_url: Annotated[str | None, typer.Option(help="As for `run`.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="As for `run`. Prefect keeps its path, not what is in it.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="As for `run`. Prefect keeps it: no secret may be in it.")] = None,
    on_drift: OnDriftOption = "warn",
    retries: Annotated[int, typer.Option(min=0, help="Of a run that failed over something transient.")] = 3,
    retry_delay: Annotated[float, typer.Option(min=0, help="Seconds before each of them.")] = 60.0,
    settings: SettingsOption = None,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Serve `run` as a flow of Prefect, until Ctrl-C. Where its server is, PREFECT_API_URL says."""
    from moovitamix_transform.alarms.settings import load  # pydantic: the other commands start sooner without it

    interval = _interval(cron, every)
    if api_url is not None and connector.without_secrets(api_url) != api_url:
        raise UsageError(
            "schedule --api-url: expected a URL without a password, which Prefect would keep; use --config"
        )
    connector.source_of(api_url, config, source)  # before anything is served, what cannot be right is told
    load(settings)
    house = Warehouse(warehouse)
    os.environ.setdefault("DO_NOT_TRACK", "1")  # before it is imported, Prefect would tell its makers of it
    try:
        from prefect.flows import EntrypointType

        from moovitamix_transform.schedule import moovitamix
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"schedule: expected the package {error.name}, found none; install the extra: "
            "`pip install 'moovitamix[prefect]'`. Nothing is scheduled."
        ) from error
    moovitamix.serve(
        name=NAME,
        cron=cron,
        interval=interval,
        parameters={
            "warehouse": str(Path(house.root).absolute()) if house.is_local else house.root,
            "api_url": api_url,
            "config": str(config.resolve()) if config else None,
            "source": source,
            "on_drift": on_drift,
            "settings": str(settings.resolve()) if settings else None,
            "retries": retries,
            "retry_delay_seconds": retry_delay,
        },
        tags=["moovitamix"],
        limit=1,  # one warehouse, one writer
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def _interval(cron: str | None, every: str | None) -> timedelta | None:
    if (cron is None) == (every is None):
        raise UsageError(
            "schedule: expected one of --cron '0 5 * * *' and --every 1h, got " + ("both" if cron else "none")
        )
    if every is None:
        return None
    found = re.fullmatch("([1-9][0-9]{0,4})([mhd])", every.strip())
    if found is None:
        raise UsageError(f"schedule --every: expected a number of minutes, hours or days, such as 1h, got {every!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
