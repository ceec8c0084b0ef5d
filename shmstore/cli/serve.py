"""`shmstore-serve`: the service over HTTP, until a signal comes. Each option has a variable `SHMSTORE_...` as well."""

import argparse
import os
import resource
import signal
import sys
import warnings
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any

from shmstore.arguments import units
from shmstore.cli import completion
from shmstore.cli.exits import EXIT_CODES_HELP, OK, guard

if TYPE_CHECKING:
    from shmstore.http.request_log import Lines

PROGRAM = "shmstore-serve"
DEFAULT_THREADS = 64
GRACE_S = 10.0  # for requests on their way

_VARIABLES = "SHMSTORE_"
_MOST_THREADS = 10_000


class _VersionAction(argparse.Action):
    """``--version``: print it and exit; what knows it is loaded only then."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Print the version; argparse calls this when it meets the option."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"{PROGRAM} {version('shmstore')}")
        except PackageNotFoundError:
            print(f"{PROGRAM}, of shmstore that is not installed")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool on these arguments (those of the process when None) and return its exit code."""
    return guard(PROGRAM, lambda: _run(argv))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the tool; completion scripts and tests read it too."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Serve streams and metrics over HTTP. Several may serve one store, each at its own port, and other "
        "programs may open it meanwhile. Ends on SIGTERM or SIGINT, when the requests on their way are answered; "
        "the second one ends it at once.",
        epilog=f"Each option may be given as a variable as well, such as {_VARIABLES}NAME; options win.\n"
        f"Tokens are better given so: other users see the options of a process.\n\n"
        f"example:\n  {PROGRAM} --name orders --port 7070 --access-log -\n\n{EXIT_CODES_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--name", help="the store (default: events)")
    add("--capacity", type=units.some, metavar="N", help="events that a new store keeps")
    add("--partitions", type=units.some, metavar="N", help="partitions of a new store")
    add("--event-size", type=units.some, metavar="BYTES", help="room for the data of an event of a new store")
    add("--host", help="where to listen (default: 127.0.0.1, for this machine only)")
    add("--port", type=_port, help="where to listen (default: 7070; 0: any that is free)")
    add("--unix", metavar="PATH", help="listen at this path instead, for a proxy on this machine")
    add("--hosts", metavar="NAMES", help="names under which others know this service, with commas; * is any")
    add("--admin-token", metavar="TOKEN", help="what requests below /admin must bring")
    add("--read-token", metavar="TOKEN", help="what all other requests must bring")
    add("--body-limit", type=units.some, metavar="BYTES", help="the largest body of a request (default: 1 MiB)")
    add("--threads", type=_threads, metavar="N", help=f"requests answered at once (default: {DEFAULT_THREADS})")
    add(
        "--access-log", metavar="FILE", help="append a JSON line a request to this file, anew after SIGHUP; - is stdout"
    )
    add("--version", action=_VersionAction, nargs=0, help="print the version and exit")
    completion.declare(parser)
    return parser


def _run(argv: Sequence[str] | None) -> int:
    arguments = vars(build_parser().parse_args(argv))
    options = {name: value for name, value in arguments.items() if value is not None}
    threads = _chosen(options.pop("threads", None), "THREADS", _threads) or DEFAULT_THREADS
    log = _chosen(options.pop("access_log", None), "ACCESS_LOG", str)
    path = _chosen(options.pop("unix", None), "UNIX", str)
    return serve(options, threads, log, path)


def serve(options: Mapping[str, Any], threads: int, log: str | None, path: str | None) -> int:
    """Serve with these options, of which those that are missing are left to the environment."""
    from shmstore.http import local
    from shmstore.http.server import Server  # here, so that --help and completion start at once
    from shmstore.http.service import Service, share_requests
    from shmstore.http.settings import Settings

    warnings.showwarning = _show_warning  # type: ignore[assignment]
    settings = Settings.from_environment(**options)
    _allow_many_connections()
    with closing(Service(settings)) as service, ExitStack() as closed_before:
        server = Server(
            service,
            settings.host,
            settings.port,
            path=path,
            threads=threads,
            body_limit=settings.body_limit,
            access_log=_opened(log, closed_before),
        )
        if path is not None:
            closed_before.callback(local.remove, path, local.mark_of(path))
        closed_before.callback(server.close)
        service.stores()  # what is wrong with them is told now, not at the first request
        share_requests(settings)
        for number in (signal.SIGTERM, signal.SIGINT, *_hangups(log)):
            signal.signal(number, lambda *_: server.stop(0 if server.is_stopping else GRACE_S))
        host = f"[{server.host}]" if ":" in server.host else server.host
        where = f"http://{host}:{server.port}" if path is None else f"unix:{path}"
        print(f"{PROGRAM}: {settings.name} at {where}", file=sys.stderr, flush=True)
        server.serve_forever()
    return OK


def _hangups(log: str | None) -> Sequence[signal.Signals]:
    """SIGHUP where it means that the terminal is gone; elsewhere it asks for a new log, and without one for nothing."""
    if log and log != "-":
        return ()
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # by nohup
        return ()
    if sys.stdin is not None and sys.stdin.isatty():
        return (signal.SIGHUP,)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return ()


def _allow_many_connections() -> None:
    """Each takes a descriptor, and where nothing was said the limit is one for programs that use select()."""
    with suppress(ValueError, OSError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _show_warning(message: Warning | str, *_where: object) -> None:
    """Where in the code a warning was given is nothing to whoever runs the program."""
    print(f"{PROGRAM}: {message}", file=sys.stderr, flush=True)


def _opened(log: str | None, closed_later: ExitStack) -> "Lines | None":
    from shmstore.http.request_log import LogFile

    if not log or log == "-":
        return sys.stdout if log else None
    try:
        file = closed_later.enter_context(closing(LogFile(log)))
    except OSError as error:
        raise OSError(f"the log {log!r} cannot be opened: {error.strerror}") from error
    signal.signal(signal.SIGHUP, lambda *_: file.reopen())
    return file


def _chosen(given: Any, variable: str, read: Callable[[str], Any]) -> Any:
    """An option, or its variable. Raises InvalidOption, which names the variable."""
    text = os.environ.get(_VARIABLES + variable)
    if given is not None or not text:
        return given
    from shmstore.errors import InvalidOption

    try:
        return read(text)
    except ArgumentTypeError as error:
        raise InvalidOption(f"{_VARIABLES}{variable}: {error}") from None


def _port(text: str) -> int:
    port = units.whole(text)
    if port > 65535:
        raise ArgumentTypeError(f"{text!r} is not a port; give one from 0 to 65535")
    return port


def _threads(text: str) -> int:
    threads = units.some(text)
    if threads > _MOST_THREADS:
        raise ArgumentTypeError(f"{text!r} is too many threads; {_MOST_THREADS} are the most")
    return threads


if __name__ == "__main__":
    sys.exit(main())
