"""Personal data out of logs and messages."""

import re

_EMAIL = re.compile(r"([A-Za-z0-9])[A-Za-z0-9._%+-]*@([A-Za-z0-9.-]+)")


def mask(text: str) -> str:
    """The text with each e-mail address cut to its first letter and its domain: `a***@example.org`."""
    return _EMAIL.sub(r"\1***@\2", text)
