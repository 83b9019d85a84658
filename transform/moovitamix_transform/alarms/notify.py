"""Messages through apprise's channels. A channel's URL holds passwords: what is said of it is its number and scheme."""

import logging
from collections.abc import Sequence

EXTRA = "moovitamix[alarms]"


def send(channels: Sequence[str], title: str, body: str, *, is_recovery: bool) -> tuple[int, list[str]]:
    """How many channels took the message; and why the others did not."""
    try:
        import apprise
    except ImportError:
        return 0, [f"expected the package apprise, which sends to the channels, found none: pip install '{EXTRA}'"]
    # It logs each failure itself, with hosts and answers in it, and would reach the terminal as a last resort.
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    logging.getLogger("apprise").propagate = False
    kind = apprise.NotifyType.SUCCESS if is_recovery else apprise.NotifyType.FAILURE
    taken, failures = 0, []
    for number, url in enumerate(channels, 1):
        name = f"channel {number} ({url.partition(':')[0] if '://' in url else 'no URL'})"
        try:
            channel = apprise.Apprise()
            if not channel.add(url):
                failures.append(f"{name}: expected a URL of a service that apprise knows; it does not know this one")
            elif channel.notify(body=body, title=title, notify_type=kind):
                taken += 1
            else:
                failures.append(f"{name}: expected it to take the message, it did not")
        except Exception as error:  # a service's plug-in may raise whatever it likes: none of it is the run's failure
            failures.append(f"{name}: expected it to take the message, got {type(error).__name__}")
    return taken, failures
