"""The id of an organization, in the one form in which accounts, limits, logs and queries have it."""

import re
from functools import lru_cache
from typing import Final, NewType

OrganizationId = NewType("OrganizationId", str)
"""A text of 1 to 128 characters in canonical form: a UUID in lower case, anything else exactly as it is."""

LONGEST: Final = 128

# ASCII only: letters of other alphabets can look the same, and Unicode has several forms of one text.
_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@lru_cache(maxsize=4_096)
def parse_organization_id(text: str) -> OrganizationId:
    """Return the id that the text names; raises ValueError. Only UUIDs are equal in upper and lower case."""
    if not _FORM.fullmatch(text):
        raise ValueError(
            "not an organization's id such as b0a1d32b-e82c-11e4-b081-6c4008adf7e8, 1042 or acme: it has 1 to "
            f"{LONGEST} letters, digits and . _ ~ : - and begins with a letter or digit"
        )
    return OrganizationId(text.lower() if _UUID.fullmatch(text) else text)
