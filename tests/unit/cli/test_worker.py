"""A worker's share of the settings."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.cli.worker import Place, most_workers, share_of
from tests.serving import settings_for


def test_a_place_survives_the_command_line() -> None:
    place = Place(2, 3, 7, (4, 5))
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize("limits_url", [None, SecretStr("redis://127.0.0.1:1")])
def test_the_shares_add_up_to_the_settings(tmp_path: Path, limits_url: SecretStr | None) -> None:
    settings = settings_for(
        tmp_path, "http://127.0.0.1:1", druid_queries=17, druid_heavy_queries=5, metrics_port=9, limits_url=limits_url
    )
    shares = [share_of(settings, Place(number, 3, 0, ())) for number in (1, 2, 3)]
    assert [share.druid_queries for share in shares] == [6, 6, 5]
    assert [share.druid_heavy_queries for share in shares] == [2, 2, 1]
    requests = sum(share.requests_per_minute for share in shares)
    assert requests == settings.requests_per_minute * (1 if limits_url is None else 3)
    assert {share.metrics_port for share in shares} == {None}
    assert {share.answer_memory for share in shares} == {settings.answer_memory}


def test_every_worker_has_slots(tmp_path: Path) -> None:
    assert most_workers(settings_for(tmp_path, "http://127.0.0.1:1", druid_queries=16, druid_heavy_queries=9)) == 8
