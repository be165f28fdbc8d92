"""A wheel for every pin, Python and system that README.md names: nobody needs a compiler."""

import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from built import ROOT

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
TAGS = "_2_28 _2_27 _2_26 _2_24 _2_17 2014 2010 1".split()
SYSTEMS = {
    "linux-x86_64": [f"manylinux{k}_x86_64" for k in TAGS],
    "linux-aarch64": [f"manylinux{k}_aarch64" for k in TAGS],
    "darwin-arm64": ["macosx_14_0_arm64"],
    "win32-AMD64": ["win_amd64"],
}


def pins(python: str, system: str) -> list[str]:
    """Lines of requirements.txt that apply there."""
    platform, machine = system.split("-")
    there = {
        "python_full_version": f"{python}.0",
        "sys_platform": platform,
        "platform_machine": machine,
        "os_name": "nt" if platform == "win32" else "posix",
    }
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = map(Requirement, (line for line in lines if not line.startswith("-e")))
    return [
        f"{pin.name}{pin.specifier}"
        for pin in found
        if pin.marker is None or pin.marker.evaluate(there)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_has_a_wheel(python, system, tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {PYTHONS[0]} から {PYTHONS[-1]}" in readme
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "-q"]
    command += ["--only-binary=:all:", "--target", tmp_path, "--python-version", python]
    command += [f"--platform={tag}" for tag in SYSTEMS[system]]
    command += pins(python, system)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
