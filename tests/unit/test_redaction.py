"""What is masked, what must stay, and that a hostile text costs its length and no more."""

from __future__ import annotations

import time
from base64 import b64encode
from pathlib import Path

import pytest

from core.redaction import FEW_VALUES, MASK, Plain, Redactor, redacted_fields, secrets_of

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc=\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key sk-ant-api03-AbC_d-0123456789 refused", "AbC_d"),
        (f"id AKIAIOSFODNN7EXAMPLE, secret {AWS_SECRET}", "wJalr"),
        (f"AKIAIOSFODNN7EXAMPLE:{AWS_SECRET}", "wJalr"),
        ("id ASIAIOSFODNN7EXAMPLE is unknown", "ASIAIOSFODNN7EXAMPLE"),
        (f"aws_secret_access_key = {AWS_SECRET}", "wJalr"),
        (f'{{"SecretAccessKey": "{AWS_SECRET}"}}', "wJalr"),
        ("Authorization: Bearer abcdefghij1234", "abcdefghij1234"),
        ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("sent bearer a1b2c3d4e5f6", "a1b2c3d4e5f6"),
        (f"token {JWT} expired", "c2lnbmF0dXJl"),
        ("https://x.blob.core.windows.net/a?sp=r&sig=abcDEF123%2Bxyz456%3D", "abcDEF123"),
        ("DefaultEndpointsProtocol=https;AccountKey=QUJDREVGR0hJSktM==;", "QUJDREVGR0hJ"),
        ("Endpoint=sb://x/;SharedAccessKey=QUJDREVGR0hJSktM=", "QUJDREVGR0hJ"),
        (f"it said {PEM} and more", "MIIEpAIBAAKCAQEA"),
        ("cut: -----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA", "MIIEpAIBAAKCAQEA"),
        (repr({"key": PEM}), "MIIEpAIBAAKCAQEA"),
        ("postgresql://ana:s3cr3tpass@db.example/x", "s3cr3tpass"),
        ("proxy http://ana:p@ss@w0rd@10.0.0.1:3128 failed", "p@ss@w0rd"),
        ("x-api-key: 0123456789abcdef", "0123456789abcdef"),
        ("client_secret=Qz8~abcdefghijk&scope=x", "Qz8~abcdefghijk"),
        ('{\\"password\\": \\"correct-horse\\"}', "correct-horse"),
    ],
)
def test_the_usual_forms_of_secrets_are_masked(text: str, secret: str) -> None:
    masked = Redactor().text(text)
    assert secret not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa_sess_20260112_142233_r3",
        "release 4eba4a40cb30b1ab0ab5 commit 3ab5176c2f6f0a6f11aa7f3c9e015b1d5c7e9a43",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "AKIA is how such ids begin, and sk-ant- is how a key does",
        "https://d1111.cloudfront.net/a/b?x=1#y and ssh://git@github.com/a/b",
        "mail ana@example.org at http://localhost:8080/a:b@c",
        "input_tokens: 12345678, the key of the map is long-enough-word",
        "the bearer of good news",
        "the session_token is None and password: null",
        "tmux-builder session send sess_20260112_142233 'Go on.'",
        "us-east-1 arn:aws:iam::123456789012:role/tmux-builder-site",
        "API key is not valid (Invalid API key)",
    ],
)
def test_ids_hashes_addresses_and_words_stay(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_known_value_is_masked_however_it_is_written() -> None:
    redactor = Redactor()
    secret = 'odd "value"/with+signs\nand a second line of it'
    redactor.learn(secret)
    for text in (
        f"<{secret}>", repr(secret), b64encode(secret.encode()).decode(),
        "odd%20%22value%22%2Fwith%2Bsigns%0Aand%20a%20second%20line%20of%20it",
        "line 2: and a second line of it",
    ):  # fmt: skip
        masked = redactor.text(f"said {text}")
        assert "value" not in masked
        assert "second" not in masked


def test_a_short_value_is_not_looked_for() -> None:
    redactor = Redactor()
    redactor.learn("deploy", " seven77 ", "")
    assert redactor.text("the deploy of seven77") == "the deploy of seven77"


@pytest.mark.parametrize("count", [1, FEW_VALUES * 3])
def test_of_two_values_the_longer_one_is_masked_whole(count: int) -> None:
    redactor = Redactor()
    redactor.learn("secret-1", "secret-1-and-more", *(f"another-{n:06}" for n in range(count)))
    assert redactor.text("a secret-1-and-more b secret-1 c") == f"a {MASK} b {MASK} c"
    assert redactor.text("secret-1") == MASK


def test_an_environment_gives_its_secrets_by_name_and_by_address(tmp_path: Path) -> None:
    environ = {
        "ANTHROPIC_API_KEY": "secret-a", "GH_TOKEN": "secret-b", "AZURE_CLIENT_SECRET": "secret-c",
        "DB_PASSWORD": "secret-d", "AWS_SESSION_TOKEN": "secret-e", "AWS_ACCESS_KEY_ID": "secret-f",
        "HTTPS_PROXY": "http://ana:secret%2Fg@10.0.0.1", "DATABASE_URL": "postgresql://a:secret-h@d",
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName=n;AccountKey=secret-i;",
        "MY_SECRETS_X": "secret-j", "AWS_ODD": "secret-k",
        "AWS_REGION": "plain-a", "AWS_PROFILE": "plain-b", "PATH": "plain-c",
        "AWS_SHARED_CREDENTIALS_FILE": "plain-d", "SSH_KEY": str(tmp_path), "LANG": "plain-e",
        "AWS_ENDPOINT_URL_S3": "http://plain-f", "AZURE_TENANT_ID": "plain-g",
    }  # fmt: skip
    found = set(secrets_of(environ))
    assert {f"secret-{letter}" for letter in "abcdefhijk"} <= found
    assert "secret/g" in found
    assert not [one for one in found if "plain" in one or one == str(tmp_path)]


def test_of_a_document_only_the_words_for_people_are_masked() -> None:
    token = "sk-ant-api03-0123456789"
    document: dict[str, Plain] = {
        "url": token,
        "steps": [{"detail": f"a {token}", "id": token}],
        "error": [token],
    }
    assert redacted_fields(document, {"detail", "error"}) == {
        "url": token, "steps": [{"detail": f"a {MASK}", "id": token}], "error": [MASK],
    }  # fmt: skip


@pytest.mark.parametrize(
    "unit",
    [
        "-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaa.", "eyJ", "sk-ant-", "sig=", "Bearer ",
        "bearer " + "a" * 400, "://a:", "://", "://a:" + "b" * 1000, "AKIAABCDEFGHIJKLMNOP ",
        "password=", 'api_key="', "authorization: bearer ", "AccountKey=",
        "-----END PRIVATE KEY-----",
    ],
)  # fmt: skip
def test_twice_the_text_is_not_four_times_the_work(unit: str) -> None:
    redactor = Redactor()

    def cost_s(size: int) -> float:
        text = unit * (size // len(unit))
        best = []
        for _ in range(3):
            begun = time.process_time()
            redactor.text(text)
            best.append(time.process_time() - begun)
        return min(best)

    small, large = cost_s(100_000), cost_s(400_000)
    assert large < 10 * max(small, 0.002)
