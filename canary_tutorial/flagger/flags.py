"""Command-line flags as Go's flag package reads them: -name=value, --name value, -switch. I/O: `parsed` prints the usage."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from canary_tutorial.flagger.golang import go_bool, go_duration

VERSION = "1.44.0"  # of Flagger
# name -> (default, help); the type of the default is the flag's type; durations are texts that end in a unit
Known = Mapping[str, tuple[str | int | bool, str]]
NO_EFFECT = "accepted for compatibility; has no effect here"
FLAGS: Known = {
    "kubeconfig": ("", "path to a kubeconfig; only needed outside a cluster"),
    "kubeconfig-qps": (100, NO_EFFECT),
    "kubeconfig-burst": (250, NO_EFFECT),
    "kubeconfig-service-mesh": ("", NO_EFFECT),
    "master": ("", "address of the Kubernetes API; overrides the kubeconfig's"),
    "metrics-server": ("http://prometheus:9090", "address of Prometheus"),
    "control-loop-interval": ("10s", "how often Canaries without a job are looked for"),
    "log-level": ("debug", "debug, info, warn or error"),
    "port": (8080, "port for metrics and health"),
    "slack-url": ("", "Slack webhook"),
    "slack-token": ("", "Slack bot token"),
    "slack-proxy-url": ("", NO_EFFECT),
    "slack-user": ("flagger", "Slack user name"),
    "slack-channel": ("", "Slack channel"),
    "msteams-url": ("", "MS Teams webhook"),
    "msteams-proxy-url": ("", NO_EFFECT),
    "event-webhook": ("", "webhook that receives every event"),
    "include-label-prefix": ("", "comma-separated prefixes of labels that primaries inherit; * for all"),
    "threadiness": (2, NO_EFFECT),
    "zap-encoding": ("json", "json or console"),
    "zap-replace-globals": (False, NO_EFFECT),
    "namespace": ("", "the only namespace to watch; all if empty"),
    "mesh-provider": ("istio", "the service mesh"),
    "selector-labels": ("app,name,app.kubernetes.io/name", "labels that tell primary from canary"),
    "ingress-annotations-prefix": ("nginx.ingress.kubernetes.io", NO_EFFECT),
    "ingress-class": ("", NO_EFFECT),
    "enable-leader-election": (False, "let one of several replicas act"),
    "leader-election-namespace": ("kube-system", "where the lease is, if all namespaces are watched"),
    "enable-config-tracking": (True, "follow changes of ConfigMaps and Secrets"),
    "version": (False, "print the version and exit"),
    "cluster-name": ("", "added to alerts"),
    "no-cross-namespace-refs": (False, "keep references within a Canary's namespace"),
}
DURATIONS = {"control-loop-interval", "timeout"}


class FlagError(Exception):
    """What Go prints before the usage."""


class HelpAsked(Exception):
    """-h or -help: Go shows the usage and ends well."""


@dataclass(frozen=True)
class Flags:
    """The values by flag name."""

    values: Mapping[str, str | int | bool]

    def text(self, name: str) -> str:
        return str(self.values[name])

    def number(self, name: str) -> int:
        return int(self.values[name])

    def switch(self, name: str) -> bool:
        return bool(self.values[name])

    def seconds(self, name: str) -> float:
        return go_duration(self.text(name)) or 0.0

    def listed(self, name: str) -> tuple[str, ...]:
        return tuple(part for part in self.text(name).split(",") if part)


def parsed(words: list[str] | None, program: str = "flagger", known: Known = FLAGS) -> Flags | int:
    """Flags from argv; or, after the usage was printed, the code to end with."""
    try:
        return parse(sys.argv[1:] if words is None else words, known)
    except HelpAsked:
        print(usage(program, known), file=sys.stderr)
        return 0
    except FlagError as error:
        print(f"{error}\n{usage(program, known)}", file=sys.stderr)
        return 2


def parse(words: list[str], known: Known = FLAGS) -> Flags:
    """Raises FlagError in Go's words."""
    values: dict[str, str | int | bool] = {name: default for name, (default, _) in known.items()}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if not name or name.startswith("-"):
            raise FlagError(f"bad flag syntax: {word}")
        if name in ("h", "help"):
            raise HelpAsked
        if name not in known:
            raise FlagError(f"flag provided but not defined: -{name}")
        default = known[name][0]
        if isinstance(default, bool):
            values[name] = _switch(name, value) if equals else True
            continue
        if not equals:
            if not rest:
                raise FlagError(f"flag needs an argument: -{name}")
            value = rest.pop(0)
        values[name] = _value(name, value, default)
    return Flags(values)


def _switch(name: str, value: str) -> bool:
    found = go_bool(value)
    if found is None:
        raise FlagError(f'invalid boolean value "{value}" for -{name}: parse error')
    return found


def _value(name: str, value: str, default: str | int) -> str | int:
    if isinstance(default, int):
        try:
            return int(value)
        except ValueError:
            raise FlagError(f'invalid value "{value}" for flag -{name}: parse error') from None
    if name in DURATIONS and go_duration(value) is None:
        raise FlagError(f'invalid value "{value}" for flag -{name}: parse error')
    return value


def usage(program: str, known: Known) -> str:
    lines = [f"Usage of {program}:"]
    for name, (default, text) in sorted(known.items()):
        kind = {bool: "", int: " int"}.get(type(default), " duration" if name in DURATIONS else " string")
        shown = f' (default "{default}")' if isinstance(default, str) and default and name not in DURATIONS else ""
        shown = f" (default {default})" if not shown and default else shown
        lines += [f"  -{name}{kind}", f"    \t{text}{shown}"]
    return "\n".join(lines)
