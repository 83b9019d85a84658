"""E-mail addresses and URLs' users out of logs and messages."""

import time

import pytest
from moovitamix_transform.masking import mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("no address", "no address"),
        ("jane@example.org", "j***@example.org"),
        ("<Jane.Doe+tag@mail.example.org>, bob_1@x.org.", "<J***@mail.example.org>, b***@x.org."),
        ("email='élise@exämple.org'", "email='é***@exämple.org'"),
        ("?email=jane%40example.org&page=2", "?email=j***%40example.org&page=2"),
        (".hidden@example.org", ".***@example.org"),
        ("a@b", "a***@b"),
        ("GET https://ada:pa55@example.org/x?to=bob@x.org", "GET https://****@example.org/x?to=b***@x.org"),
        ("meet @ noon, 3 @ 4, @handle", "meet @ noon, 3 @ 4, @handle"),
        ("x" * 100 + "@example.org", "x***@example.org"),
    ],
)
def test_an_address_is_cut_to_its_first_letter_and_its_domain_and_a_url_has_no_user(text: str, masked: str):
    assert mask(text) == masked
    assert mask(masked) == masked, "masking twice is masking once"


def test_a_long_text_costs_no_more_than_its_length():
    started = time.process_time()

    mask("a" * 1_000_000)

    assert time.process_time() - started < 1.0, "expected well under a second for 1 MB; squared, it is minutes"
