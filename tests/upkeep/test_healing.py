"""A lost original comes back from where it was downloaded: the check, the sweeper, the worker and the
origin together."""

import os
import subprocess
import sys
from pathlib import Path

from tests import pictures
from tests.origin import origin, versioned
from tests.servers import ROOT, wait_until
from tests.taskstack import task_stack


def test_lost_original_is_downloaded_again_though_the_origin_knows_us(tmp_path: Path) -> None:
    body = pictures.photo(60, 40, seed=5)
    with origin() as server, task_stack(tmp_path / "tasks", server, SCRUB_BYTES_PER_S="0") as stack:
        server.paths["/lost.jpg"] = versioned(body, etag='"v1"')
        stack.start_worker()
        task = stack.ended(stack.download(server.url("/lost.jpg"), domain="lost", dkey="lost.jpg")["id"])
        sha256 = stack.http.get(f"/images/{task['image_id']}").json()["sha256"]
        path = stack.folder / "data" / "originals" / sha256[:2] / sha256[2:4] / sha256
        path.unlink()

        command = [sys.executable, "-m", "imagestore.commands", "fsck", "--repair"]
        env = {"PATH": os.environ["PATH"], **stack.env}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

        assert done.returncode == 1, done.stderr
        assert f"missing {sha256}" in done.stdout
        assert "downloads it again" in done.stdout
        wait_until(path.exists, what="the original is there again", timeout_s=60)
        assert path.read_bytes() == body
        assert stack.ended(task["id"] + 1)["image_id"] == task["image_id"]
        assert stack.stop_workers() == [0]
