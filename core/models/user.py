"""A customer, and what makes two spellings of one person the same user."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.errors import InvalidEmailError, InvalidPhoneError

NAMESPACE = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
_EMAIL = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)
_PHONE_SEPARATORS = re.compile(r"[\s.\-()]")


class HostProvider(StrEnum):
    """Who hosts a site."""

    AWS = "aws"
    AZURE = "azure"
    LOCAL = "local"


class SiteType(StrEnum):
    """Files, or a program that answers requests."""

    STATIC = "static"
    DYNAMIC = "dynamic"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A customer. `email` and `phone` are in their normal form."""

    user_id: str
    email: str
    phone: str
    name: str | None
    created_at: datetime
    host_provider: HostProvider
    site_type: SiteType


def normalize_email(text: str) -> str:
    """Trimmed and lower case.

    Raises:
        InvalidEmailError: It is not `name@domain.tld` in plain ASCII of at most 254 characters.
    """
    email = text.strip().lower()
    if len(email) > 254 or len(email.partition("@")[0]) > 64 or not _EMAIL.fullmatch(email):
        raise InvalidEmailError(
            f"{text[:80]!r} is not an e-mail address.",
            remedy="Give it as name@domain.tld, for example ana@acme.io.",
        )
    return email


def normalize_phone(text: str) -> str:
    """Without spaces, dots, dashes and parentheses: an optional leading + and 7 to 15 digits.

    Raises:
        InvalidPhoneError: Anything else is in it, or the count of digits is wrong.
    """
    phone = _PHONE_SEPARATORS.sub("", text)
    digits = phone.removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        reason = f"{text[:40]!r} is not a phone number: only digits and a leading + may be left"
    elif not 7 <= len(digits) <= 15:
        size = "short" if len(digits) < 7 else "long"
        reason = f"{text[:40]!r} is too {size}: 7 to 15 digits needed, {len(digits)} given"
    else:
        return phone
    raise InvalidPhoneError(f"{reason}.", remedy="Give it like +48 600 100 200.")


def make_user_id(email: str, phone: str) -> str:
    """The GUID of a normalised e-mail and phone (RFC 9562 version 5)."""
    return str(uuid.uuid5(NAMESPACE, f"{email}|{phone}"))
