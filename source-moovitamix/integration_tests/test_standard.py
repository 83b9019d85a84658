"""The CDK's standard tests, driven by acceptance-test-config.yml, against a MooVitamix API on loopback.

Their image tests need Docker and are deselected in pyproject.toml.
"""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the CDK marks classes of its own as experimental, once, when they are imported
    from airbyte_cdk.test.models import ConnectorTestScenario
    from airbyte_cdk.test.standard_tests import DeclarativeSourceTestSuite
    from airbyte_cdk.test.standard_tests.pytest_hooks import pytest_generate_tests  # noqa: F401 (pytest calls it)

pytestmark = pytest.mark.filterwarnings("error::airbyte_cdk.test.standard_tests.DiscoveredCatalogWarning")

SAMPLE = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def api_url():
    """`moovitamix-api` on a free port, which its first line of output names."""
    command = [sys.executable, "-m", "moovitamix_api", "--port", "0", "--now", "2026-11-24T12:00:00"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


class TestSuite(DeclarativeSourceTestSuite):
    """Every scenario of acceptance-test-config.yml, its sample address replaced by the running API's."""

    @pytest.fixture(autouse=True)
    def running_api(self, api_url, monkeypatch):
        configured = ConnectorTestScenario.get_config_dict

        def get_config_dict(scenario, **kwargs):
            config = configured(scenario, **kwargs)
            return {**config, "api_url": api_url} if config.get("api_url") == SAMPLE else config

        monkeypatch.setattr(ConnectorTestScenario, "get_config_dict", get_config_dict)
        monkeypatch.delenv("AIRBYTE_ENABLE_UNSAFE_CODE", raising=False)


def test_the_sample_config_has_the_address_the_suite_replaces():
    sample = Path(__file__).parent / "sample_config.json"

    assert json.loads(sample.read_text())["api_url"] == SAMPLE
