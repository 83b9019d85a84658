"""The tables and what each reads, taken from the models' own signatures."""

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

from moovitamix_transform.staging.fields import Field
from moovitamix_transform.staging.latest import Hold, as_planned

if TYPE_CHECKING:
    # Imported with the first model: dataframely takes half a second, which `land` and `state` must not wait for.
    from moovitamix_transform.contracts import Contract, Judge

STAGING = (
    "base_tracks",
    "base_users",
    "base_listen_history",
    "stg_tracks",
    "stg_users",
    "stg_listen_history",
    "quarantine",
)
MARTS = (
    "dim_tracks",
    "dim_users",
    "dim_tracks_history",
    "dim_users_history",
    "fct_listens",
    "user_track_interactions",
    "track_popularity",
    "user_profiles",
)
SOURCES = ("tracks", "users", "listen_history", "_lines", "generations")


@dataclass(frozen=True)
class Model:
    """One table: the function that makes it, the tables it reads, and the promise it keeps.

    Attributes:
        is_row_local: each row depends on one input row alone, so that new input rows only add rows.
        local_by: the rows with one value of these columns depend only on the inputs' rows with that value; empty when
            a row may depend on all of them.
        lookups: inputs that only lend columns to rows of the others; their own news touches nothing. By name, the
            input's column and the column of the others that is looked up in it.
        holds: it takes a `hold`, by which an engine computes some of its rows before the others.
        gathers: it gathers the rows of each value of `local_by` in memory, so that a large table is made a part of the
            values at a time.
        concerns: of the judged records it reads, those it makes rows of; None when that is all of them.
    """

    name: str
    layer: str
    reads: tuple[str, ...]
    function: Callable[..., Any]
    contract: "type[Contract]"
    fingerprint: str
    is_row_local: bool = False
    local_by: tuple[str, ...] = ()
    lookups: dict[str, tuple[str, str]] = field(default_factory=dict)
    holds: bool = False
    gathers: bool = False
    concerns: nw.Expr | None = None

    @property
    def path(self) -> str:
        return f"{self.layer}/{self.name}"

    @property
    def grain(self) -> str:
        """The first sentence of the contract's docstring."""
        return " ".join((self.contract.__doc__ or "").split("\n\n")[0].split())

    def frame(self, inputs: dict[str, pl.LazyFrame], hold: Hold = as_planned) -> pl.LazyFrame:
        """The table as a plan over its inputs. Base tables are native Polars, the others Narwhals.

        Args:
            hold: see `staging.latest.latest`; only some models ask for it.
        """
        given: dict[str, Any] = {name: inputs[name] for name in self.reads}
        if self.is_native:
            return _polars(self.function(**given))
        given = {name: nw.from_native(frame) for name, frame in given.items()}
        return _polars(nw.to_native(self.function(**given, **({"hold": hold} if self.holds else {}))))

    def require(self, rows: pl.LazyFrame) -> None:
        """ContractBroken unless every row keeps the contract."""
        import_module("moovitamix_transform.contracts").require(self.name, rows, self.contract)

    def judge(self) -> "Judge":
        """Who holds the table's rows against the contract as they pass."""
        judge: Judge = import_module("moovitamix_transform.contracts").Judge(self.name, self.contract)
        return judge

    @property
    def is_native(self) -> bool:
        return inspect.signature(self.function).return_annotation is pl.LazyFrame


@cache
def models() -> dict[str, Model]:
    """Every model by name, in the order above, each after the tables it reads."""
    return {name: _model(layer, name) for layer, names in _layers().items() for name in names}


@cache
def fields_of(stream: str) -> tuple[Field, ...]:
    """What the stream's base table reads of its records."""
    return tuple(import_module(f"moovitamix_transform.staging.base_{stream}").FIELDS)


def fields_read(stream: str) -> tuple[str, ...]:
    """The names of the fields of a stream's records that its base table reads."""
    return tuple(field.name for field in fields_of(stream))


def _layers() -> dict[str, tuple[str, ...]]:
    return {"staging": STAGING, "marts": MARTS}


def _model(layer: str, name: str) -> Model:
    module = import_module(f"moovitamix_transform.{layer}.{name}")
    function = getattr(module, name)
    parameters = inspect.signature(function).parameters
    contract = getattr(module, "".join(part.capitalize() for part in name.split("_")))
    return Model(
        name=name,
        layer=layer,
        reads=tuple(name for name in parameters if name != "hold"),
        function=function,
        contract=contract,
        fingerprint=_fingerprint(module),
        is_row_local=getattr(module, "IS_ROW_LOCAL", False),
        local_by=getattr(module, "LOCAL_BY", ()),
        lookups=getattr(module, "LOOKUPS", {}),
        holds="hold" in parameters,
        gathers=getattr(module, "GATHERS", False),
        concerns=getattr(module, "CONCERNS", None),
    )


@cache
def package_fingerprint() -> str:
    """Changes when anything in this package does; the connector, which a wheel carries in it, is no part of it."""
    package = Path(__file__).parent
    files = sorted(file for file in package.rglob("*.py") if "source-moovitamix" not in file.relative_to(package).parts)
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _fingerprint(module: ModuleType) -> str:
    """Changes when the model, its contract or what both share does."""
    shared = [import_module(f"moovitamix_transform.{name}") for name in SHARED]
    texts = [Path(str(each.__file__)).read_bytes() for each in (module, *shared)]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


SHARED = (
    "contracts",
    "staging.decoding",
    "staging.fields",
    "staging.json_fields",
    "staging.latest",
    "staging.layouts",
    "staging.odd_rules",
    "staging.readings",
    "marts.deletions",
    "marts.history",
    "marts.pairs",
)


def _polars(frame: Any) -> pl.LazyFrame:  # noqa: ANN401 - what Narwhals hands back
    if not isinstance(frame, pl.LazyFrame):
        raise TypeError(f"expected a polars LazyFrame, got {type(frame).__name__}")
    return frame
