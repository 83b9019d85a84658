"""Personal data and secrets out of logs and messages."""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

HIDDEN = "****"  # what stands in the place of a secret
_URL_USER = re.compile(r"(?<=://)([^/?#\s]+)@")
# The look behind starts it once a word: tried at every letter, a long text would cost its length squared.
_EMAIL = re.compile(r"(?<![\w.%+-])([\w.%+-])[\w.%+-]*(@|%40)(?=\w)")


def mask(text: str) -> str:
    """The text with each e-mail address cut to its first letter and its domain, `a***@example.org`, and with stars for
    each URL's user and password, `https://****@example.org`."""
    return _EMAIL.sub(r"\1***\2", _URL_USER.sub(f"{HIDDEN}@", text))


def url_users(text: str) -> Iterator[str]:
    """What stands before the @ of each URL in a text: whole, the user, the password; these two percent-decoded too."""
    for whole in _URL_USER.findall(text):
        user, _, password = whole.partition(":")
        yield from (whole, user, password, unquote(user), unquote(password))


def hide(text: str, secrets: Iterable[str]) -> str:
    """The text with each of the secrets, which a source may repeat, replaced by stars; also as Python and JSON write it
    between quotes."""
    for secret in secrets:
        for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], mask(secret)):
            text = text.replace(form, HIDDEN)
    return text
