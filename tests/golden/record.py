"""Record golden cases: query a Druid with the sample data, and write its rows and the resulting answers."""

import argparse
import json
import sys
from contextlib import suppress
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from gateway.errors import GatewayError
from gateway.query.compile import DruidQuery
from gateway.query.literals import Json
from tests.golden.cases import CASES, DATASET, GIVEN, Case, as_text, rows_file

_HELP = """\
For each case: compile its request, send the query to Druid's broker, and write the rows, the query and the answer into
the case's folder. Rows written by hand (see case.json) stay; their query and answer are written again.

Then review every changed line of `git diff tests/golden`: a recorded answer is not right until it has been reviewed.

The broker must serve the sample data of 20,000 sessions, 12 organizations and seed 1, as `make run` ingests it
(ingestion-specs/samples/README.md).
A new case is a new folder with a request.json; tests/golden/cases.py describes the optional files.

Example:
  python -m tests.golden.record --druid http://127.0.0.1:8082 documented_example filter_in
"""


def ask(druid: str, native: Json) -> object:
    """Return the rows of the query from the broker at `druid`."""
    headers = {"Content-Type": "application/json"}
    request = Request(f"{druid.rstrip('/')}/druid/v2", json.dumps(native).encode(), headers)
    with urlopen(request, timeout=60) as response:
        rows: object = json.load(response)
    return rows


def record(case: Case, druid: str, data_source: str) -> None:
    """Write the case's files again, and remove those that its request no longer produces."""
    if not case.by_hand:

        def asked(name: str, query: DruidQuery) -> object:
            rows = ask(druid, query.native | {"dataSource": data_source})
            (case.folder / rows_file(name)).write_text(as_text(rows))
            return rows

        with suppress(GatewayError):
            case.steps(case.plan(), asked)
    outcome = case.outcome()
    for path in case.folder.iterdir():
        if path.name not in GIVEN | outcome.keys():
            path.unlink()
    for name, text in outcome.items():
        (case.folder / name).write_text(text)


def main() -> int:
    """Record the cases named on the command line, or all cases."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden.record",
        description=__doc__,
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--druid", default="http://127.0.0.1:8082", metavar="URL", help="the broker (%(default)s)")
    parser.add_argument("--data-source", default=DATASET.data_source, metavar="NAME", help="(%(default)s)")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names of folders (default: all)")
    arguments = parser.parse_args()
    known = {case.folder.name: case for case in CASES}
    if unknown := set(arguments.cases) - known.keys():
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    for name in arguments.cases or known:
        try:
            record(known[name], arguments.druid, arguments.data_source)
        except HTTPError as error:
            print(f"{name}: Druid answered {error.code}: {error.read().decode(errors='replace')}", file=sys.stderr)
            return 1
        except URLError as error:
            print(f"{name}: no Druid at {arguments.druid}: {error.reason}", file=sys.stderr)
            return 1
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
