"""S3 stores through Arrow's client: no further dependency, exact byte ranges.

DataJoint opens a store of protocol ``s3`` with fsspec's file system of that name. `register_object_store` makes it this
one, which takes the same keywords as s3fs (``key``, ``secret``, ``client_kwargs``).
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import fsspec
import pyarrow.fs
from fsspec.implementations.arrow import ArrowFSWrapper


class S3FileSystem(ArrowFSWrapper):
    """An S3 service as fsspec's file system.

    Parameters
    ----------
    key, secret : str, optional
        Access key and its secret; without them the identity of the machine or of AWS's own configuration.
    client_kwargs : dict, optional
        ``endpoint_url``: address of the service. ``region_name``: its region; else ``AWS_REGION``, else us-east-1.
    """

    def __init__(
        self, key: str | None = None, secret: str | None = None, client_kwargs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        options = client_kwargs or {}
        endpoint = urlsplit(options.get("endpoint_url", "https://s3.amazonaws.com"))
        region = options.get("region_name") or os.environ.get("AWS_REGION") or "us-east-1"
        client = pyarrow.fs.S3FileSystem(
            access_key=key,
            secret_key=secret,
            endpoint_override=endpoint.netloc,
            scheme=endpoint.scheme,
            region=region,
            connect_timeout=10,
            request_timeout=60,
        )
        super().__init__(fs=client)

    @classmethod
    def _strip_protocol(cls, path: str | list[str]) -> Any:
        """Bucket and key; a key may hold any sign, so that it is not parsed as an address."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("s3://").rstrip("/")


def register_object_store() -> None:
    """Let fsspec, and with it DataJoint, open ``s3`` with `S3FileSystem` in this process."""
    fsspec.register_implementation("s3", S3FileSystem, clobber=True)
