"""What the parser refuses in a command line, in the words of the other messages: where, expected, got."""

from typing import Any

from moovitamix_transform.cli.invocation import NAME

_KINDS = {"int_parsing": "an integer", "int_type": "an integer", "float_parsing": "a number"}


def message(error: Any) -> str:  # noqa: ANN401 - typer bundles its own click, whose errors it does not export
    """One line of an error of click's: an unknown option, a value that is missing or cannot be read."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else NAME
    param = getattr(error, "param", None)
    if param is None:
        return f"{error.format_message()} (see `{path} --help`)"
    name = max(param.opts, key=len) if param.param_type_name == "option" else param.metavar or param.name
    return f"{path.removeprefix(NAME).strip()} {name}: {_expected(error)}"


def _expected(error: Any) -> str:  # noqa: ANN401
    details = getattr(error.__cause__, "errors", None)  # pydantic's, by which typer reads values
    if details is None:
        return error.message or "expected a value, got none"
    first = details()[0]
    choices = first["msg"].partition(" is not one of ")[2]
    if choices:
        kind = f"one of {choices.rstrip('.').replace(chr(39), '')}"
    elif first["type"] == "greater_than_equal":
        kind = f"{first['ctx']['ge']} or more"
    else:
        kind = _KINDS.get(first["type"], f"another value ({first['msg']})")
    return f"expected {kind}, got {first['input']!r}"
