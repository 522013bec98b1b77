"""Start the local S3 server of `s3_server.py`, with an empty bucket."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow.fs

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-s3" / "bin" / "python"


class LocalS3:
    """A running S3 server, ended at the end of the block.

    Attributes
    ----------
    url : str
        Its address on the loopback interface.
    """

    url: str

    def __enter__(self) -> LocalS3:
        if not PYTHON.exists():
            raise RuntimeError(f"{PYTHON} is missing: 'make s3-server' makes the environment of the local S3 server")
        self._process = subprocess.Popen(
            [str(PYTHON), str(Path(__file__).with_name("s3_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        self._client = pyarrow.fs.S3FileSystem(
            access_key="test",
            secret_key="test",
            endpoint_override=self.url.removeprefix("http://"),
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        self._client.create_dir("lab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)

    def upload(self, folder: Path, location: str) -> None:
        """Copy the files of a folder into the bucket."""
        pyarrow.fs.copy_files(str(folder), f"lab/{location}", destination_filesystem=self._client)

    def store(self, location: str) -> dict[str, Any]:
        """Configuration of a store in the bucket, as DataJoint takes it."""
        return {
            "protocol": "s3",
            "endpoint": self.url.removeprefix("http://"),
            "bucket": "lab",
            "location": location,
            "access_key": "test",
            "secret_key": "test",
            "secure": False,
        }

    def sent_bytes(self) -> int:
        """Bytes of all bodies that it sent in answer to GET requests so far."""
        with urllib.request.urlopen(f"{self.url}/_sent") as answer:
            return int(answer.read().split()[0])
