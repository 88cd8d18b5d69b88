"""A machine that has neither a checkout nor Prometheus and hey: the wheel to bring there, and a PATH without them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, in `folder`."""
    build = ["wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", ROOT]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def bare_path(programs: Path) -> str:
    """A PATH with everything of this machine but prometheus and hey; `programs` is a directory to fill."""
    programs.mkdir()
    for directory in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for program in Path(directory).iterdir():
            link = programs / program.name
            if program.name not in {"prometheus", "hey"} and not link.is_symlink():
                link.symlink_to(program)
    return str(programs)
