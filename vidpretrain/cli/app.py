"""The typer application: one command per row of the verb table, and the mapping from errors to exit codes.

Exit codes: 0 done, 1 the input is bad (or something unexpected happened), 2 the command is wrong.
"""

import errno
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from vidpretrain import __version__
from vidpretrain.cli import render
from vidpretrain.cli.arguments import Arguments, split
from vidpretrain.cli.output import Output
from vidpretrain.cli.verbs import CONFIG_CLASS, VERBS, Verb, function_of, resolve
from vidpretrain.errors import DiskFull, MissingExtra, VidpretrainError

_EPILOG = "Exit codes: 0 done, 1 the input is bad, 2 the command is wrong."
_ClickException: Any = next(k for k in typer.BadParameter.__mro__ if k.__name__ == "ClickException")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"vidpretrain {__version__}")
        raise typer.Exit


def build_app() -> typer.Typer:
    """The application with every verb of the table."""
    app = typer.Typer(
        name="vidpretrain",
        help="Human video to robot action: training data, policies and their evaluation for humanoids.",
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
        ] = False,
    ) -> None:
        """Human video to robot action."""

    root.__doc__ = app.info.help
    for name, verb in VERBS.items():
        app.command(name, help=_help(verb), epilog=_EPILOG)(_command(name, verb))
    return app


def _help(verb: Verb) -> str:
    takes = "" if verb.inputs == "nothing" else f" Paths are {verb.inputs}."
    return f"{verb.help}{takes}"


_Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")]
_Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def _command(name: str, verb: Verb) -> Callable[..., None]:
    if verb.options == "robots":
        return _robots_command(name)
    if verb.options == "tasks":
        return _tasks_command(name)
    metavar = "CONFIG.yaml|KEY=VALUE" + ("" if verb.inputs == "nothing" else "|PATH")
    words_of = Annotated[
        list[str] | None,
        typer.Argument(metavar=metavar, show_default=False, help="Configuration, overrides and inputs, any order."),
    ]
    if verb.options == "retarget":
        return _retarget_command(name, words_of)
    if verb.options == "export":
        return _export_command(name, words_of)
    if verb.options == "out":
        return _out_command(name, words_of)

    def command(words: Any = None, as_json: _Json = False, debug: _Debug = False) -> None:
        raise typer.Exit(run_verb(name, words or [], as_json=as_json, debug=debug))

    command.__annotations__ = {"words": words_of, "as_json": _Json, "debug": _Debug, "return": None}
    return command


def _retarget_command(name: str, words_of: Any) -> Callable[..., None]:
    robot_of = Annotated[str | None, typer.Option("--robot", metavar="A,B,C", help="Robots: names or YAML files.")]
    out_of = Annotated[str | None, typer.Option("--out", metavar="FOLDER", help="Where results go (else the run's).")]
    view_of = Annotated[bool, typer.Option("--view", help="A film side by side, and an .rrd for rerun.")]
    format_of = Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="npz, gmr, csv or lerobot (else the first three).")
    ]

    def command(
        words: Any = None,
        robot: Any = None,
        out: Any = None,
        view: Any = False,
        format: Any = None,
        as_json: _Json = False,
        debug: _Debug = False,
    ) -> None:
        given = {"robot": robot, "out": out, "view": view or None, "format": format}
        options = {key: value for key, value in given.items() if value is not None}
        raise typer.Exit(run_verb(name, words or [], as_json=as_json, debug=debug, options=options))

    types = {"words": words_of, "robot": robot_of, "out": out_of, "view": view_of, "format": format_of}
    command.__annotations__ = {**types, "as_json": _Json, "debug": _Debug, "return": None}
    return command


def _out_command(name: str, words_of: Any) -> Callable[..., None]:
    out_of = Annotated[str | None, typer.Option("--out", metavar="FOLDER", help="Where results go (else the run's).")]

    def command(words: Any = None, out: Any = None, as_json: _Json = False, debug: _Debug = False) -> None:
        options = {} if out is None else {"out": out}
        raise typer.Exit(run_verb(name, words or [], as_json=as_json, debug=debug, options=options))

    command.__annotations__ = {"words": words_of, "out": out_of, "as_json": _Json, "debug": _Debug, "return": None}
    return command


def _export_command(name: str, words_of: Any) -> Callable[..., None]:
    format_of = Annotated[
        str | None, typer.Option("--format", metavar="A,B", help="torch_export, onnx, or both (else export.formats).")
    ]
    out_of = Annotated[str | None, typer.Option("--out", metavar="FOLDER", help="Where files go (else the run's).")]

    def command(
        words: Any = None, format: Any = None, out: Any = None, as_json: _Json = False, debug: _Debug = False
    ) -> None:
        options = {key: value for key, value in {"format": format, "out": out}.items() if value is not None}
        raise typer.Exit(run_verb(name, words or [], as_json=as_json, debug=debug, options=options))

    types = {"words": words_of, "format": format_of, "out": out_of}
    command.__annotations__ = {**types, "as_json": _Json, "debug": _Debug, "return": None}
    return command


def _robots_command(name: str) -> Callable[..., None]:
    def command(
        words: Annotated[
            list[str] | None,
            typer.Argument(metavar="NAME|FILE|add MODEL", show_default=False, help="What to show, or what to add."),
        ] = None,
        out: Annotated[str | None, typer.Option("--out", metavar="FILE.yaml", help="Where to write.")] = None,
        as_json: _Json = False,
        debug: _Debug = False,
    ) -> None:
        given = [word.removeprefix("out=") for word in words or [] if word.startswith("out=")]
        rest = [word for word in words or [] if not word.startswith("out=")]
        target = out if out is not None else given[-1] if given else None
        options = {} if target is None else {"out": target}
        raise typer.Exit(run_verb(name, rest, as_json=as_json, debug=debug, options=options))

    return command


def _tasks_command(name: str) -> Callable[..., None]:
    def command(
        words: Annotated[
            list[str] | None,
            typer.Argument(metavar="check|record NAME|FILE.py", show_default=False, help="What to do with which task."),
        ] = None,
        robot: Annotated[str | None, typer.Option("--robot", metavar="NAME", help="A robot with two arms.")] = None,
        episodes: Annotated[int | None, typer.Option("--episodes", min=1, help="How many (else 50).")] = None,
        seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the first episode (else 0).")] = None,
        workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes (else 2).")] = None,
        out: Annotated[str | None, typer.Option("--out", metavar="FOLDER", help="Where a recording goes.")] = None,
        as_json: _Json = False,
        debug: _Debug = False,
    ) -> None:
        given = {"robot": robot, "episodes": episodes, "seed": seed, "workers": workers, "out": out}
        options = {key: value for key, value in given.items() if value is not None}
        raise typer.Exit(run_verb(name, words or [], as_json=as_json, debug=debug, options=options))

    return command


def run_verb(
    name: str,
    words: Sequence[str],
    *,
    as_json: bool = False,
    debug: bool = False,
    options: Mapping[str, Any] | None = None,
) -> int:
    """The exit code of one verb, after its result or its error has been written."""
    with Output(as_json=as_json, debug=debug) as output:
        try:
            arguments = split(words, yaml_is_input=VERBS[name].yaml_is_input)
            config = _config(arguments, VERBS[name])
            result = function_of(name)(config, arguments.inputs, **(options or {}))
            output.result(result)
            return 0 if result.get("ok", True) else 1
        except VidpretrainError as error:
            return output.error(error, error.exit_code)
        except ModuleNotFoundError as error:
            return output.error(_missing(error), 1)
        except OSError as error:
            return output.error(_disk_full(error) if error.errno == errno.ENOSPC else error, 1)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a short message instead of a traceback
            return output.error(error, 1)


def _config(arguments: Arguments, verb: Verb) -> Any:
    from vidpretrain.config import load

    if not verb.needs_config and arguments.config is None and not arguments.overrides:
        return None
    return load(resolve(CONFIG_CLASS), arguments.config, arguments.overrides)


def _missing(error: ModuleNotFoundError) -> Exception:
    if (error.name or "").startswith("vidpretrain"):
        return error
    return MissingExtra(
        f"the package {error.name!r} is not installed",
        asked=error.name,
        next_command="make setup (or: vidpretrain doctor)",
    )


def _disk_full(error: OSError) -> DiskFull:
    return DiskFull(
        "no space left on the device; files that were not finished are not used",
        asked=error.filename,
        next_command="free some space (vidpretrain doctor shows how much there is), then type the same command again",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = build_app()(args=words, prog_name="vidpretrain", standalone_mode=False)
    except _ClickException as error:
        if "--json" in words:
            sys.stdout.write(render.error_json(error, 2) + "\n")
        else:
            error.show()
        code = 2
    except typer.Exit as leave:
        code = leave.exit_code
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("stopped\n")
        code = 130
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads any more: leave without a second complaint
        code = 0
    except Exception:  # noqa: BLE001 - typer itself failed
        traceback.print_exc()
        code = 1
    sys.exit(code or 0)
