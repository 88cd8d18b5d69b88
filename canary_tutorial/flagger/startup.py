"""From flags to loops: connect, check what Flagger checks when it starts, serve its page, work until a signal. I/O: the API."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from lightkube.core.exceptions import ConfigError

from canary_tutorial.flagger import chats, metrics
from canary_tutorial.flagger.analysis import ONLINE, offline
from canary_tutorial.flagger.controller import Controller
from canary_tutorial.flagger.effects import Obj, Query, Refused, T
from canary_tutorial.flagger.flags import VERSION, Flags
from canary_tutorial.flagger.golang import go_duration
from canary_tutorial.flagger.kube import Kube, connection
from canary_tutorial.flagger.leader import Election
from canary_tutorial.flagger.logs import ENCODINGS, Logger
from canary_tutorial.flagger.performer import Performer
from canary_tutorial.flagger.spec import LEAST_INTERVAL, Settings

TRIES, PAUSE = 10, 1.0  # of the first questions to the API server, which may be starting itself; seconds
NOTIFIERS, SHOWN = ("msteams-url", "slack-url"), 30  # of an address, which is a secret, the first letters


class CannotStart(Exception):
    """The message is Flagger's last line in its log."""


async def run(flags: Flags) -> int:
    """Everything that Flagger says and does when it starts, then the loops; returns the exit code."""
    encoding = flags.text("zap-encoding")
    logger = Logger(flags.text("log-level"), encoding=encoding)
    if encoding not in ENCODINGS:
        logger.log("error", f'Error creating logger: no encoder registered for name "{encoding}"')
        return 1
    provider = flags.text("mesh-provider")
    logger.log("info", f"Starting flagger version {VERSION} revision canary_tutorial mesh provider {provider}")
    try:
        kube = await connected(flags, logger)
        performer = performer_of(flags, kube, logger)
        await ask_metrics_server(flags, performer)
        serve_metrics(flags, performer)
    except CannotStart as why:
        logger.log("error", str(why))
        return 1
    controller = Controller(
        performer, settings_of(flags), flags.seconds("control-loop-interval"), flags.text("namespace")
    )
    logger.log("info", "Starting operator")
    acting = lead(kube, flags, controller.run) if flags.switch("enable-leader-election") else controller.run()
    return await until_a_signal(acting, logger)


async def connected(flags: Flags, logger: Logger) -> Kube:
    """A client for an API server that answers, and that has Flagger's own kinds."""
    try:
        kube = Kube(connection(flags.text("kubeconfig"), flags.text("master")))
        version = await patiently(kube.version)
    except (ConfigError, Refused, OSError) as error:
        raise CannotStart(f"Error building kubernetes clientset: {error}") from error
    logger.log("info", f"Connected to Kubernetes API {version}")
    for kind in ("Canary", "MetricTemplate", "AlertProvider"):
        try:
            await patiently(partial(kube.list, kind, flags.text("namespace")))
        except Refused as refused:
            raise CannotStart(f"{kind} CRD is not registered {refused.message}") from refused
    logger.log("info", "Waiting for canary informer cache to sync")
    return kube


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer to one of the first questions: a server that is just starting, or restarting, is asked again."""
    for _ in range(TRIES - 1):
        try:
            return await ask()
        except Refused as refused:
            if not refused.passing:
                raise
        await asyncio.sleep(PAUSE)
    return await ask()


def performer_of(flags: Flags, kube: Kube, logger: Logger) -> Performer:
    def trace(row: Obj) -> None:
        logger.log("info", "tick", tick=row)

    path = os.environ.get("FLAGGER_RECORD")
    return Performer(
        kube,
        metrics.Recorder(VERSION, flags.text("mesh-provider")),
        logger,
        flags.text("metrics-server"),
        os.environ.get("EVENT_WEBHOOK_URL", "") or flags.text("event-webhook"),
        trace=trace if os.environ.get("FLAGGER_TRACE") else None,
        record=record_to(path) if path else None,
        notifier=notifier(flags, logger),
        cluster_name=flags.text("cluster-name"),
    )


def record_to(path: str) -> Callable[[str], None]:
    """Add lines to a file of ours alone, each at once."""
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    file = os.fdopen(number, "a", buffering=1)
    return lambda line: print(line, file=file)


def notifier(flags: Flags, logger: Logger) -> Obj | None:
    """Whom the environment (or the flags) tell of Canaries that name no alert provider of their own."""
    teams, slack = (os.environ.get(name.upper().replace("-", "_"), "") or flags.text(name) for name in NOTIFIERS)
    url = teams or slack
    if not url:
        return None
    spec = {"username": flags.text("slack-user"), "channel": flags.text("slack-channel")}
    found: Obj = {"spec": {**spec, "type": "msteams" if teams else "slack", "address": url}}
    found["token"] = os.environ.get("SLACK_TOKEN", "") or flags.text("slack-token")
    if why := chats.fault(found, url):
        logger.log("error", f"Notifier {why}")
        return None
    if len(url) > SHOWN:
        logger.log("info", f"Notifications enabled for {url[:SHOWN]}")
    return found


async def ask_metrics_server(flags: Flags, performer: Performer) -> None:
    """One that is out of reach is only a line in the log."""
    server = flags.text("metrics-server")
    if why := offline(await performer.perform(Query(None, ONLINE, "availability"), "", "")):
        performer.logger.log("error", f"Metrics server {server} unreachable {why}")
    else:
        performer.logger.log("info", f"Connected to metrics server {server}")


def serve_metrics(flags: Flags, performer: Performer) -> None:
    port = flags.number("port")
    try:
        metrics.serve(performer.recorder, os.environ.get("LISTEN_ADDRESS", "127.0.0.1"), port)
    except OSError as error:
        raise CannotStart(f"HTTP server cannot listen on port {port}: {error.strerror}") from error
    performer.logger.log("info", f"Starting HTTP server on port {port}")


def settings_of(flags: Flags) -> Settings:
    return Settings(
        provider=flags.text("mesh-provider"),
        selector_labels=flags.listed("selector-labels"),
        include_label_prefix=flags.listed("include-label-prefix"),
        config_tracking=flags.switch("enable-config-tracking"),
        least_interval=go_duration(os.environ.get("FLAGGER_MIN_ANALYSIS_INTERVAL", "")) or LEAST_INTERVAL,
        no_cross_namespace_refs=flags.switch("no-cross-namespace-refs"),
    )


async def lead(kube: Kube, flags: Flags, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Act while the lease is ours; what ends the acting, or the renewing, ends this too."""
    election = Election(kube, flags.text("namespace") or flags.text("leader-election-namespace"))
    await election.won()

    async def keep() -> None:
        await election.kept()
        raise RuntimeError("leadership lost")

    try:
        async with asyncio.TaskGroup() as parts:
            parts.create_task(run())
            parts.create_task(keep())
    finally:
        await election.give_back()


async def until_a_signal(acting: Coroutine[Any, Any, None], logger: Logger) -> int:
    """0 after a signal; 1 if the acting ends by itself, which only a failure makes it do."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    work = asyncio.create_task(acting)
    logger.log("info", "Started operator workers")
    done, _ = await asyncio.wait([work, asyncio.create_task(ending.wait())], return_when=asyncio.FIRST_COMPLETED)
    if work in done and (failure := work.exception()):
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        logger.log("error", f"operator failed: {failure!r}")
        return 1
    work.cancel()
    logger.log("info", "Shutting down operator workers")
    await asyncio.wait([work])
    return 0
