"""Turns the folders and ports of a cluster into configuration files and commands. Pure."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from druid.services import Ports, Service

CONF = Path(__file__).parent / "conf"

# Streaming tasks publish their rows before they end, which can take half a minute.
STOP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a cluster. All are below `var`, except the jars, which clusters can share."""

    var: Path
    home: Path

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def temporary(self) -> Path:
        return self.var / "tmp"

    @property
    def zookeeper(self) -> Path:
        return self.var / "zookeeper"

    @property
    def zoo_cfg(self) -> Path:
        return self.var / "zoo.cfg"

    @property
    def supervisord_conf(self) -> Path:
        return self.var / "supervisord.conf"

    @property
    def supervisord_log(self) -> Path:
        return self.logs / "supervisord.log"

    @property
    def socket(self) -> Path:
        return self.var / "supervisord.sock"

    @property
    def pid(self) -> Path:
        return self.var / "supervisord.pid"

    @property
    def lock(self) -> Path:
        return self.var / "lock"

    def log(self, service: Service) -> Path:
        return self.logs / f"{service}.log"


def environment(layout: Layout, ports: Ports) -> dict[str, str]:
    """Return the variables used in conf/**/*.properties."""
    return {
        "DRUID_HOME": str(layout.home),
        "DRUID_VAR": str(layout.var),
        "DRUID_HOST": "127.0.0.1",
        "DRUID_BIND_ON_HOST": "true",
        "DRUID_ZK": f"127.0.0.1:{ports.zookeeper}",
        "DRUID_DERBY_HOST": "127.0.0.1",
        "DRUID_DERBY_PORT": str(ports.derby),
        "DRUID_COORDINATOR_PORT": str(ports.coordinator),
        "DRUID_BROKER_PORT": str(ports.broker),
        "DRUID_HISTORICAL_PORT": str(ports.historical),
        "DRUID_INDEXER_PORT": str(ports.indexer),
    }


def zoo_cfg(shared: str, layout: Layout, ports: Ports) -> str:
    """Return conf/zookeeper/zoo.cfg (`shared`) with this cluster's folder and port. The last value of a key wins."""
    return shared + (
        f"\ndataDir={layout.zookeeper}\n"
        f"clientPort={ports.zookeeper}\n"
        "clientPortAddress=127.0.0.1\n"
        "admin.enableServer=false\n"
        # Beside the health check's command, those that list sessions and what they announce.
        "4lw.commands.whitelist=srvr,cons,dump\n"
    )


def java_command(service: Service, java: Path, layout: Layout) -> tuple[str, ...]:
    main = (
        ("org.apache.zookeeper.server.quorum.QuorumPeerMain", str(layout.zoo_cfg))
        if service is Service.ZOOKEEPER
        else ("org.apache.druid.cli.Main", "server", service.value)
    )
    return (
        str(java),
        f"@{CONF / 'jvm.args'}",
        f"@{CONF / service.value / 'jvm.args'}",
        f"-Djava.io.tmpdir={layout.temporary}",
        f"-Dderby.stream.error.file={layout.logs / 'derby.log'}",
        "-cp",
        f"{CONF / '_common'}:{CONF / service.value}:{layout.home / 'lib'}/*",
        *main,
    )


def supervisord_conf(layout: Layout, ports: Ports, java: Path, setpriv: Path | None) -> str:
    """Return the configuration of supervisord (http://supervisord.org/configuration.html).

    `setpriv` (util-linux), where there is one, has the kernel end a service whose supervisord was killed.
    """
    tether = () if setpriv is None else (str(setpriv), "--pdeathsig", "KILL", "--")
    sections = [
        f"""\
[supervisord]
identifier={ports.label}
directory={_escaped(layout.var)}
pidfile={_escaped(layout.pid)}
logfile={_escaped(layout.supervisord_log)}
logfile_maxbytes=1MB
logfile_backups=1
childlogdir={_escaped(layout.logs)}

[unix_http_server]
file={_escaped(layout.socket)}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

# Groups stop one after the other, the highest priority first. ZooKeeper is last, because Druid's services cannot
# stop without it.
[group:zookeeper]
programs={Service.ZOOKEEPER}
priority=1

[group:druid]
programs={",".join(service for service in Service if service is not Service.ZOOKEEPER)}
priority=2
"""
    ]
    sections += [
        f"""\
[program:{service}]
command={_escaped(shlex.join((*tether, *java_command(service, java, layout))))}
autorestart=true
startsecs=15
startretries=3
stopsignal=TERM
stopwaitsecs={STOP_SECONDS}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={_escaped(layout.log(service))}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""
        for service in Service
    ]
    return "\n".join(sections)


def _escaped(value: object) -> str:
    # supervisord expands %(name)s.
    return str(value).replace("%", "%%")
