"""Which names tell of a secret (G37)."""

from __future__ import annotations

import pytest

from sessionstream.redaction import NAMES, Redaction, Redactor

NAMED = Redactor(Redaction()).names


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        *[(name, name) for name in NAMES],
        ("password", "password"),
        ("Password", "password"),
        ("PASSWORD", "password"),
        ("user_password", "password"),
        ("password2", "password"),
        ("access_token", "token"),
        ("accessToken", "token"),
        ("GITHUB_TOKEN", "token"),
        ("X-Amz-Security-Token", "token"),
        ("x-api-key", "api_key"),
        ("apiKey", "api_key"),
        ("APIKey", "api_key"),
        ("apikey", "api_key"),
        ("OPENAI_API_KEY", "api_key"),
        ("aws_secret_access_key", "access_key"),
        ("client_secret", "secret"),
        ("clientSecret", "secret"),
        ("Authorization", "authorization"),
        ("Proxy-Authorization", "authorization"),
        ("Set-Cookie", "cookie"),
        ("PGPASSWORD", "password"),
        ("dbpassword", "password"),
        ("clientsecret", "secret"),
        ("GoogleApikey", "api_key"),
    ],
)
def test_the_name_of_a_secret_is_known_in_every_spelling(name: str, rule: str) -> None:
    """By its last words, whatever stands between them."""
    assert NAMED.rule_for(name) == rule


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens",
        "maxTokens",
        "token_count",
        "tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "input_tokens",
        "tokenizer",
        "next_page_token",
        "nextSyncToken",
        "time_to_first_token",
        "time_per_output_token",
        "cost_per_token",
        "msPerToken",
        "eos_token",
        "pageToken",
        "NextToken",
        "password_reset_at",
        "secretary",
        "cookies_enabled",
        "key",
        "keyboard",
        "primary_key",
        "author",
        "authorization_code_flow",
        "compass",
        "bearer_of_news",
        "",
        "_",
        "2",
    ],
)
def test_other_names_are_passed_over(name: str) -> None:
    """Also those that have such a word elsewhere than at their end, and those of counts."""
    assert NAMED.rule_for(name) is None


def test_names_of_ones_own_replace_the_usual_ones() -> None:
    """In any alphabet."""
    names = Redactor(Redaction(names=["Kennwort", "пароль", "pin_code"], keep=["map_pin_code"])).names
    assert names.rule_for("mein-kennwort") == "Kennwort"
    assert names.rule_for("ПАРОЛЬ") == "пароль"
    assert names.rule_for("pinCode") == "pin_code"
    assert names.rule_for("mapPinCode") is None
    assert names.rule_for("password") is None


def test_what_is_no_text_is_no_harmless_name() -> None:
    """A key that JSON would change is left to who refuses it."""
    assert not NAMED.are_harmless([1])
    assert NAMED.are_harmless(["text", "max_tokens"])


def test_names_are_forgotten_before_they_are_too_many() -> None:
    """Data may have keys without end."""
    names = Redactor(Redaction()).names
    for number in range(25_000):
        assert names.are_harmless([f"k{number}"])
    assert len(names.harmless) <= 10_000
