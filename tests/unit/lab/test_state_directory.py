"""A lab's directory is its user's alone: what somebody else made, or could change, is refused, and no link is followed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from canary_tutorial.lab.machine import certificates, images, state
from canary_tutorial.lab.machine.state import Lab, StateError

NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where labs are, and beside it a victim, which must stay what it is."""
    place = tmp_path / "share"
    place.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    (victim / "sub").mkdir(parents=True)
    (victim / "file").write_text("precious")
    monkeypatch.setenv("CANARY_TUTORIAL_HOME", str(place))
    yield place
    assert sorted(path.name for path in victim.rglob("*")) == ["file", "sub"]
    assert (victim / "file").read_text() == "precious"


def taken(name: str = "lab") -> Path:
    """Prepare a directory and write into it what a lab writes."""
    directory, lock = state.prepare(name)
    images.write_programs(directory / "bin")
    certificates.make_ca_and_server_cert(directory)
    state.write(
        directory, Lab(name, "https://127.0.0.1:1", 16, os.getpid(), os.getpid(), psutil.Process().create_time())
    )
    os.close(lock)
    return directory


def refused(*words: str) -> None:
    """Every way to use the directory says the same, in three lines with the next step."""
    for use in (lambda: state.prepare("lab"), lambda: state.read("lab")):
        with pytest.raises(StateError) as error:
            use()
        lines = str(error.value).splitlines()
        assert lines[0].startswith("The lab cannot use ")
        assert all(word in lines[1] for word in words), lines[1]
        assert lines[2] == "→ export CANARY_TUTORIAL_HOME=$(mktemp -d)"


def test_a_directory_is_made_and_is_private(home: Path) -> None:
    directory = taken()

    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in directory.iterdir()} >= {"lock", "logs", "bin", "lab.json", "ca.crt", "server.pem"}
    assert all(path.lstat().st_mode & 0o022 == 0 for path in directory.rglob("*"))
    assert state.read("lab") is not None


@root_only
def test_a_directory_of_another_user_is_refused(home: Path) -> None:
    (home / "lab").mkdir(mode=0o700)
    os.chown(home / "lab", NOBODY, NOBODY)

    refused("belongs to the user nobody")


@root_only
def test_also_in_a_sticky_directory_such_as_tmp(home: Path) -> None:
    home.chmod(0o1777)
    (home / "lab").mkdir(mode=0o755)
    os.chown(home / "lab", NOBODY, NOBODY)

    refused("belongs to the user nobody")


def test_in_a_sticky_directory_a_directory_of_ones_own_will_do(home: Path) -> None:
    home.chmod(0o1777)

    assert taken().parent == home


def test_a_link_is_refused(home: Path) -> None:
    (home / "lab").symlink_to(home.parent / "victim")

    refused("is a symbolic link", "victim")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o722])
def test_a_directory_that_others_may_write_to_is_refused(home: Path, mode: int) -> None:
    (home / "lab").mkdir()
    (home / "lab").chmod(mode)

    refused("Others may write to it", "drwx")


def test_so_is_one_on_the_way_to_it(home: Path) -> None:
    home.chmod(0o777)

    refused(f"Others may write to {home}, on the way to it")


@root_only
def test_a_step_that_belongs_to_another_user_is_refused(home: Path) -> None:
    os.chown(home, NOBODY, NOBODY)

    refused(f"{home}, on the way to it, belongs to the user nobody")


@root_only
def test_a_link_of_another_user_on_the_way_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = home.parent / "link"
    link.symlink_to(home)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    monkeypatch.setenv("CANARY_TUTORIAL_HOME", str(link))

    refused(f"{link}, on the way to it, belongs to the user nobody")


def test_what_a_link_of_ones_own_leads_to_is_looked_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = home.parent / "link"
    link.symlink_to("share")
    monkeypatch.setenv("CANARY_TUTORIAL_HOME", str(link))
    taken()

    home.chmod(0o777)

    refused(f"Others may write to {home}, on the way to it")


def test_a_group_of_ones_own_is_nobody_else(home: Path) -> None:
    """Many systems give each user a group, and let it write by default."""
    home.chmod(0o770)

    assert taken().parent == home


def linked(victim: Path) -> Path:
    made = victim.parent / "made"
    made.mkdir()
    (made / "podinfo").symlink_to(victim / "file")
    return made


LAID: dict[str, Callable[[Path, Path], None]] = {
    "bin is a link": lambda lab, victim: (lab / "bin").symlink_to(victim),
    "pods is a link": lambda lab, victim: (lab / "pods").symlink_to(victim),
    "logs is a link": lambda lab, victim: (lab / "logs").symlink_to(victim),
    "lab.json is a link": lambda lab, victim: (lab / "lab.json").symlink_to(victim / "file"),
    "lab.json.new is a link": lambda lab, victim: (lab / "lab.json.new").symlink_to(victim / "file"),
    "lab.json.new is a hard link": lambda lab, victim: (lab / "lab.json.new").hardlink_to(victim / "file"),
    "kubeconfig is a link": lambda lab, victim: (lab / "kubeconfig").symlink_to(victim / "file"),
    "ca.crt is a hard link": lambda lab, victim: (lab / "ca.crt").hardlink_to(victim / "file"),
    "server.pem is a link": lambda lab, victim: (lab / "server.pem").symlink_to(victim / "file"),
    "targets.json is a link": lambda lab, victim: (lab / "targets.json").symlink_to(victim / "file"),
    "failed is a link": lambda lab, victim: (lab / "failed").symlink_to(victim / "file"),
    "a program is there": lambda lab, victim: (lab / "bin" / "evil").mkdir(parents=True),
    "a program is a link": lambda lab, victim: shutil.copytree(linked(victim), lab / "bin", symlinks=True) and None,
    "a directory for a file": lambda lab, victim: (lab / "kubeconfig" / "full").mkdir(parents=True),
}


@pytest.mark.parametrize("what", LAID)
def test_what_lies_in_the_directory_is_neither_used_nor_followed(home: Path, what: str) -> None:
    """From a time when others could write there."""
    (home / "lab").mkdir(mode=0o700)
    LAID[what](home / "lab", home.parent / "victim")

    directory = taken()

    assert not any(path.is_symlink() for path in directory.rglob("*"))
    assert not (directory / "bin" / "evil").exists()


def test_why_a_lab_could_not_start_is_kept_in_the_room_made_for_it(home: Path) -> None:
    directory, lock = state.prepare("lab")
    size = (directory / "failed").stat().st_size

    state.say_why(directory, "no space left")

    assert state.why_failed(directory) == "no space left"
    assert (directory / "failed").stat().st_size == size
    (directory / "failed").unlink()
    (directory / "failed").symlink_to(home.parent / "victim" / "file")
    state.say_why(directory, "overwritten")
    os.close(lock)


@pytest.mark.parametrize("laid", ["link", "hard link", "directory"])
def test_a_lock_that_is_none_is_refused(home: Path, laid: str) -> None:
    (home / "lab").mkdir(mode=0o700)
    lock, victim = home / "lab" / "lock", home.parent / "victim" / "file"
    {
        "link": lambda: lock.symlink_to(victim),
        "hard link": lambda: lock.hardlink_to(victim),
        "directory": lock.mkdir,
    }[laid]()

    with pytest.raises(StateError, match="cannot write to"):
        state.prepare("lab")


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["logs"], ["down"], ["up"], ["run"]], ids=" ".join)
def test_every_command_says_it_in_a_sentence(home: Path, words: list[str]) -> None:
    (home / "lab").mkdir()
    (home / "lab").chmod(0o777)

    command = [sys.executable, "-m", "canary_tutorial.lab", *words]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert done.stderr.startswith(f"The lab cannot use {home / 'lab'}.\nOthers may write to it")
    assert "Traceback" not in done.stderr


@root_only
@pytest.mark.parametrize("words", [["status"], ["logs"], ["down"], ["up"]], ids=" ".join)
def test_another_users_lab_is_out_of_reach(home: Path, words: list[str]) -> None:
    """Asked by an ordinary user of a lab of root's, whose directory is closed."""
    (home / "lab").mkdir()
    become = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); os.chdir('/')"
    program = f"import os; from canary_tutorial.lab.commands import cli; {become}; cli({words!r})"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(f"The lab cannot use {home / 'lab'}.\nIt cannot be looked at (Permission denied)")


@root_only
def test_a_lab_json_of_another_user_ends_nobodys_process(home: Path) -> None:
    """Whoever runs `down` may send signals that the other user may not."""
    with subprocess.Popen(["sleep", "1000"]) as sleeping:
        directory = taken()
        started = psutil.Process(sleeping.pid).create_time()
        state.write(directory, Lab("lab", "https://127.0.0.1:1", 16, sleeping.pid, sleeping.pid, started))
        os.chown(directory, NOBODY, NOBODY)

        done = subprocess.run([sys.executable, "-m", "canary_tutorial.lab", "down"], capture_output=True, text=True)

        assert "belongs to the user nobody" in done.stderr
        assert sleeping.poll() is None
        sleeping.kill()
