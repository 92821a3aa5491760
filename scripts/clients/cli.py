"""Runs aws cli commands. Each is a process of its own, forked from one that has imported aws cli: that takes longer
than most commands do."""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["awscli.clidriver", "awscli.customizations.s3.s3"])


def run(*arguments, data=b"", env=None, timeout=240):
    """Runs `aws ARGUMENT...` with data at its standard input, a pipe, and gives what subprocess.run does. env is added to the environment."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reader, writer = _server.Pipe(duplex=False)
        files = [f"/proc/{os.getpid()}/fd/{f.fileno()}" for f in (out, err)]
        process = _server.Process(target=_command, args=(arguments, reader, files, {**os.environ, **(env or {})}))
        process.start()
        reader.close()
        with writer, contextlib.suppress(BrokenPipeError):
            left = memoryview(data)
            while left:
                left = left[os.write(writer.fileno(), left):]
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read(), err.read())


def _command(arguments, reader, files, env):
    """Is the process of a command."""
    for fd, path in enumerate(files, 1):
        opened = os.open(path, os.O_WRONLY)
        os.dup2(opened, fd)
        os.close(opened)
    os.dup2(reader.fileno(), 0)
    reader.close()
    sys.stdin = open(0)  # multiprocessing closes it
    os.environ.update(env)  # aws cli has put its own there
    sys.argv = ["aws", *arguments]
    from awscli.clidriver import main

    sys.exit(main())
