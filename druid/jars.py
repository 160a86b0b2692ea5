"""Druid's jars from Maven Central, laid out as the public apache/druid image does."""

import collections
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from druid.errors import ClusterError

POM = Path(__file__).parent / "pom.xml"
VERSION = "33.0.0"
# Each extension is a profile of the pom and a name in druid.extensions.loadList.
EXTENSIONS = ("druid-datasketches", "druid-kafka-indexing-service")


def are_there(home: Path) -> bool:
    """Return whether the jars exist. `fetch` creates the folder by a rename, so it is always complete."""
    return (home / "lib").is_dir() and all((home / "extensions" / name).is_dir() for name in EXTENSIONS)


def fetch(home: Path, say: Callable[[str], None]) -> None:
    """Create `home` unless it exists. Safe to interrupt, and to run concurrently.

    Raises ClusterError with Maven's last lines of output if a download fails.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with alone(home.parent / f".{home.name}.lock", say):
        if are_there(home):
            return
        if home.exists():
            raise ClusterError(
                f"{home} exists but contains no complete Druid. Remove it to download it again, "
                "or set DRUID_HOME to another folder."
            )
        partial = home.parent / f".{home.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        lib = partial / "lib"
        say(f"Druid {VERSION}: the server's jars")
        copy_dependencies(POM, lib, (), say)
        for name in EXTENSIONS:
            say(f"Druid {VERSION}: the extension {name}")
            extension = partial / "extensions" / name
            copy_dependencies(POM, extension, ("-P", name), say)
            for jar in extension.iterdir():
                if (lib / jar.name).exists():
                    jar.unlink()
        partial.rename(home)


@contextmanager
def alone(lock: Path, say: Callable[[str], None]) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another command is downloading the jars; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def copy_dependencies(pom: Path, target: Path, profile: tuple[str, ...], say: Callable[[str], None]) -> None:
    """Let Maven copy the dependencies of a pom into `target`. Raises ClusterError with Maven's last lines of output."""
    command = [
        *("mvn", "-B", "-f", str(pom), *profile),
        *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={target}"),
    ]
    last_words: collections.deque[str] = collections.deque(maxlen=15)
    downloaded = 0
    environment = {**os.environ, "MAVEN_OPTS": f"{os.environ.get('MAVEN_OPTS', '')} -Dstyle.color=never"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as maven:
        try:
            for line in maven.stdout or ():
                if line.startswith("Downloaded from"):
                    downloaded += 1
                    say(f"{downloaded} files downloaded, the last {line.split('/')[-1].strip()}")
                elif line.startswith(("[ERROR]", "[WARNING]")):
                    last_words.append(line.rstrip())
        except BaseException:
            maven.terminate()
            raise
    if maven.returncode != 0:
        raise ClusterError(
            "Maven could not download the jars. Can this machine reach Maven Central (or your mirror, "
            "~/.m2/settings.xml)? "
            "Maven said:\n" + "\n".join(last_words)
        )
