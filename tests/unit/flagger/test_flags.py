"""Flags as Go's flag package reads them, and the process around them."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from canary_tutorial.flagger import __main__ as main_module
from canary_tutorial.flagger import chats, loadtester, startup
from canary_tutorial.flagger.__main__ import main
from canary_tutorial.flagger.flags import FLAGS, NO_EFFECT, FlagError, Known, parse
from canary_tutorial.flagger.logs import Logger
from canary_tutorial.flagger.startup import notifier

DEMO = (
    "-log-level=info -control-loop-interval=10s -mesh-provider=istio "
    "-metrics-server=http://prometheus.istio-system.svc.cluster.local:9090"
)


def test_the_webinars_flags():
    flags = parse(DEMO.split())
    assert (flags.text("log-level"), flags.seconds("control-loop-interval")) == ("info", 10.0)
    assert flags.text("metrics-server").endswith(":9090")
    assert flags.listed("selector-labels") == ("app", "name", "app.kubernetes.io/name")


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--namespace", "test"], "namespace", "test"),
        (["-namespace=a=b"], "namespace", "a=b"),
        (["-enable-leader-election"], "enable-leader-election", True),
        (["-enable-config-tracking=false"], "enable-config-tracking", False),
        (["-port=9000", "rest", "-port=1"], "port", 9000),
        (["--", "-port=1"], "port", 8080),
    ],
)
def test_ways_to_write_a_flag(words: list[str], name: str, value: object):
    assert parse(words).values[name] == value


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-colour=red"], "flag provided but not defined: -colour"),
        (["-port"], "flag needs an argument: -port"),
        (["-port=many"], 'invalid value "many" for flag -port: parse error'),
        (["-control-loop-interval=10"], 'invalid value "10" for flag -control-loop-interval: parse error'),
        (["-version=maybe"], 'invalid boolean value "maybe" for -version: parse error'),
        (["---port=1"], "bad flag syntax: ---port=1"),
    ],
)
def test_what_go_refuses(words: list[str], text: str):
    with pytest.raises(FlagError, match=text):
        parse(words)


def test_an_unknown_flag_ends_with_the_usage_and_2(capsys: pytest.CaptureFixture[str]):
    assert main(["-colour=red"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("flag provided but not defined: -colour\nUsage of flagger:")
    assert "  -metrics-server string" in said


def test_help_and_version(capsys: pytest.CaptureFixture[str]):
    assert main(["-h"]) == 0
    assert "Usage of flagger:" in capsys.readouterr().err
    assert main(["-version"]) == 0
    assert "1.44.0" in capsys.readouterr().out


@pytest.mark.parametrize(("modules", "known"), [((startup, main_module), FLAGS), ((loadtester,), loadtester.FLAGS)])
def test_a_flag_that_does_nothing_says_so(modules: tuple[ModuleType, ...], known: Known):
    source = "".join(Path(str(module.__file__)).read_text() for module in modules)
    read = set(re.findall(r'flags\.[a-z]+\("([a-z-]+)"\)', source)) | (set(startup.NOTIFIERS) & known.keys())
    assert {name for name, (_, text) in known.items() if text == NO_EFFECT} == known.keys() - read


def test_the_load_testers_flags_are_gos_too(capsys: pytest.CaptureFixture[str]):
    assert loadtester.main(["-timeout=soon"]) == 2
    said = capsys.readouterr().err
    assert said.startswith('invalid value "soon" for flag -timeout: parse error\nUsage of loadtester:')
    assert loadtester.main(["-help"]) == 0


def test_notifiers_of_the_flags_and_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    logger = Logger(stream=io.StringIO())
    assert notifier(parse([]), logger) is None
    found = notifier(parse(["-slack-url=http://chat/", "-slack-channel=releases", "-slack-token=t"]), logger)
    assert found is not None
    assert (found["spec"]["type"], found["spec"]["channel"]) == ("slack", "releases")
    assert chats.address(found, None) == ("http://chat/", "t")
    monkeypatch.setenv("MSTEAMS_URL", "http://teams/")
    found = notifier(parse(["-msteams-url=http://flag/"]), logger)
    assert found is not None
    assert (found["spec"]["type"], found["spec"]["address"]) == ("msteams", "http://teams/")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["-slack-url=http://chat/"], "Notifier empty Slack channel"),
        (["-slack-url=http://chat/", "-slack-channel=a", "-slack-user="], "Notifier empty Slack username"),
        (["-slack-url=chat", "-slack-channel=a"], "Notifier invalid Slack hook URL chat"),
        (["-msteams-url=10.0.0.1:80"], "Notifier invalid MS Teams webhook URL 10.0.0.1:80"),
        (
            ["-msteams-url=http://teams.example/" + 11 * "a"],
            "Notifications enabled for http://teams.example/" + 9 * "a",
        ),
    ],
)
def test_what_the_log_says_of_the_notifier(flags: list[str], said: str):
    stream = io.StringIO()
    found = notifier(parse(flags), Logger(stream=stream))
    assert json.loads(stream.getvalue())["msg"] == said
    assert (found is None) == said.startswith("Notifier ")
