#!/usr/bin/env python3
"""`python main.py spec|check|discover|read …`: the Airbyte source that manifest.yaml and components.py describe."""

import gc
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.exception_handler import init_uncaught_exception_handler
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import (
    AirbyteStateMessage,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    ConnectorSpecification,
    DestinationSyncMode,
    FailureType,
    SyncMode,
)
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

HERE = Path(__file__).resolve().parent
EVERY_STREAM = "every stream"
Read = TypeVar("Read")


def _load_components() -> ModuleType:
    """components.py under the name by which the manifest, and the official base image, address it."""
    spec = importlib.util.spec_from_file_location("source_declarative_manifest.components", HERE / "components.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{HERE}: expected components.py beside main.py, got no module from it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


components = _load_components()


class SourceMoovitamix(YamlDeclarativeSource):
    """The source with the catalog and the state that `run` prepared; the CDK's entrypoint asks for both once more."""

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        catalog: ConfiguredAirbyteCatalog | None = None,
        state: list[AirbyteStateMessage] | None = None,
        config_path: str | None = None,
    ) -> None:
        super().__init__(
            str(HERE / "manifest.yaml"), catalog=catalog, config=config, state=state, config_path=config_path
        )
        self.prepared_catalog, self.prepared_state = catalog, state or []

    # The CDK's entrypoint calls both on the object, where its own are methods of the class.
    def read_catalog(self, catalog_path: str) -> ConfiguredAirbyteCatalog | None:  # type: ignore[override]
        return self.prepared_catalog

    def read_state(self, state_path: str) -> list[AirbyteStateMessage]:  # type: ignore[override]
        return self.prepared_state


class Entrypoint(AirbyteEntrypoint):
    """Names the option that the spec refuses: the CDK tells only what is wrong with a value."""

    @staticmethod
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        refusal = best_match(Draft7Validator(source_spec.connectionSpecification).iter_errors(config))
        if refusal is None:
            return
        option, said = ".".join(map(str, refusal.absolute_path)), refusal.message
        if refusal.validator == "pattern":
            said = f"expected {refusal.schema['pattern_descriptor']}, got {refusal.instance!r}"
        message = filter_secrets(f"Config validation error: {f'{option}: ' if option else ''}{said}")
        raise AirbyteTracedException(
            message=message, internal_message=message, failure_type=FailureType.config_error
        ) from None


def run(args: list[str]) -> None:
    """Hands over to the CDK; an error on the way there ends in a TRACE message too."""
    init_uncaught_exception_handler(logging.getLogger("airbyte"))
    source, args = prepare(args)
    entrypoint = Entrypoint(source)
    with PRINT_BUFFER:
        for message in entrypoint.run(entrypoint.parse_args(args)):
            print(f"{message}\n", end="")  # noqa: T201 - one write a message: several threads print


def prepare(args: list[str]) -> tuple[SourceMoovitamix, list[str]]:
    """The source with the contents of the files named by `args`, and `args` as the CDK wants them."""
    if args[:1] == ["read"] and not any(arg.split("=")[0] == "--catalog" for arg in args):
        args = [*args, "--catalog", EVERY_STREAM]
    parsed = AirbyteEntrypoint.parse_args(args)
    if parsed.command is None:
        print("usage: main.py spec | check | discover | read [--help]", file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    config_path, catalog_path = getattr(parsed, "config", None), getattr(parsed, "catalog", None)
    state_path = getattr(parsed, "state", None)

    config = _read("--config", config_path, "an object", YamlDeclarativeSource.read_config)
    if catalog_path == EVERY_STREAM:
        catalog: ConfiguredAirbyteCatalog | None = every_stream()
    else:
        catalog = _read("--catalog", catalog_path, "a configured catalog", YamlDeclarativeSource.read_catalog)
    state = _read("--state", state_path, "a list of states", YamlDeclarativeSource.read_state)
    if catalog and state:
        state = without_full_refresh(state, catalog)
    return SourceMoovitamix(config, catalog, state, config_path), args


def every_stream() -> ConfiguredAirbyteCatalog:
    """All streams: incremental where the stream can, full refresh elsewhere."""
    streams = SourceMoovitamix().discover(logging.getLogger("airbyte"), {}).streams
    configured = []
    for stream in streams:
        incremental = SyncMode.incremental in stream.supported_sync_modes
        configured.append(
            ConfiguredAirbyteStream(
                stream=stream,
                sync_mode=SyncMode.incremental if incremental else SyncMode.full_refresh,
                destination_sync_mode=DestinationSyncMode.append_dedup
                if incremental
                else DestinationSyncMode.overwrite,
                cursor_field=stream.default_cursor_field,
                primary_key=stream.source_defined_primary_key,
            )
        )
    return ConfiguredAirbyteCatalog(streams=configured)


def without_full_refresh(
    state: list[AirbyteStateMessage], catalog: ConfiguredAirbyteCatalog
) -> list[AirbyteStateMessage]:
    """The states of the streams read incrementally: the CDK would apply a state to a full refresh too."""
    full = {stream.stream.name for stream in catalog.streams if stream.sync_mode == SyncMode.full_refresh}
    return [message for message in state if not message.stream or message.stream.stream_descriptor.name not in full]


def _read(flag: str, path: str | None, expected: str, reader: Callable[[str], Read]) -> Read | None:
    if path is None:
        return None
    try:
        return reader(path)
    except Exception as error:
        raise AirbyteTracedException(
            message=f"{flag} {path}: expected a JSON file with {expected}, got {type(error).__name__}: {error}",
            failure_type=FailureType.config_error,
        ) from error


def main() -> None:
    """Ends at once after an error: threads that wait for a retry must not keep a failed read alive."""
    gc.freeze()  # what the imports made lives on: to look through it again and again is a tenth of a sync's time
    logging.raiseExceptions = False  # a log line for a closed pipe would print a traceback
    try:
        run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(1)  # nobody reads stdout any more, so nothing can be told
    except Exception:
        try:
            sys.excepthook(*sys.exc_info())
            logging.shutdown()
            sys.stdout.flush()
        except OSError as error:
            os.write(2, f"main.py: expected to write to stdout, got {error}; what was read is lost\n".encode())
        finally:
            os._exit(1)


if __name__ == "__main__":
    main()
