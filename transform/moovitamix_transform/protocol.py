"""The Airbyte protocol's messages, as far as landing needs them; their other fields are read past."""

import msgspec


class Record(msgspec.Struct, gc=False):
    stream: str
    data: msgspec.Raw
    emitted_at: int


class RecordMessage(msgspec.Struct, tag_field="type", tag="RECORD", gc=False):
    record: Record


class StreamDescriptor(msgspec.Struct):
    name: str


class StreamState(msgspec.Struct):
    stream_descriptor: StreamDescriptor


class StateStats(msgspec.Struct, rename="camel"):
    record_count: float | None = None


class State(msgspec.Struct):
    """`type` is absent in the oldest form of a state, which is LEGACY."""

    type: str = "LEGACY"
    stream: msgspec.Raw = msgspec.Raw(b"null")
    source_stats: StateStats | None = msgspec.field(default=None, name="sourceStats")


class StateMessage(msgspec.Struct, tag_field="type", tag="STATE"):
    state: State


class Log(msgspec.Struct):
    message: str
    level: str = "INFO"


class LogMessage(msgspec.Struct, tag_field="type", tag="LOG"):
    log: Log


class TraceError(msgspec.Struct):
    message: str
    failure_type: str | None = None
    stream_descriptor: StreamDescriptor | None = None


class StreamStatus(msgspec.Struct):
    stream_descriptor: StreamDescriptor
    status: str


class Estimate(msgspec.Struct):
    name: str
    row_estimate: int | None = None


class Trace(msgspec.Struct):
    type: str
    emitted_at: float | None = None
    error: TraceError | None = None
    stream_status: StreamStatus | None = None
    estimate: Estimate | None = None


class TraceMessage(msgspec.Struct, tag_field="type", tag="TRACE"):
    trace: Trace


class ControlMessage(msgspec.Struct, tag_field="type", tag="CONTROL"):
    pass


class SpecMessage(msgspec.Struct, tag_field="type", tag="SPEC"):
    pass


class CatalogMessage(msgspec.Struct, tag_field="type", tag="CATALOG"):
    pass


class ConnectionStatusMessage(msgspec.Struct, tag_field="type", tag="CONNECTION_STATUS"):
    pass


# The last four are read to their end and have no consequence.
Message = (
    RecordMessage
    | StateMessage
    | LogMessage
    | TraceMessage
    | ControlMessage
    | SpecMessage
    | CatalogMessage
    | ConnectionStatusMessage
)
