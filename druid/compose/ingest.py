# ruff: noqa: INP001 - a program, in a folder that is not a package
"""The one-shot service `ingest` of the compose stack: sample rows for each data set that Druid does not know.

Existing data stays as it is, however often the stack starts. The program runs in the gateway's image, which has the
command line. docker-compose.yml mounts /ingestion-specs, and gives the coordinator's URL in DRUID_COORDINATOR_URL.
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
    """Ingest missing data sets. A failure ends with the exit code of the failed command, after its output."""
    known = data_sources()
    for generator in sorted(SPECS.glob("samples/*_sessions.py")):
        name = generator.stem
        if name in known:
            print(f"{name}: already exists in Druid", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / f"{name}.jsonl.gz"
            run(sys.executable, generator, "--out", rows)
            run("gateway", "ingest", SPECS / f"{name}.json", "--data", rows)


def data_sources() -> set[str]:
    """Read the metadata store, because right after a start no server announces its segments yet."""
    url = f"{os.environ['DRUID_COORDINATOR_URL']}/druid/coordinator/v1/metadata/datasources?includeUnused"
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - the stack's own coordinator
        return set(json.load(response))


def run(*command: str | Path) -> None:
    """Run the command with the output of this program."""
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
