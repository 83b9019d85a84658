"""An incident is opened once, ended once, and told of at least once, whatever is killed in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moovitamix_transform import runs
from moovitamix_transform.alarms import incidents, notify
from moovitamix_transform.alarms.settings import Settings
from moovitamix_transform.alarms.verdict import Verdict
from moovitamix_transform.alarms.watch import Watch
from moovitamix_transform.runs import Run
from moovitamix_transform.warehouse import Warehouse
from pydantic import SecretStr

# apprise looks for a module that Python 3.11 and 3.12 are about to lose, when its first channel is made.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

WRONG = Verdict("volume", "tracks", "warn", "500 records, expected 750 to 1,250 (median 1,000)")
RIGHT = Verdict("volume", "tracks", None, "1,000 records")
OTHER = Verdict("volume", "users", None, "1,000 records")


@pytest.fixture
def house(tmp_path: Path) -> Warehouse:
    house = Warehouse(str(tmp_path))
    with house.writing():
        return house


def untold(house: Warehouse) -> list[tuple[str, bool]]:
    return [(message.incident.run_id, message.is_recovery) for message in incidents.untold(house)]


def test_an_alarm_that_lasts_is_one_incident_and_ends_with_the_verdict_that_all_is_well(house: Warehouse):
    for run_id, verdict in (("a", WRONG), ("b", WRONG), ("c", RIGHT), ("d", RIGHT), ("e", WRONG)):
        incidents.move(house, run_id, [verdict, OTHER])

    found = incidents.every(house)

    assert [(each.incident_id, each.events) for each in found] == [
        ("a/volume/tracks", ("opened", "recovered")),
        ("e/volume/tracks", ("opened",)),
    ]


def test_what_was_not_judged_stays_open(house: Warehouse):
    incidents.move(house, "a", [WRONG])
    incidents.move(house, "b", [OTHER])

    assert [each.is_open for each in incidents.every(house)] == [True]


def test_of_two_who_find_the_same_at_once_one_opens_the_incident(house: Warehouse):
    incidents.move(house, "a", [WRONG])
    incidents.move(house, "b", [RIGHT])

    class Meanwhile(list[Verdict]):
        """Verdicts that another one commits too, once it was read which incidents are open."""

        def __iter__(self) -> Iterator[Verdict]:
            incidents.move(house, None, [WRONG])
            return super().__iter__()

    opened = incidents.move(house, "c", Meanwhile([WRONG]))

    assert opened == []
    assert [(each.run_id, each.is_open) for each in incidents.every(house)] == [("a", False), (None, True)]


def test_a_warehouse_without_an_alarm_has_no_such_table(house: Warehouse):
    incidents.move(house, "a", [RIGHT, OTHER])

    assert not house.exists(incidents.TABLE)


def test_a_run_killed_before_its_message_leaves_it_to_the_next(house: Warehouse):
    incidents.move(house, "killed", [WRONG])  # and no message

    first = untold(house)
    incidents.record_told(house, "next", incidents.untold(house))
    incidents.move(house, "next", [RIGHT])

    assert first == [("killed", False)]
    assert untold(house) == [("killed", True)]


def test_where_no_channel_is_named_the_runs_own_output_has_told(house: Warehouse, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MOOVITAMIX_NOTIFY", raising=False)
    incidents.move(house, "a", [WRONG])

    with Watch(house, Settings()).told(print):
        pass

    assert untold(house) == []


def test_a_channel_that_does_not_take_it_is_told_of_without_its_url_and_asked_again(house: Warehouse):
    incidents.move(house, "a", [WRONG])
    runs.record(house, Run("run", "a"))
    settings = Settings.model_validate({"notify": {"urls": [SecretStr("json://ada:pa55@127.0.0.1:9/hook")]}})
    notices: list[str] = []

    with Watch(house, settings).told(notices.append):
        pass

    assert notices == [
        "channel 1 (json): expected it to take the message, it did not",
        "1 messages were not taken by any channel; the next run sends them",
    ]
    assert untold(house) == [("a", False)]


def test_a_url_of_no_service_is_told_of_by_its_number():
    taken, failures = notify.send(["pigeon://ada:pa55@loft"], "title", "body", is_recovery=False)

    assert taken == 0
    assert failures == ["channel 1 (pigeon): expected a URL of a service that apprise knows; it does not know this one"]


def test_an_interrupted_run_tells_nothing(house: Warehouse):
    incidents.move(house, "a", [WRONG])

    with pytest.raises(KeyboardInterrupt), Watch(house, Settings()).told(print):
        raise KeyboardInterrupt

    assert untold(house) == [("a", False)]
