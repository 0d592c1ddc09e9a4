"""The built wheel, checked as a user gets it: sdist, wheel, an empty environment, the demonstration.

The tracked files are copied to an empty folder and built there, so what is not committed cannot help. The wheel must
hold every tracked file of `src/sessionstream` and `projections`, and nothing else beside its metadata. It is installed
outside the checkout, and `sessionstream demo` runs from there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path
from subprocess import PIPE, STDOUT

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"src/sessionstream/": "sessionstream/", "projections/": "sessionstream/projections/"}
EXTRAS = "embedded,cli,crypto"
DEMO_DEADLINE = 120.0


def tracked() -> list[str]:
    """The tracked files that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


def installed_name(path: str) -> str | None:
    """Where the wheel has a file of the checkout, or None if it does not belong there."""
    return next((path.replace(room, place, 1) for room, place in ROOMS.items() if path.startswith(room)), None)


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None, timeout: float | None = None) -> None:
    """Run a command; what it prints is shown only if it fails."""
    words = [str(word) for word in command]
    result = subprocess.run(words, cwd=cwd, env=env, timeout=timeout, text=True, stdout=PIPE, stderr=STDOUT)
    if result.returncode:
        sys.exit(f"{result.stdout}\nfailed: {' '.join(words)}")


def build(work: Path) -> Path:
    """Build the sdist from the tracked files, and the wheel from the sdist."""
    source = work / "source"
    for path in tracked():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, source / path)
    run(sys.executable, "-m", "build", "--outdir", work / "dist", source, cwd=work)
    return next((work / "dist").glob("*.whl"))


def compare(wheel: Path) -> list[str]:
    """What the wheel lacks, and what it should not have."""
    wanted = {name for path in tracked() if (name := installed_name(path))}
    held = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in held if name.split("/")[0].endswith(".dist-info")}
    return [
        *(f"the wheel lacks {name}" for name in sorted(wanted - held)),
        *(f"the wheel holds {name}, which is not tracked" for name in sorted(held - wanted - metadata)),
    ]


def demonstrate(wheel: Path, work: Path) -> None:
    """Install the wheel where nothing else is, and run the demonstration from there."""
    environment, home = work / "environment", work / "home"
    home.mkdir()
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"sessionstream[{EXTRAS}] @ {wheel.as_uri()}", cwd=home)
    foreign = ("PYTHON", "SESSIONSTREAM_", "XDG_", "VIRTUAL_ENV")
    settings = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    command = environment / "bin" / "sessionstream"
    run(command, "demo", cwd=home, env={**settings, "HOME": str(home)}, timeout=DEMO_DEADLINE)


def main() -> None:
    """Build, compare, install, demonstrate."""
    with tempfile.TemporaryDirectory(prefix="sst-wheel-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        wheel = build(work)
        if problems := compare(wheel):
            sys.exit("\n".join(problems))
        demonstrate(wheel, work)
        print(f"wheel: {wheel.name} holds every file, and the demonstration runs from it")


if __name__ == "__main__":
    main()
