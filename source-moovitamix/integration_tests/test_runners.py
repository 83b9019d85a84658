"""The same two files under every other runner of manifest-only connectors (PyAirbyte: test_pyairbyte.py)."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from airbyte_cdk.cli import source_declarative_manifest
from airbyte_cdk.connector_builder.main import handle_request

CONNECTOR = Path(__file__).parents[1]
HERE = Path(__file__).parent
CATALOG = json.loads((HERE / "incremental_catalog.json").read_text())
STREAMS = ["tracks", "users", "listen_history"]


def listen(day):
    instant = f"2026-01-{day:02}T08:00:00"
    return {"user_id": day, "items": [day], "created_at": instant, "updated_at": instant}


@pytest.fixture(autouse=True)
def rows(api):
    api.rows["tracks"] = [{"id": i, "name": f"track {i}"} for i in range(250)]
    api.rows["users"] = [{"id": 1, "email": "a@example.org"}]
    api.rows["listen_history"] = [listen(day) for day in range(1, 4)]


def records(stdout):
    rows = {stream: [] for stream in STREAMS}
    for message in map(json.loads, stdout.splitlines()):
        if message["type"] == "RECORD":
            rows[message["record"]["stream"]].append(message["record"]["data"])
    return rows


def run(command, tmp_path, files, **options):
    """A process; files given as objects are written as JSON."""
    for name, content in files.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        command = [*command, f"--{name}", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.fixture
def console_script(tmp_path, api):
    """`source-declarative-manifest`, the CDK's console script, on this folder's manifest and components."""

    def start(command, unsafe_code, **files):
        arguments = [str(Path(sys.executable).parent / "source-declarative-manifest"), command]
        arguments += ["--manifest-path", str(CONNECTOR / "manifest.yaml")]
        arguments += ["--components-path", str(CONNECTOR / "components.py")]
        environment = os.environ | {"AIRBYTE_ENABLE_UNSAFE_CODE": unsafe_code}
        return run(arguments, tmp_path, {"config": {"api_url": api.url}} | files, cwd=tmp_path, env=environment)

    return start


def test_the_console_script_reads_what_main_py_reads(console_script, api):
    done = console_script("read", "true", catalog=CATALOG)

    assert (done.returncode, done.stderr) == (0, "")
    assert records(done.stdout) == api.rows


def test_the_console_script_refuses_components_unless_they_are_allowed(console_script, api):
    done = console_script("check", "false")

    assert done.returncode == 1
    assert "AIRBYTE_ENABLE_UNSAFE_CODE" in done.stdout
    assert api.requests == []


@pytest.fixture
def image(tmp_path, api):
    """The files as the base image and our Dockerfile lay them out, and run as the image's entrypoint runs them.

    The base image's run.py is the CDK's _run.py. It looks for the manifest at an absolute path, which only an image
    has; its next step, handle_local_manifest_command, is what the main.py here calls.
    """
    code = tmp_path / "integration_code"
    package = code / "source_declarative_manifest"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").touch()
    shutil.copy(Path(source_declarative_manifest.__file__).with_name("_run.py"), package / "run.py")
    [copied] = [line for line in (CONNECTOR / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")]
    *names, target = [word for word in copied.split()[1:] if not word.startswith("--")]
    assert target == "/airbyte/integration_code/source_declarative_manifest/"
    for name in names:
        shutil.copy(CONNECTOR / name, package)
    entrypoint = "from source_declarative_manifest.run import handle_local_manifest_command as run"
    code.joinpath("main.py").write_text(f"import sys\n{entrypoint}\nrun(sys.argv[1:])\n")
    environment = {name: value for name, value in os.environ.items() if name != "AIRBYTE_ENABLE_UNSAFE_CODE"}

    def start(command, **files):
        arguments = [sys.executable, str(code / "main.py"), command]
        files = files if command == "spec" else {"config": {"api_url": api.url}} | files
        return run(arguments, tmp_path, files, cwd=code, env=environment)

    return start


def test_in_the_images_file_layout_it_prints_its_spec_and_reads_from_a_state(image, api):
    state = {
        "stream_descriptor": {"name": "listen_history"},
        "stream_state": {"updated_at": "2026-01-02T08:00:00.000000"},
    }

    spec = image("spec")
    read = image("read", catalog=CATALOG, state=[{"type": "STREAM", "stream": state}])

    [printed] = [json.loads(line)["spec"] for line in spec.stdout.splitlines() if '"SPEC"' in line]
    assert printed == json.loads((HERE / "spec.json").read_text())
    assert (read.returncode, read.stderr) == (0, "")
    assert records(read.stdout) == api.rows | {"listen_history": [listen(2), listen(3)]}


@pytest.fixture
def builder(tmp_path, api, monkeypatch):
    """What the Connector Builder's server does with a request: manifest and components come inside the config."""
    for name in ("components", "source_declarative_manifest.components"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # put back after the test:
        del sys.modules[name]  # the request registers its own
    monkeypatch.setenv("AIRBYTE_ENABLE_UNSAFE_CODE", "true")
    components = (CONNECTOR / "components.py").read_text()

    def request(command, *streams, **config):
        config |= {
            "api_url": api.url,
            "__command": command,
            "__injected_declarative_manifest": yaml.safe_load((CONNECTOR / "manifest.yaml").read_text()),
            "__injected_components_py": components,
            "__injected_components_py_checksums": {
                "md5": hashlib.md5(components.encode(), usedforsecurity=False).hexdigest(),
                "sha256": hashlib.sha256(components.encode()).hexdigest(),
            },
        }
        catalog = {"streams": [s for s in CATALOG["streams"] if s["stream"]["name"] in streams]}
        arguments = ["read"]
        for name, content in (("config", config), ("catalog", catalog), ("state", [])):
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps(content))
            arguments += [f"--{name}", str(path)]
        return json.loads(handle_request(arguments))

    return request


def test_the_connector_builder_resolves_the_manifest(builder):
    answer = builder("resolve_manifest")

    resolved = answer["record"]["data"]["manifest"]
    assert [stream["name"] for stream in resolved["streams"]] == STREAMS
    assert "$ref" not in json.dumps(resolved)


@pytest.mark.parametrize("stream", STREAMS)
def test_the_connector_builder_shows_the_records_of_each_stream(builder, stream, api):
    answer = builder("test_read", stream)

    shown = answer["record"]["data"]
    pages = [page for part in shown["slices"] for page in part["pages"]]
    assert [record for page in pages for record in page["records"]] == api.rows[stream]
    assert [log["message"] for log in shown["logs"] if log["level"] in ("WARN", "ERROR", "FATAL")] == []
    assert set(shown["inferred_schema"]["properties"]) == {field for row in api.rows[stream] for field in row}


def test_the_connector_builder_shows_why_a_stream_fails(builder, api, reply):
    api.fault = lambda request: reply({"detail": "no"}, 401)

    shown = builder("test_read", "tracks", api_key="wrong")["record"]["data"]

    assert any("Check api_key." in log["message"] for log in shown["logs"])
    assert "wrong" not in json.dumps(shown["logs"])


def test_the_connector_builder_refuses_components_that_were_changed_on_the_way(builder, monkeypatch):
    monkeypatch.setattr(hashlib, "sha256", lambda text: hashlib.sha512(text))

    with pytest.raises(Exception, match="checksum does not match"):
        builder("resolve_manifest")


@pytest.fixture
def make_image(tmp_path):
    """`make image` where the PATH leads to `docker`, a script, or to nothing."""

    def make(docker=None):
        folder = tmp_path / "bin"
        folder.mkdir()
        if docker:
            folder.joinpath("docker").write_text(f"#!/bin/sh\n{docker}\n")
            folder.joinpath("docker").chmod(0o755)
        command = [shutil.which("make"), "--no-print-directory", "image"]
        environment = {"PATH": str(folder)}
        return subprocess.run(
            command, cwd=CONNECTOR.parent, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return make


def test_make_image_builds_this_folder_under_the_version_of_the_metadata(make_image):
    metadata = yaml.safe_load((CONNECTOR / "metadata.yaml").read_text())["data"]

    done = make_image(docker='echo "$@"')

    name = metadata["dockerRepository"]
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == (
        f"build --tag {name}:{metadata['dockerImageTag']} --tag {name}:dev source-moovitamix"
    )


def test_make_image_says_so_where_there_is_no_docker(make_image):
    done = make_image()

    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == "make image: expected docker on the PATH, got none; no image was built."
