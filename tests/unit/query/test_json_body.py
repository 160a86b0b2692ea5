import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidJson
from gateway.query.json_body import DEEPEST, read_json

_DEEP = 10_000


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"", "Line 1, column 1: Expecting value."),
        (b"   ", "Line 1, column 4: Expecting value."),
        (b'{"a": 1', "Line 1, column 8: Expecting ',' delimiter."),
        (b'{"a": 1}]', "Line 1, column 9: Extra data."),
        (b"{'a': 1}", "Line 1, column 2: Expecting property name enclosed in double quotes."),
        (b'{"a": 1, "b": 2, "a": 3}', 'The key "a" occurs twice in one object.'),
        (b'{"a": {"": 1, "": 2}}', 'The key "" occurs twice in one object.'),
        (b'{"a": 1, "\\u0061": 2}', 'The key "a" occurs twice in one object.'),
        (b'{"a": NaN}', "NaN is not a JSON number."),
        (b'{"a": Infinity}', "Infinity is not a JSON number."),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number."),
        (b'{"a": 1e999}', "A number is too large."),
        (b'{"a": -1e999}', "A number is too large."),
        (b'{"a": 1' + b"0" * 400 + b"}", "A number is too large."),
        (b'{"a": -1' + b"0" * 4000 + b"}", "A number is too large."),
        (b'{"a": "\xff"}', "The body is not UTF-8 text."),
        (b'{"a": "\xed\xa0\x80"}', "The body is not UTF-8 text."),
        (b'{"a": "\\ud800"}', "The body is not UTF-8 text."),
        (b'{"a": "\\uDFFF x"}', "The body is not UTF-8 text."),
        (b'{"\\udc00\\ud800": 1}', "The body is not UTF-8 text."),
        (b"\xef\xbb\xbf{}", "The body starts with a byte order mark (BOM). Send UTF-8 without it."),
        ('{"a": 1}'.encode("utf-16"), "The body is UTF-16 text. Send UTF-8."),
        ("\ufeff{}".encode("utf-16-be"), "The body is UTF-16 text. Send UTF-8."),
        (b'{"a": "\x00"}', "Line 1, column 8: Invalid control character at."),
        (b'{"a": "\\u0000"}', "A string contains the character NUL."),
        (b'{"a": "\\\\\\u0000"}', "A string contains the character NUL."),
        (b'{"\\u0000": 1}', "A string contains the character NUL."),
        (b"[" * _DEEP, f"The body nests arrays and objects more than {DEEPEST} deep."),
        (b"[" * _DEEP + b"]" * _DEEP, f"The body nests arrays and objects more than {DEEPEST} deep."),
        (b'{"a":' * _DEEP + b"1" + b"}" * _DEEP, f"The body nests arrays and objects more than {DEEPEST} deep."),
        (b"[" * 41 + b"]" * 41, f"The body nests arrays and objects more than {DEEPEST} deep."),
        (b'[{"a":' * 21 + b"1" + b"}]" * 21, f"The body nests arrays and objects more than {DEEPEST} deep."),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else "",
)
def test_an_ambiguous_or_invalid_body_is_rejected(raw: bytes, detail: str) -> None:
    with pytest.raises(InvalidJson) as caught:
        read_json(raw)
    assert caught.value.detail == detail


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b" 5 ", 5),
        (b"null", None),
        (b"-0.5e-3", -0.0005),
        (b'"\\ud83d\\ude00"', "😀"),
        # A backslash and a text, no NUL.
        (b'"\\\\u0000"', r"\u0000"),
        (b'{"a": "\\\\ud800"}', {"a": r"\ud800"}),
        (b"[" * 40 + b"]" * 40, json.loads("[" * 40 + "]" * 40)),
        (b"[" + b",".join([b"[]"] * 100) + b"]", [[]] * 100),
    ],
)
def test_an_unambiguous_body_is_read(raw: bytes, body: object) -> None:
    assert read_json(raw) == body


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_VALUES, st.booleans())
def test_json_round_trips_with_and_without_escapes(value: object, ascii_only: bool) -> None:  # noqa: FBT001
    assert read_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=60) | st.text('[]{}:,"\\u0d8e1+-. \nNaInfty', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_rejected(raw: bytes) -> None:
    with suppress(InvalidJson):
        read_json(raw)
