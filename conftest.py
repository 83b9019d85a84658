"""Which of the processes that tests start are measured by coverage."""

from collections.abc import Iterator

import pytest

# The API runs as a process in its tests; of the commands, these start what nothing else reaches.
MEASURED = ("api/tests", "transform/tests/commands/test_run_against_the_api.py")


@pytest.fixture(autouse=True, scope="module")
def _processes_unmeasured(request: pytest.FixtureRequest) -> Iterator[None]:
    """Elsewhere it costs each process a third of its time, and runs code before one is ours: not where the disk is full
    or a signal comes."""
    path = request.path.relative_to(request.config.rootpath).as_posix()
    with pytest.MonkeyPatch.context() as environment:
        if not path.startswith(MEASURED):
            for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
                environment.delenv(name, raising=False)
        yield
