"""What is secret in a config is in no message: what the recorded config hides, logs and messages hide too."""

import pytest
from moovitamix_transform.connector import secrets_of, source_of, without_secrets
from moovitamix_transform.errors import UsageError
from moovitamix_transform.masking import hide, mask


@pytest.mark.parametrize(
    ("config", "shown", "said", "told"),
    [
        pytest.param(
            {"credentials": {"pat": "ghp_abcdef"}},
            {"credentials": "****"},
            "401 for ghp_abcdef",
            "401 for ****",
            id="nested",
        ),
        pytest.param(
            {"tokens": ["abc123", ["def456"]]}, {"tokens": "****"}, "abc123, def456", "****, ****", id="items_of_a_list"
        ),
        pytest.param({"password": 12345678}, {"password": "****"}, "got 12345678", "got ****", id="a_number"),
        pytest.param(
            {"db": "postgres://ada:pa%40ss@db.example.org/x"},
            {"db": "postgres://****@db.example.org/x"},
            "postgres://ada:pa%40ss@db.example.org/x refused 'pa@ss' (pa%40ss)",
            "postgres://****@db.example.org/x refused '****' (****)",
            id="a_password_in_a_url",
        ),
        pytest.param(
            {"api": "https://t0ken-Q@example.org"},
            {"api": "https://****@example.org"},
            "t0ken-Q",
            "****",
            id="a_user_in_a_url",
        ),
        pytest.param(
            {"secret_url": "https://ada:pa55@example.org"},
            {"secret_url": "****"},
            "pa55",
            "****",
            id="a_url_that_is_secret",
        ),
        pytest.param(
            {"token_auth": True, "key_port": 5432, "secret": None, "passwords": ["", "abc"], "credentials": {}},
            {"token_auth": "****", "key_port": "****", "secret": "****", "passwords": "****", "credentials": "****"},
            "5432 rows; true, True, None, null, abc",
            "5432 rows; true, True, None, null, abc",
            id="what_is_too_common_to_hide_stays_readable",
        ),
    ],
)
def test_what_the_recorded_config_hides_no_message_shows(config: object, shown: object, said: str, told: str):
    assert without_secrets(config) == shown
    assert hide(mask(said), secrets_of(config)) == told


def test_a_source_command_that_cannot_be_split_is_not_quoted():
    with pytest.raises(UsageError) as refused:
        source_of(None, None, "curl --header 'token: t0ken-Q")

    assert str(refused.value) == "--source: expected a command line that a shell would take, got: No closing quotation"
