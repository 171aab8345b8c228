"""A real S3 server for tests, moto's, in a process of its own that listens on this machine alone."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from serving import free_port, wait_for

SECRET = "s3cr3t-0f-the-tests"
_REQUEST = re.compile(rb'"(?:\x1b\[[0-9;]*m)*(GET|HEAD|PUT|DELETE|POST) (\S+) HTTP')


def why_there_is_none() -> str | None:
    """Why no server can be started here, or None."""
    for package in ("s3fs", "moto", "flask", "flask_cors", "boto3"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
    return None


class S3Server:
    """One server; `told` is the file in which it writes down what is asked of it."""

    def __init__(self, port: int, told: Path) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._told = told
        self._seen = 0
        self.client: Any = None

    @property
    def environment(self) -> Mapping[str, str]:
        """Where programs find it, and who they are to it."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def put(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        for key, data in objects.items():
            self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def write_again(self, bucket: str, key: str) -> None:
        """The same bytes under the same key, at another time: that is told by the second."""
        before = self.client.head_object(Bucket=bucket, Key=key)["LastModified"]
        while self.client.head_object(Bucket=bucket, Key=key)["LastModified"] == before:
            time.sleep(0.2)
            data = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
            self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def asked(self) -> list[str]:
        """What was asked since the last call, by others too: "GET /bucket/key", of listings "LIST prefix"."""
        told = self._told.read_bytes()
        new, self._seen = told[self._seen :], len(told)
        return [_named(method.decode(), path.decode()) for method, path in _REQUEST.findall(new)]


def _named(method: str, path: str) -> str:
    listing = re.search(r"[?&]prefix=([^&]*)", path)
    return f"LIST {listing[1]}" if listing and "list-type=2" in path else f"{method} {path.partition('?')[0]}"


@contextmanager
def running_server(folder: Path) -> Iterator[S3Server]:
    """A server that is ended at the end."""
    import boto3

    port, told = free_port(), folder / "asked.log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with open(told, "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "NO_COLOR": "1"})
    try:
        wait_for(port, process)
        server = S3Server(port, told)
        server.client = boto3.client(
            "s3", endpoint_url=server.address, region_name="us-east-1", aws_access_key_id="tests",
            aws_secret_access_key=SECRET,
        )  # fmt: skip
        yield server
    finally:
        process.kill()
        with suppress(OSError):
            process.wait(30)
