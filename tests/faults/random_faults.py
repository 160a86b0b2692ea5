"""The faults that the soak test causes in random order."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

import aiohttp

from druid.services import Service
from tests.faults.load import Question
from tests.faults.served import Served
from tests.faults.toxiproxy import Proxy
from tests.faults.victim import Victim


@dataclass(frozen=True, slots=True)
class Scene:
    """The targets of faults: two routes to the broker, one to the coordinator, Druid itself, and callers."""

    brokers: tuple[Proxy, Proxy]
    coordinator: Proxy
    victim: Victim
    gateway: Served
    questions: Sequence[Question]
    random: Random


Fault = Callable[[Scene, float], Awaitable[None]]
"""Causes a fault for about so many seconds. A killed service may be away for longer."""


def _ways(scene: Scene) -> tuple[Proxy, ...]:
    """Select one route to the broker, or both."""
    return scene.random.choice([scene.brokers[:1], scene.brokers[1:], scene.brokers])


async def _refused(scene: Scene, seconds: float) -> None:
    async with AsyncExitStack() as stack:
        for way in _ways(scene):
            await stack.enter_async_context(way.refusing())
        await asyncio.sleep(seconds)


def _toxic(kind: str, attributes: Mapping[str, int]) -> Fault:
    async def suffer(scene: Scene, seconds: float) -> None:
        async with AsyncExitStack() as stack:
            for way in _ways(scene):
                await stack.enter_async_context(way.toxic(kind, stream="downstream", **attributes))
            await asyncio.sleep(seconds)

    return suffer


def _killed(service: Service) -> Fault:
    async def suffer(scene: Scene, _: float) -> None:
        await scene.victim.kill(service)
        await scene.victim.is_well()

    return suffer


def _frozen(service: Service) -> Fault:
    async def suffer(scene: Scene, seconds: float) -> None:
        scene.victim.signal(service, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            scene.victim.signal(service, signal.SIGCONT)

    return suffer


async def _coordinator_cut_off(scene: Scene, seconds: float) -> None:
    async with scene.coordinator.refusing():
        await asyncio.sleep(seconds)


async def _callers_leave(scene: Scene, seconds: float) -> None:
    """Send requests, and disconnect before the response."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds

    async def leave(session: aiohttp.ClientSession) -> None:
        while clock() < until:
            question = scene.random.choice(scene.questions)
            headers = {"Authorization": question.authorization}
            asked = asyncio.create_task(_asked(session, question.path, question.body, headers))
            await asyncio.wait([asked], timeout=scene.random.expovariate(50))
            asked.cancel()
            await asyncio.wait([asked])

    async with aiohttp.ClientSession(scene.gateway.url) as session:
        await asyncio.gather(*(leave(session) for _ in range(4)))


async def _asked(session: aiohttp.ClientSession, path: str, body: bytes, headers: Mapping[str, str]) -> None:
    async with session.post(path, data=body, headers=headers) as response:
        await response.read()


async def _rubbish_is_sent(scene: Scene, seconds: float) -> None:
    """Send invalid HTTP, invalid JSON, invalid reports, and incomplete requests."""
    host, port = scene.gateway.url.removeprefix("http://").split(":")
    until = asyncio.get_running_loop().time() + seconds
    question = scene.questions[0]
    head = f"POST {question.path} HTTP/1.1\r\nHost: x\r\nAuthorization: {question.authorization}\r\n".encode()
    while asyncio.get_running_loop().time() < until:
        rubbish = scene.random.choice(
            [
                scene.random.randbytes(200),
                head + b"Content-Length: 7\r\n\r\n" + scene.random.randbytes(7),
                head + b"Content-Length: 900\r\n\r\n" + question.body[:20],
                head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nno size\r\n",
            ]
        )
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(rubbish)
        await asyncio.sleep(0.02)
        writer.transport.abort()


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "refused": _refused,
        "slow": _toxic("latency", {"latency": 1500, "jitter": 500}),
        "a trickle": _toxic("bandwidth", {"rate": 20}),
        "stalled": _toxic("timeout", {"timeout": 0}),
        "reset": _toxic("reset_peer", {"timeout": 10}),
        "cut": _toxic("limit_data", {"bytes": 3000}),
        "broker killed": _killed(Service.BROKER),
        "broker frozen": _frozen(Service.BROKER),
        "historical killed": _killed(Service.HISTORICAL),
        "historical frozen": _frozen(Service.HISTORICAL),
        "coordinator killed": _killed(Service.COORDINATOR),
        "coordinator cut off": _coordinator_cut_off,
        "ZooKeeper killed": _killed(Service.ZOOKEEPER),
        "callers leave": _callers_leave,
        "rubbish is sent": _rubbish_is_sent,
    }
)
