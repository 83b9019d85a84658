"""An application whose answers a scenario disturbs on their way out."""

from starlette.types import ASGIApp

from . import Scenario
from .faults import FLAKY, HTML, THROTTLED, Faults
from .nulls import Nulls


def disturbed(app: ASGIApp, scenario: Scenario | None) -> ASGIApp:
    """The application as it is without a scenario; else with the scenario's nulls and failing requests around it.

    Around it, not among its middleware: a fault must reach the connection itself.
    """
    if scenario is None:
        return app
    if scenario.has("nulls"):
        app = Nulls(app, scenario.seed)
    faults = [
        fault
        for name, faults in (("throttled", THROTTLED), ("flaky", FLAKY), ("html", HTML))
        if scenario.has(name)
        for fault in faults
    ]
    return Faults(app, scenario.seed, faults) if faults else app
