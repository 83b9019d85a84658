"""What can go wrong, as one tree.

MoovitamixError                 exit code 1, message without traceback
├── UsageError                  exit code 2: the command line or the config cannot be right
├── WarehouseError              the folder or bucket the tables live in
│   ├── NoWarehouse             nothing there yet
│   ├── NotAWarehouse           something else is there
│   ├── NewerLayout             written by a newer version of this package
│   ├── WarehouseInUse          another run, land or build writes to it now
│   ├── NoSuchTable             a table that is not built yet, or that a build does not have
│   │   └── UnknownTable        exit code 2: a name that is no table
│   ├── NoSuchBuild             no build of that number or day, or one whose rows are not kept any more
│   ├── NoSuchRun               no run of that id, or several that begin so
│   └── NoSuchUser              no record of a user to forget
├── ApiReset                    another universe of ids: nothing is built before a person accepts it
├── DriftFound                  the API's fields changed, and `--on-drift fail` was asked for
├── WrongOrigin                 a stream is fed by messages or by files, never by both
├── NoSuchFile                  `land --from` names what is not there
├── FileRefused                 a file that is none of Airbyte's, is cut off, or is not what it was when it was landed
├── EngineFailed                Spark is not there, or its cluster did not do what was asked of it
├── MissingExtra                a command needs packages that are an extra of this one
├── ReadFailed                  the source said so, ended badly, or its states cannot be trusted
├── ContractBroken              a table that does not keep its contract; its build is not published
└── LedgerMismatch              law 1: a record is unaccounted for

Each message says where, what was expected, what came, and what happened to the data.
"""

import re


class MoovitamixError(Exception):
    exit_code = 1


class UsageError(MoovitamixError):
    exit_code = 2


class WarehouseError(MoovitamixError):
    pass


class NoWarehouse(WarehouseError):
    pass


class NotAWarehouse(WarehouseError):
    pass


class NewerLayout(WarehouseError):
    pass


class WarehouseInUse(WarehouseError):
    pass


class NoSuchTable(WarehouseError):
    pass


class UnknownTable(NoSuchTable):
    exit_code = 2


class NoSuchBuild(WarehouseError):
    pass


class NoSuchRun(WarehouseError):
    pass


class NoSuchUser(WarehouseError):
    pass


class ApiReset(MoovitamixError):
    pass


class DriftFound(MoovitamixError):
    pass


class WrongOrigin(MoovitamixError):
    pass


class NoSuchFile(MoovitamixError):
    pass


class FileRefused(MoovitamixError):
    pass


class EngineFailed(MoovitamixError):
    pass


class MissingExtra(MoovitamixError):
    pass


class ReadFailed(MoovitamixError):
    """`is_transient`: the source says that it may go well when tried again, as Airbyte's transient_error."""

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class ContractBroken(MoovitamixError):
    pass


class LedgerMismatch(MoovitamixError):
    pass


_CHAIN = re.compile(r"(?:\x1b\[[0-9]*m|\s)*↳(?:\x1b\[[0-9]*m|\s)*")
_XML_HEAD = re.compile(r"<\?xml[^>]*>\s*")


def first_line(error: BaseException) -> str:
    """What a library's error says, without its details; of delta-rs' coloured chains of reasons, each on a line of its
    own, the whole chain."""
    text = _CHAIN.sub(": ", _XML_HEAD.sub("", str(error)))
    return next((line for line in text.splitlines() if line.strip()), type(error).__name__).strip().rstrip(".")
