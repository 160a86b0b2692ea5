# ruff: noqa: INP001 a file to run, in a folder that is no package
"""The compose stack's one-shot service `ingest`: sample rows for each data set of which Druid has never heard.

What Druid has already stays as it is, however often the stack comes up. It runs in the gateway's image, beside the
command line; docker-compose.yml mounts /ingestion-specs, and names the coordinator in DRUID_COORDINATOR_URL.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

SPECS = Path("/ingestion-specs")


def main() -> None:
    """Fill what is missing; a failure ends with the failed command's exit code, and its words stand above."""
    known = data_sources()
    for generator in sorted(SPECS.glob("samples/*_sessions.py")):
        name = generator.stem
        if name in known:
            print(f"{name}: Druid has it already", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / f"{name}.jsonl.gz"
            run(sys.executable, generator, "--out", rows)
            run("gateway", "ingest", SPECS / f"{name}.json", "--data", rows)


def data_sources() -> set[str]:
    """From the metadata store itself: right after a start nobody serves yet what Druid has."""
    url = f"{os.environ['DRUID_COORDINATOR_URL']}/druid/coordinator/v1/metadata/datasources?includeUnused"
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 the stack's own coordinator
        return set(json.load(response))


def run(*command: str | Path) -> None:
    """Run the command with its output among this program's own."""
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
