"""What Prometheus sees, on a port of its own."""

import socket

import aiohttp

from tests.http.asking import Client
from tests.http.conftest import Start
from tests.http.stand_in import StandIn


async def scrape(port: int) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as response,
    ):
        assert response.headers["Content-Type"].startswith("text/plain")
        return await response.text()


async def test_requests_times_and_brokers_are_counted(start: Start, druid_stand_in: StandIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    client = await start(druid_stand_in.url, metrics_port=port)
    await client.post()
    await client.post([])
    lines = (await scrape(port)).splitlines()
    assert 'gateway_requests_total{code="",data_set="chat_sessions",status="200"} 1.0' in lines
    assert 'gateway_requests_total{code="invalid_report",data_set="chat_sessions",status="400"} 1.0' in lines
    assert 'gateway_rows_total{data_set="chat_sessions"} 1.0' in lines
    assert 'gateway_druid_seconds_count{data_set="chat_sessions"} 1.0' in lines
    assert f'gateway_broker_up{{broker="{druid_stand_in.url}/"}} 1.0' in lines
    assert 'gateway_druid_queries_running{lane="ordinary"} 0.0' in lines


async def test_they_are_not_on_the_public_port(client: Client) -> None:
    assert (await client.send("GET", "/metrics")).status == 404
