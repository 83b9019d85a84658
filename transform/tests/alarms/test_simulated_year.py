"""On a year of the growing library: no more than one day in a hundred is alarmed for nothing, every fault is found."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "bench" / "simulated_year.py"


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulated_year", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated_year"] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


def test_in_365_days_at_most_one_in_a_hundred_is_alarmed_for_nothing_and_every_fault_is_found(simulation: ModuleType):
    days = simulation.year(365)

    false = simulation.false_alarms(days)
    missed = {name: (found, there) for name, found, there in simulation.found_faults(days, step=4) if found < there}

    assert len(days) > 340
    assert len(false) <= len(days) / 100, f"{len(false)} of {len(days)} days are alarmed for nothing: {false}"
    assert missed == {}, "(found, of how many days) of each fault that was not always found"
