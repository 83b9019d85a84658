"""What the tests of `land --from` share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform import run as runner
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.runs import Run
from rich.console import Console


@pytest.fixture
def land_from(pipeline) -> Callable[..., Run]:
    """`moovitamix land --from` in this process."""

    def land(*names: Path | str, **options: Any) -> Run:  # noqa: ANN401 - those of land_files
        progress = RunProgress(Console(quiet=True), "ERROR")
        run, _ = runner.land_files(pipeline.warehouse, [str(name) for name in names], progress, **options)
        return run

    return land
