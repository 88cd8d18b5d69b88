"""The controller's process: `python -m canary_tutorial.flagger -mesh-provider=istio ...`, with Flagger's own flags.

Flagger raises analysis intervals below 10s to 10s; FLAGGER_MIN_ANALYSIS_INTERVAL (say, 1s) lowers that for lessons.
FLAGGER_TRACE=1 adds one log line per tick with what it saw (see `trace.py`); FLAGGER_RECORD names a file for a recording of
the run (see `recording.py`), which `python -m canary_tutorial.flagger.replay` shows and decides anew.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from canary_tutorial.flagger.flags import FlagError, Flags, HelpAsked, parse, usage

if TYPE_CHECKING:
    from canary_tutorial.flagger.kube import Kube

T = TypeVar("T")
VERSION = "1.44.0"
TRIES, PAUSE = 10, 1.0  # of the first questions to the API server, which may be starting itself; seconds
NOTIFIERS = ("msteams-url", "slack-url")


def main(words: list[str] | None = None) -> int:
    try:
        flags = parse(sys.argv[1:] if words is None else words)
    except HelpAsked:
        print(usage(), file=sys.stderr)
        return 0
    except FlagError as error:
        print(f"{error}\n{usage()}", file=sys.stderr)
        return 2
    if flags.switch("version"):
        print(f"Flagger version: {VERSION} revision canary_tutorial")
        return 0
    return asyncio.run(run(flags))


def notifier(flags: Flags) -> dict[str, Any] | None:
    """Whom the flags (or the environment) tell of Canaries that name no alert provider of their own."""
    teams, slack = (flags.text(name) or os.environ.get(name.upper().replace("-", "_"), "") for name in NOTIFIERS)
    if not (teams or slack):
        return None
    spec = {"username": flags.text("slack-user"), "channel": flags.text("slack-channel")}
    return {"spec": {**spec, "type": "msteams" if teams else "slack", "address": teams or slack}}


def record_to(path: str) -> Callable[[str], None]:
    """Add lines to a file of ours alone, each at once."""
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    file = os.fdopen(number, "a", buffering=1)
    return lambda line: print(line, file=file)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer to one of the first questions: a server that is just starting, or restarting, is asked again."""
    from canary_tutorial.flagger.effects import Refused

    for _ in range(TRIES - 1):
        try:
            return await ask()
        except Refused as refused:
            if not refused.passing:
                raise
        await asyncio.sleep(PAUSE)
    return await ask()


async def run(flags: Flags) -> int:
    """Everything that Flagger says and does when it starts, then the loops; returns the exit code."""
    from lightkube.core.exceptions import ConfigError

    from canary_tutorial.flagger.analysis import ONLINE, offline
    from canary_tutorial.flagger.controller import Controller
    from canary_tutorial.flagger.effects import Obj, Query, Refused
    from canary_tutorial.flagger.golang import go_duration
    from canary_tutorial.flagger.kube import Kube, connection
    from canary_tutorial.flagger.logs import Logger
    from canary_tutorial.flagger.metrics import Recorder, serve
    from canary_tutorial.flagger.performer import Performer
    from canary_tutorial.flagger.spec import LEAST_INTERVAL, Settings

    logger = Logger(flags.text("log-level"))
    provider = flags.text("mesh-provider")
    logger.log("info", f"Starting flagger version {VERSION} revision canary_tutorial mesh provider {provider}")
    try:
        kube = Kube(connection(flags.text("kubeconfig"), flags.text("master")))
        version = await patiently(kube.version)
    except (ConfigError, Refused, OSError) as error:
        logger.log("error", f"Error building kubernetes clientset: {error}")
        return 1
    logger.log("info", f"Connected to Kubernetes API {version}")
    namespace = flags.text("namespace")
    for kind, name in (("Canary", "Canary"), ("MetricTemplate", "MetricTemplate"), ("AlertProvider", "AlertProvider")):
        try:
            await patiently(partial(kube.list, kind, namespace))
        except Refused as refused:
            logger.log("error", f"{name} CRD is not registered {refused.message}")
            return 1
    logger.log("info", "Waiting for canary informer cache to sync")

    def trace(row: Obj) -> None:
        logger.log("info", "tick", tick=row)

    recorder = Recorder(VERSION, provider)
    hook = flags.text("event-webhook") or os.environ.get("EVENT_WEBHOOK_URL", "")
    tracing = trace if os.environ.get("FLAGGER_TRACE") else None
    recording = record_to(os.environ["FLAGGER_RECORD"]) if os.environ.get("FLAGGER_RECORD") else None
    performer = Performer(
        *(kube, recorder, logger, flags.text("metrics-server"), hook),
        trace=tracing,
        record=recording,
        notifier=notifier(flags),
        cluster_name=flags.text("cluster-name"),
    )
    server = flags.text("metrics-server")
    if why := offline(await performer.perform(Query(None, ONLINE, "availability"), "", "")):
        logger.log("error", f"Metrics server {server} unreachable {why}")
    else:
        logger.log("info", f"Connected to metrics server {server}")
    try:
        serve(recorder, os.environ.get("LISTEN_ADDRESS", "127.0.0.1"), flags.number("port"))
    except OSError as error:
        logger.log("error", f"HTTP server cannot listen on port {flags.number('port')}: {error.strerror}")
        return 1
    logger.log("info", f"Starting HTTP server on port {flags.number('port')}")
    least = go_duration(os.environ.get("FLAGGER_MIN_ANALYSIS_INTERVAL", "")) or LEAST_INTERVAL
    settings = Settings(
        provider=provider,
        selector_labels=flags.listed("selector-labels"),
        include_label_prefix=flags.listed("include-label-prefix"),
        config_tracking=flags.switch("enable-config-tracking"),
        least_interval=least,
        no_cross_namespace_refs=flags.switch("no-cross-namespace-refs"),
    )
    controller = Controller(performer, settings, flags.seconds("control-loop-interval"), namespace)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    logger.log("info", "Starting operator")
    work = asyncio.create_task(
        _lead(kube, flags, controller.run) if flags.switch("enable-leader-election") else controller.run()
    )
    logger.log("info", "Started operator workers")
    done, _ = await asyncio.wait([work, asyncio.create_task(ending.wait())], return_when=asyncio.FIRST_COMPLETED)
    if work in done and (failure := work.exception()):
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        logger.log("error", f"operator failed: {failure!r}")
        return 1
    work.cancel()
    logger.log("info", "Shutting down operator workers")
    return 0


async def _lead(kube: Kube, flags: Flags, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Act while the lease is ours; what ends the acting, or the renewing, ends this too."""
    from canary_tutorial.flagger.leader import Election

    election = Election(kube, flags.text("leader-election-namespace"))
    await election.won()

    async def keep() -> None:
        await election.kept()
        raise RuntimeError("leadership lost")

    async with asyncio.TaskGroup() as parts:
        parts.create_task(run())
        parts.create_task(keep())


if __name__ == "__main__":
    sys.exit(main())
