"""Run commands of orofacial, and programs: each in a process forked from this one, which has imported what is slow.

    python tests/command_server.py SOCKET

A command takes about two seconds to import pandas, which DataJoint needs, and the like; the tests run hundreds of them.
Nothing of this project and nothing of DataJoint is imported here, since these read variables and folders as they are
imported. A request is one JSON object on a connection of its own, with the command's standard streams beside it; the
answer is its exit code.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time

SLOW_IMPORTS = (
    *("duckdb", "fsspec", "networkx", "packaging.version", "pandas", "psycopg2", "pyarrow.parquet"),
    *("pydantic_settings", "pymysql", "pyparsing", "rich_click", "rich.jupyter", "rich.progress", "scipy.signal"),
)


def main(address: str) -> None:
    for name in SLOW_IMPORTS:
        importlib.import_module(name)
    gc.freeze()  # else each child goes through all that is imported here as it ends, which takes half a second
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that answered are not waited for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("listening", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    return answer(connection)


def answer(connection: socket.socket) -> None:
    """Run one command and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(2**16)
    child = os.fork()
    if child == 0:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        return run(**json.loads(message))
    _, status = os.waitpid(child, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def run(words: list[str], program: str | None, variables: dict[str, str], folder: str) -> None:
    """Be the command, or the program."""
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    os.chdir(folder)
    sys.path[0] = folder
    sys.path[1:1] = filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))
    with contextlib.suppress(ImportError):
        importlib.import_module("sitecustomize")  # as a Python that starts does
    if program is None:
        sys.argv = ["orofacial", *words]
        runpy.run_module("pipeline.cli", run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *words]
        exec(compile(program, "<program>", "exec"), vars(sys.modules["__main__"]))


if __name__ == "__main__":
    main(sys.argv[1])
