"""``fast-graph``: serves an app, executes its runs without serving it, or brings its database up to date.

Knows nothing of graphs and backends: what is served is a module of the user's, and what it keeps is the environment's.
"""

import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from types import FrameType, ModuleType
from typing import Annotated, Any, Literal

import typer
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from fast_graph import runtime
from fast_graph.auth.keys import new_key
from fast_graph.connections import patient_http
from fast_graph.model.errors import ConfigurationError, FastGraphError
from fast_graph.settings import Settings

BAD_TARGET = 2
"""The exit code when there is no app to serve; that of every other wrong argument."""
BAD_CONFIGURATION = 3
"""The exit code when the app cannot start as it is configured; uvicorn's when a start fails."""

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger("fast_graph")

Target = Annotated[str, typer.Argument(help="The app, as module:attribute. The module is looked for from here.")]
Slots = Annotated[
    int | None, typer.Option(min=1, show_default="512", help="Runs executed at a time. Sets FAST_GRAPH_WORKER_SLOTS.")
]
LogLevel = Annotated[
    Literal["critical", "error", "warning", "info", "debug"], typer.Option(help="What is logged to stderr.")
]

HELP = """\
Serve LangGraph graphs over HTTP in the LangGraph Platform dialect.

What is kept where is decided by the environment, or a file .env: nothing set is memory, FAST_GRAPH_SQLITE_PATH is
SQLite, POSTGRE_DATABASE_URL with REDIS_HOST is PostgreSQL and Redis.
"""

SERVE_HELP = """\
Serve an app over HTTP, and execute its runs in the same process.

SIGTERM or Ctrl+C ends it in good order: no new connections, streams end, and runs go on elsewhere from their next
checkpoint.

\b
Examples:
  fast-graph serve                                        app in server.py, on http://127.0.0.1:8000
  fast-graph serve my_app:app --host 0.0.0.0 --port 80    for other machines, too
  fast-graph serve --no-worker                            HTTP only; `fast-graph worker` executes the runs
  fast-graph serve --forwarded-allow-ips '*'              behind a proxy, which alone can reach this process
"""

WORKER_HELP = """\
Execute an app's runs, and serve no HTTP.

The app's own lifespan is entered, too. SIGTERM or Ctrl+C ends it in good order: runs go on elsewhere from their next
checkpoint.

\b
Examples:
  fast-graph worker                                       the runs of app in server.py
  fast-graph worker my_app:app --slots 16                 at most 16 of them at a time
"""

MIGRATE_HELP = """\
Bring the database up to date.

It is the one that the environment names. Prints what was done. A process that starts does the same by itself, unless
FAST_GRAPH_MIGRATE=false.

\b
Examples:
  fast-graph migrate
  POSTGRE_DATABASE_URL=postgresql://me:secret@db/agents REDIS_HOST=redis fast-graph migrate
"""

KEY_HELP = """\
Make an API key.

Prints the key, and what the server needs to know of it: whose it is, and its hash.

\b
Examples:
  fast-graph key alice
"""

commands = typer.Typer(
    help=HELP,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Read the command line and do what it says."""
    commands(prog_name="fast-graph")


class TargetError(Exception):
    """There is no app where the command line says; the text says why."""


def _show_version(*, wanted: bool) -> None:
    if wanted:
        print(f"fast-graph {version('fast-graph')}")
        raise typer.Exit


@commands.callback()
def root(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What every command has: nothing but the version."""


@commands.command(help=SERVE_HELP)
def serve(
    target: Target = "server:app",
    *,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is all there are.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 is any free one.")] = 8000,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Execute no runs here. Sets FAST_GRAPH_WORKER=false.")
    ] = False,
    slots: Slots = None,
    log_level: LogLevel = "info",
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request.")] = False,
    forwarded_allow_ips: Annotated[
        str | None,
        typer.Option(
            envvar="FORWARDED_ALLOW_IPS",
            show_default="127.0.0.1",
            help="Proxies whose X-Forwarded headers count, separated by commas; * is any.",
        ),
    ] = None,
    root_path: Annotated[str, typer.Option(help="The prefix that a proxy takes away from every path.")] = "",
    ssl_certfile: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The certificate, for HTTPS without a proxy.")
    ] = None,
    ssl_keyfile: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Its key, if that is in a file of its own.")
    ] = None,
    timeout_graceful_shutdown: Annotated[
        int, typer.Option(min=0, help="Seconds that open requests get when it stops, before runs get FAST_GRAPH_DRAIN.")
    ] = 5,
) -> None:
    if ssl_keyfile and not ssl_certfile:
        raise typer.BadParameter("--ssl-keyfile needs --ssl-certfile")
    _set(FAST_GRAPH_WORKER="false" if no_worker else None, FAST_GRAPH_WORKER_SLOTS=slots)
    with _told_in_one_line():
        app = _load(target)
        _log_to_stderr(log_level)
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            lifespan="off",  # it is entered around the server
            log_config=None,
            log_level=log_level,
            access_log=access_log,
            forwarded_allow_ips=forwarded_allow_ips,
            root_path=root_path,
            ssl_keyfile=ssl_keyfile,
            ssl_certfile=ssl_certfile,
            timeout_graceful_shutdown=timeout_graceful_shutdown,
            **_patience(app.state.fast_graph.settings),
        )
        _load_certificate(config)
        _run(_serve(app, config), config)


@commands.command(help=WORKER_HELP)
def worker(target: Target = "server:app", *, slots: Slots = None, log_level: LogLevel = "info") -> None:
    _set(FAST_GRAPH_WORKER="true", FAST_GRAPH_WORKER_SLOTS=slots)
    with _told_in_one_line():
        app = _load(target)
        _log_to_stderr(log_level)
        _run(_work(app), uvicorn.Config(app, log_config=None))


@commands.command(help=MIGRATE_HELP)
def migrate() -> None:
    with _told_in_one_line():
        settings = Settings()
        print(asyncio.run(runtime.migrate(settings)))


@commands.command(help=KEY_HELP)
def key(identity: Annotated[str, typer.Argument(help="Whom the server takes the key's holder for.")]) -> None:
    with _told_in_one_line():
        made, entry = new_key(identity)
        print(f"The key, which is kept nowhere: {made}")
        print(f"Add to FAST_GRAPH_API_KEYS:     {entry}")


def _set(**variables: object) -> None:
    """Environment variables, before the app is imported and reads them; None leaves one as it is."""
    os.environ.update({name: str(value) for name, value in variables.items() if value is not None})


# ---- The app


def _load(target: str) -> FastAPI:
    """The app that ``module:attribute`` names. Raises TargetError, or what FastGraph raises as the app is made."""
    name, _, path = target.partition(":")
    if not name or not path:
        raise TargetError(f"{target!r} names no app: it takes module:attribute, such as server:app")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        app = attrgetter(path)(_imported(name))
    except AttributeError:
        raise TargetError(f"The module {name} has no attribute {path}") from None
    if not isinstance(app, FastAPI) or not isinstance(getattr(app.state, "fast_graph", None), runtime.Runtime):
        raise TargetError(f"{target} is no FastGraph app but an object of type {type(app).__name__}: see fastGraph()")
    return app


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = f"{error.name}."
        reason = "there is none" if f"{name}.".startswith(missing) else _described(error)
        raise TargetError(f"The module {name} cannot be imported: {reason}") from error
    except (FastGraphError, ValidationError):
        raise
    except Exception as error:  # the module is a stranger
        raise TargetError(f"The module {name} cannot be imported: {_described(error)}") from error


def _described(error: Exception) -> str:
    """What was raised, and where."""
    importing = (__file__, importlib.__file__)
    frames = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).exists()]
    theirs = [f" ({one.filename}, line {one.lineno})" for one in frames if one.filename not in importing]
    return f"{type(error).__name__}: {error}{''.join(theirs[-1:])}"


# ---- Errors and logs


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    """What keeps an app from being found or from starting is a line on stderr and an exit code, not a traceback."""
    try:
        yield
    except Exception as error:  # whatever else it is goes on as it is
        match _alone(error):
            case TargetError() as cause:
                raise _exit(str(cause), BAD_TARGET) from error
            case FastGraphError() as cause:
                raise _exit(str(cause), BAD_CONFIGURATION) from error
            case ValidationError() as cause:
                raise _exit(_without_input(cause), BAD_CONFIGURATION) from error
        raise


def _alone(error: Exception) -> Exception:
    """An error that task groups have wrapped on its way."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _exit(text: str, code: int) -> typer.Exit:
    print("Error:", " ".join(text.split()), file=sys.stderr)
    return typer.Exit(code)


def _without_input(error: ValidationError) -> str:
    """What is wrong with which setting, but not its value: it may be secret."""
    details = error.errors(include_input=False, include_context=False, include_url=False)
    said = (": ".join([*map(str, one["loc"]), one["msg"].removeprefix("Value error, ")]) for one in details)
    return f"{error.title}: {'; '.join(said)}"


def _log_to_stderr(level: str) -> None:
    """Unless the app has set up logging by itself."""
    logging.basicConfig(format=LOG_FORMAT)
    if log.level == logging.NOTSET:
        log.setLevel(level.upper())


# ---- The process


def _patience(settings: Settings) -> dict[str, Any]:
    """How long clients may take, and for how much."""
    http = patient_http(patience=settings.request_timeout, most_head=settings.max_header_bytes)
    return {"http": http, "timeout_keep_alive": settings.keep_alive}


def _run(work: Coroutine[Any, Any, None], config: uvicorn.Config) -> None:
    """In uvicorn's loop, which is the fastest there is."""
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(work)


def _load_certificate(config: uvicorn.Config) -> None:
    try:
        config.load()
    except OSError as error:
        raise ConfigurationError(f"The certificate or its key cannot be used: {error}") from error


class _Server(uvicorn.Server):
    """uvicorn's, within a lifespan that begins before it and ends after it.

    uvicorn would enter the lifespan by itself, but it logs a traceback when that fails, and it gives up signals, and
    ends by them, before it is known that all is left in good order.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.lifespan_state: Mapping[str, Any] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state.update(self.lifespan_state)
        await super().startup(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # ``_signals_call`` has them


async def _serve(app: FastAPI, config: uvicorn.Config) -> None:
    loop, server = asyncio.get_running_loop(), _Server(config)

    def end(number: int, frame: FrameType | None) -> None:
        server.handle_exit(number, frame)
        # Runs are handed over while open requests are still answered.
        loop.call_soon_threadsafe(app.state.fast_graph.worker.retire)

    with _signals_call(end):
        async with app.router.lifespan_context(app) as state:
            server.lifespan_state = state or {}
            app.state.fast_graph.warn_if_exposed(config.host)
            if not app.state.fast_graph.settings.worker:
                _warn_if_alone(app)
            with suppress(SystemExit):  # it cannot listen, and has logged why; the lifespan ends as it should
                await server.serve()
    if not server.started:
        raise typer.Exit(BAD_CONFIGURATION)


async def _work(app: FastAPI) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    with _signals_call(lambda number, frame: loop.call_soon_threadsafe(stop.set)):
        async with app.router.lifespan_context(app):
            log.info("worker started: process=%s slots=%s", os.getpid(), app.state.fast_graph.settings.worker_slots)
            _warn_if_alone(app)
            await stop.wait()
            log.info("worker stops: process=%s", os.getpid())


def _warn_if_alone(app: FastAPI) -> None:
    """What this process leaves to others is done by nobody, if it is the only one."""
    name = app.state.fast_graph.backend.name
    if name.startswith(("memory", "SQLite")):
        log.warning("the backend is of one process alone, which needs both roles: backend=%s", name)


@contextmanager
def _signals_call(handle: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """SIGTERM and SIGINT do this and nothing else until the end, so that a second one interrupts no draining."""
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main()
