"""The layout of the jars, with a shell script instead of Maven that writes empty jars or fails."""

import os
from pathlib import Path

import pytest

from druid import jars
from druid.errors import ClusterError

WRITES_JARS = """
for argument; do
  case "$argument" in -DoutputDirectory=*) out=${argument#*=};; esac
done
mkdir -p "$out"
touch "$out/shared.jar"
case "$*" in
  *"-P druid-datasketches"*) touch "$out/sketches.jar";;
  *"-P druid-kafka-indexing-service"*) touch "$out/kafka.jar";;
esac
echo "Downloaded from central: https://example.org/shared.jar (1 kB at 2 kB/s)"
"""
FAILS_AT_THE_LAST = (
    """
case "$*" in
  *"-P druid-kafka-indexing-service"*) echo "[ERROR] Could not transfer artifact"; exit 1;;
esac
"""
    + WRITES_JARS
)


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    script = folder / "mvn"
    script.touch(mode=0o755)
    return script


def files(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*.jar")}


def test_an_extension_contains_only_jars_that_are_not_in_lib(maven: Path, tmp_path: Path) -> None:
    maven.write_text("#!/bin/sh\n" + WRITES_JARS)
    said: list[str] = []
    jars.fetch(tmp_path / "druid", said.append)
    assert jars.are_there(tmp_path / "druid")
    assert files(tmp_path / "druid") == {
        "lib/shared.jar",
        "extensions/druid-datasketches/sketches.jar",
        "extensions/druid-kafka-indexing-service/kafka.jar",
    }
    assert any("files downloaded" in line for line in said)


def test_an_interrupted_download_leaves_no_folder_and_the_next_one_succeeds(maven: Path, tmp_path: Path) -> None:
    home = tmp_path / "druid"
    maven.write_text("#!/bin/sh\n" + FAILS_AT_THE_LAST)
    with pytest.raises(ClusterError, match="Could not transfer artifact"):
        jars.fetch(home, lambda _: None)
    assert not home.exists()
    maven.write_text("#!/bin/sh\n" + WRITES_JARS)
    jars.fetch(home, lambda _: None)
    assert jars.are_there(home)


def test_a_folder_without_druid_is_not_changed(maven: Path, tmp_path: Path) -> None:
    home = tmp_path / "druid"
    home.mkdir()
    (home / "mine.txt").touch()
    maven.write_text("#!/bin/sh\n" + WRITES_JARS)
    with pytest.raises(ClusterError, match="contains no complete Druid"):
        jars.fetch(home, lambda _: None)
    assert (home / "mine.txt").exists()
