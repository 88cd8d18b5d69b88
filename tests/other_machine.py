"""A machine that has neither a checkout nor Prometheus and hey."""

from pathlib import Path


def bare_path(programs: Path) -> str:
    """A PATH with everything of this machine but prometheus and hey; `programs` is a directory to fill."""
    programs.mkdir()
    for directory in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for program in Path(directory).iterdir():
            link = programs / program.name
            if program.name not in {"prometheus", "hey"} and not link.is_symlink():
                link.symlink_to(program)
    return str(programs)
