"""A real cluster is started, disturbed and stopped."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from druid.checks import port_problems
from druid.cluster import Cluster
from druid.errors import ClusterError, ServiceFailedError
from druid.services import Ports, Service
from druid.watch import ServiceStatus

pytestmark = pytest.mark.cluster


def pids(cluster: Cluster) -> dict[Service, int]:
    found = {status.service: status.pid for status in cluster.status()}
    return {service: pid for service, pid in found.items() if pid is not None}


def is_alive(pid: int) -> bool:
    try:
        # Z: the process has ended, and its parent has not waited for it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def command(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    offset = cluster.ports.broker - Ports().broker
    return subprocess.run(
        [sys.executable, "-m", "druid", *arguments],
        env={**os.environ, "DRUID_VAR": str(cluster.var), "DRUID_PORT_OFFSET": str(offset)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def ask(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def rows_served(cluster: Cluster) -> int:
    query = {
        "queryType": "timeseries",
        "dataSource": "restarted",
        "granularity": "all",
        "intervals": ["2019-01-01/2020-01-01"],
        "aggregations": [{"type": "count", "name": "rows"}],
    }
    return sum(bucket["result"]["rows"] for bucket in ask(f"{cluster.broker_url}/druid/v2", query))


class Saboteur:
    """An Observer that kills one service as soon as it has a process."""

    def __init__(self, victim: Service) -> None:
        self.victim = victim
        self.seen: set[int] = set()
        self.killed = False

    def say(self, what: str) -> None:
        pass

    def show(self, services: tuple[ServiceStatus, ...]) -> None:
        self.seen |= {status.pid for status in services if status.pid is not None}
        for status in services:
            if status.service is self.victim and status.pid is not None and not self.killed:
                os.kill(status.pid, signal.SIGKILL)
                self.killed = True


def test_every_service_is_healthy_after_start(running: Cluster) -> None:
    assert [(status.service, status.healthy) for status in running.status()] == [(service, True) for service in Service]
    shown = command(running, "status")
    assert shown.returncode == 0
    assert all(service in shown.stdout for service in Service)


def test_a_second_start_succeeds_and_changes_nothing(running: Cluster) -> None:
    before = pids(running)
    again = command(running, "start")
    assert again.returncode == 0
    assert "already running" in again.stdout
    assert pids(running) == before


def test_services_listen_on_loopback_only(running: Cluster) -> None:
    ports = {port for _, port in running.ports.named()}
    listening = [
        (address, int(port, 16))
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        for address, port in (line.split()[1].split(":"),)
        if line.split()[3] == "0A" and int(port, 16) in ports
    ]
    assert {port for _, port in listening} == ports
    # 127.0.0.1, and the same address mapped to IPv6, in the kernel's notation.
    assert {address for address, _ in listening} <= {"0100007F", "0000000000000000FFFF00000100007F"}


def test_ports_that_differ_from_those_of_the_running_cluster_are_refused(running: Cluster) -> None:
    other = replace(running, ports=Ports.shifted(32000))
    with pytest.raises(ClusterError, match="runs on other ports"):
        other.start()
    with pytest.raises(ClusterError, match="runs on other ports"):
        other.status()


def test_env_prints_valid_shell_commands(running: Cluster) -> None:
    lines = command(running, "env").stdout
    printed = subprocess.run(
        ["sh", "-c", f'{lines}\necho "$DRUID_BROKER_URL $DRUID_COORDINATOR_URL"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.split() == [running.broker_url, running.coordinator_url]


def test_logs_shows_the_last_lines_of_one_service(running: Cluster) -> None:
    shown = command(running, "logs", "broker", "-n", "3")
    assert shown.returncode == 0
    assert len(shown.stdout.splitlines()) == 3


def test_a_killed_service_is_reported_and_restarted(running: Cluster) -> None:
    killed = pids(running)[Service.HISTORICAL]
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: not is_alive(killed), 5)
    shown = command(running, "status")
    assert shown.returncode == 1
    assert not running.status()[list(Service).index(Service.HISTORICAL)].healthy
    # On a running cluster, start waits until it is healthy.
    assert running.start() is False
    assert all(status.healthy for status in running.status())
    assert pids(running)[Service.HISTORICAL] != killed


def test_data_is_served_soon_after_ingestion_and_when_a_start_returns(running: Cluster) -> None:
    months = range(1, 13)
    rows = [{"time": f"2019-{month:02}-03T00:00:00Z", "place": "here"} for month in months]
    task = {
        "type": "index_parallel",
        "spec": {
            "dataSchema": {
                "dataSource": "restarted",
                "timestampSpec": {"column": "time", "format": "iso"},
                "dimensionsSpec": {"dimensions": ["place"]},
                "granularitySpec": {"segmentGranularity": "month", "rollup": False},
            },
            "ioConfig": {
                "type": "index_parallel",
                "inputSource": {"type": "inline", "data": "\n".join(map(json.dumps, rows))},
                "inputFormat": {"type": "json"},
            },
        },
    }
    tasks = f"{running.coordinator_url}/druid/indexer/v1/task"
    task_id = ask(tasks, task)["task"]
    state = f"{tasks}/{task_id}/status"
    assert eventually(lambda: ask(state)["status"]["statusCode"] == "SUCCESS", 60)
    assert eventually(lambda: rows_served(running) == len(rows), 15)

    running.stop()
    running.start()
    assert rows_served(running) == len(rows)


def test_stop_leaves_no_process_and_no_used_port(running: Cluster) -> None:
    supervisord = int(running.layout.pid.read_text())
    processes = [supervisord, *pids(running).values()]
    assert len(processes) == 6
    stopped = command(running, "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert eventually(lambda: not any(map(is_alive, processes)), 2)
    assert port_problems(running.ports) == ()
    stops = [
        line.split("stopped: ")[1].split()[0]
        for line in running.layout.supervisord_log.read_text().splitlines()
        if "stopped: " in line
    ]
    assert set(stops[-5:]) == set(Service)
    assert stops[-1] == Service.ZOOKEEPER
    assert {status.state for status in running.status()} == {"STOPPED"}
    assert command(running, "status").returncode == 1
    assert "No cluster runs" in command(running, "stop").stdout


def start_and_kill_the_coordinator(cluster: Cluster) -> Saboteur:
    saboteur = Saboteur(Service.COORDINATOR)
    with pytest.raises(ServiceFailedError, match="coordinator ended while it started") as failure:
        cluster.start(observer=saboteur)
    assert failure.value.service is Service.COORDINATOR
    return saboteur


def test_a_service_that_ends_during_the_start_fails_the_start_and_stops_the_others(cluster: Cluster) -> None:
    cluster.stop()
    saboteur = start_and_kill_the_coordinator(cluster)
    assert len(saboteur.seen) >= 5
    assert not cluster.is_running()
    assert not any(map(is_alive, saboteur.seen))


def test_a_start_that_times_out_names_the_late_service_and_shows_its_log(cluster: Cluster) -> None:
    cluster.stop()
    failed = command(cluster, "start", "--timeout", "3")
    assert failed.returncode == 1
    assert "is not healthy after 3 s" in failed.stderr
    assert "The last lines of" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not cluster.is_running()


def test_services_end_with_a_killed_supervisor_and_a_new_start_succeeds(running: Cluster) -> None:
    services = list(pids(running).values())
    os.kill(int(running.layout.pid.read_text()), signal.SIGKILL)
    assert eventually(lambda: not any(map(is_alive, services)), 10)
    assert running.layout.socket.exists()
    assert running.layout.pid.exists()
    assert not running.is_running()
    assert {status.state for status in running.status()} == {"STOPPED"}
    # The main thread of a killed JVM ends before its sockets close.
    assert eventually(lambda: not port_problems(running.ports), 20)
    # The services got processes, so that the files left behind did not prevent the start.
    assert len(start_and_kill_the_coordinator(running).seen) >= 5
