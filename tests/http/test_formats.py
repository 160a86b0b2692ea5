"""The response formats and the compression of responses."""

import csv
import gzip
import io
import json
from collections.abc import Mapping

import aiohttp
import pyarrow as pa
import pytest
from backports import zstd

from gateway.web.encoders import FORMATS
from tests.http.asking import COUNT, Client, ask, assert_problem
from tests.http.stand_in import StandIn, respond, row
from tests.serving import D

# Without a filter on the scope, every answer has a warning.
SCOPE = {"filters": {"type": "selector", "dimension": "scope", "value": "user"}}
BY_USER = COUNT | SCOPE | {"group_by": ["user_id"], "interval": {**COUNT["interval"], "end": "2019-01-31T23:59:59.999"}}
USERS = ["", None, 'say "=1+1", he\r\nsaid', "=1+1", "Ünïcode", "-1"]
ROWS = [[user, number] for number, user in enumerate(USERS)]
START = "2019-01-01T00:00:00.000+02:00"


@pytest.fixture(autouse=True)
def _grouped(druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = respond(ROWS)


async def test_csv_distinguishes_null_from_an_empty_string(client: Client) -> None:
    answer = await ask(client, BY_USER, {"Accept": "text/csv"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == 'attachment; filename="chat_sessions_2019-01-01_2019-01-31.csv"'
    assert "omitted-members" not in answer.headers
    lines = answer.body.decode().split(f"\r\n{START},")
    assert lines[:3] == ["start_time,user_id,count", '"",0', ",1"]
    names, *rows = csv.reader(io.StringIO(answer.body.decode(), newline=""))
    assert names == ["start_time", "user_id", "count"]
    assert rows == [[START, user or "", str(number)] for user, number in ROWS]


async def test_a_spreadsheet_evaluates_no_cell_as_a_formula(client: Client) -> None:
    answer = await client.send(
        "POST",
        f"{client.gateway.path()}?format=spreadsheet",
        headers={"Authorization": f"Token {client.gateway.tokens[D]}"},
        data=json.dumps(BY_USER),
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    _, *rows = csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline=""))
    assert [user for _, user, _ in rows] == ["", "", USERS[2], "'=1+1", "Ünïcode", "'-1"]


async def test_ndjson_has_one_object_per_row(client: Client) -> None:
    answer = await ask(client, BY_USER, {"Accept": "application/x-ndjson"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.body.splitlines()] == [
        {"start_time": START, "user_id": user, "count": number} for user, number in ROWS
    ]


async def test_arrow_columns_have_types_and_a_time_zone(client: Client) -> None:
    answer = await ask(client, BY_USER, {"Accept": "application/vnd.apache.arrow.stream"})
    table = pa.ipc.open_stream(answer.body).read_all()
    table.validate(full=True)
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("start_time", "timestamp[ms, tz=Europe/Helsinki]"),
        ("user_id", "string"),
        ("count", "int64"),
    ]
    rows = table.to_pylist()
    assert [(each["user_id"], each["count"]) for each in rows] == [tuple(each) for each in ROWS]
    assert {each["start_time"].isoformat(timespec="milliseconds") for each in rows} == {START}


@pytest.mark.parametrize("name", FORMATS)
async def test_no_rows_are_a_valid_answer_in_every_format(client: Client, druid_stand_in: StandIn, name: str) -> None:
    druid_stand_in.answer = respond([])
    answer = await ask(client, BY_USER, {"Accept": f"{FORMATS[name].media_type}, */*;q=0.1"})
    assert answer.status == 200
    if name == "arrow":
        assert pa.ipc.open_stream(answer.body).read_all().num_rows == 0


async def test_a_header_names_the_members_that_rows_do_not_have(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = respond(row(count=7))
    for media_type in ("text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"):
        answer = await ask(client, COUNT | SCOPE | {"totals": True}, {"Accept": media_type})
        assert answer.headers["omitted-members"] == "totals"
    answer = await ask(client, COUNT | SCOPE | {"totals": True})
    assert answer.json["totals"] == [START, 7]
    assert "omitted-members" not in answer.headers


async def test_a_format_that_the_gateway_lacks_is_406_with_the_formats(client: Client, druid_stand_in: StandIn) -> None:
    answer = await ask(client, COUNT, {"Accept": "application/xml, text/html"})
    assert_problem(answer, 406, "not_acceptable")
    for form in FORMATS.values():
        assert form.media_type in answer.json["detail"]
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert druid_stand_in.queries == []


_FORMATS = "must be one of json, csv, ndjson, arrow, spreadsheet"


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ("format=xml", [("/format", _FORMATS)]),
        ("format=", [("/format", _FORMATS)]),
        ("format=csv&format=json", [("/format", "is given more than once")]),
        ("explain=1&formats=csv", [
            ("/formats", 'unknown parameter (did you mean "format"?); allowed: explain, format'),
            ("/explain", "must be one of true, false"),
        ]),
        ("a/b=1", [("/a~1b", "unknown parameter; allowed: explain, format")]),
    ],
)  # fmt: skip
async def test_each_wrong_query_parameter_is_named(client: Client, query: str, problems: list[tuple[str, str]]) -> None:
    answer = await client.send(
        "POST",
        f"{client.gateway.path()}?{query}",
        headers={"Authorization": f"Token {client.gateway.tokens[D]}"},
        data=json.dumps(COUNT),
    )
    assert_problem(answer, 400, "invalid_report")
    assert [(each["pointer"], each["message"]) for each in answer.json["errors"]] == problems


async def test_errors_are_problems_in_every_format(client: Client) -> None:
    for form in FORMATS.values():
        assert_problem(await ask(client, {}, {"Accept": form.media_type}), 400, "invalid_report")


MANY = [[f"user {number}", number] for number in range(2_000)]


async def raw(client: Client, headers: Mapping[str, str]) -> tuple[Mapping[str, str], bytes]:
    """Return the headers and the body of a large response, not decompressed."""
    headers = {"Authorization": f"Token {client.gateway.tokens[D]}", **headers}
    async with (
        aiohttp.ClientSession(
            client.gateway.url, auto_decompress=False, skip_auto_headers=["Accept-Encoding"]
        ) as session,
        session.post(client.gateway.path(), headers=headers, data=json.dumps(BY_USER)) as response,
    ):
        assert response.status == 200
        return response.headers, await response.read()


async def test_a_large_response_is_compressed_as_the_caller_accepts(client: Client, druid_stand_in: StandIn) -> None:
    druid_stand_in.answer = respond(MANY)
    headers, plain = await raw(client, {})
    assert "Content-Encoding" not in headers
    assert headers["Vary"] == "Accept, Accept-Encoding"
    for coding, decompress in (("gzip", gzip.decompress), ("zstd", zstd.decompress)):
        headers, body = await raw(client, {"Accept-Encoding": coding})
        assert headers["Content-Encoding"] == coding
        assert len(body) < len(plain) / 3
        assert decompress(body) == plain


async def test_a_small_response_is_not_compressed(client: Client) -> None:
    headers, body = await raw(client, {"Accept-Encoding": "gzip, zstd"})
    assert "Content-Encoding" not in headers
    assert json.loads(body)["data"]
