"""The recipes of docs/photos.md run as they are written, with processes in the place of machines."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import snippets

ROOT = Path(__file__).parents[2]
STYLE = "starry-night-tiny"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with photos, a manifest of them, and the command."""
    (tmp_path / "photos").mkdir()
    for number in range(8):
        Image.new("RGB", (32, 32), (number * 20, 90, 150)).save(tmp_path / f"photos/{number}.png")
    with (tmp_path / "photos.csv").open("w", newline="") as file:
        rows = [(f"photos/{number}.png", f"stylized/{number}.png") for number in range(8)]
        csv.writer(file).writerows([("in", "out"), *rows])
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/fast-style"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fast_style "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run(script: str, place: Path, **variables: str) -> None:
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)} | variables
    script = script.replace("starry-night", STYLE)
    done = subprocess.run(["bash", "-euc", script], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def check(place: Path, status: Path) -> None:
    assert len(list((place / "stylized").glob("[!.]*.png"))) == 8
    with status.open(newline="") as file:
        assert {row["status"] for row in csv.DictReader(file)} == {"done"}


def test_copies_share_a_folder(place: Path) -> None:
    run(snippets("docs/photos.md", "sh")[0], place)
    check(place, place / "stylized/status.csv")
    assert len(list((place / "stylized").glob(".fast-style-?-of-4.jsonl"))) > 1


def test_the_tasks_of_a_slurm_array_share_a_manifest(place: Path) -> None:
    (script,) = [block for block in snippets("docs/photos.md", "bash") if "SLURM_ARRAY_TASK_ID" in block]
    for number in ("1", "2"):
        run(script, place, SLURM_ARRAY_TASK_ID=number, SLURM_ARRAY_TASK_COUNT="2")
    run("fast-style batch photos.csv -s starry-night --merge", place)
    check(place, place / "photos-status/status.csv")


def test_the_pods_of_a_kubernetes_job_share_a_manifest(place: Path) -> None:
    (page,) = snippets("docs/photos.md", "yaml")
    (script,) = re.findall(r"command: \[sh, -c, '(.*)'\]", page)
    (count,) = re.findall(r"completions: (.+)", page)
    assert f'/{count}"' in script
    for index in ("0", "1"):
        small = script.replace("/mnt/shared/", "").replace(f"/{count}", "/2")
        run(small, place, JOB_COMPLETION_INDEX=index)
    run("fast-style batch photos.csv -s starry-night --merge", place)
    check(place, place / "photos-status/status.csv")
