"""The application: its verbs, and what becomes of errors."""

import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args

from cyclopts import (
    App,
    ArgumentCollection,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    UnknownCommandError,
    UnusedCliTokensError,
    validators,
)

from fast_style import __version__
from fast_style.cli.ui.help import Basics, with_examples
from fast_style.errors import FastStyleError, InputError, did_you_mean, is_out_of_memory

DONE, SOME_FAILED, FAILED, INTERRUPTED = 0, 1, 2, 130

# An option that is on if it is given, without a --no- form; and where the result goes.
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Out = Annotated[Path, Parameter(name=["--out", "-o"])]
Port = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))]

# Settings that libraries read once, when they are loaded or first used; a user's own come first.
_ENVIRONMENT = {
    # Threads for numpy's linear algebra, of which nothing here makes use, cost up to 60 ms of CPU.
    "OPENBLAS_NUM_THREADS": "1",
    # Errors only: the AV1 encoder has no other switch for its log.
    "SVT_LOG": "1",
    # What OpenCV and its FFmpeg warn of is said in our own words.
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    # The Qt in OpenCV's wheels carries no fonts, and says so many times.
    "QT_LOGGING_RULES": "default.warning=false",
}

# Each verb is a function of its own name in a module of its own name, imported when it is called.
VERBS = {
    "stylize": "Stylize photos and videos.",
    "styles": "List the styles of fast-style and of the studio.",
    "sheet": "Show one photo in every style, labeled.",
    "webcam": "Stylize what a camera sees, live.",
    "train": "Train a style on a painting and a folder of photos, and export it.",
    "studio": "Open a page on this machine in which styles are made, tried and kept, until Ctrl-C.",
    "info": "Describe a model, or this machine: what it can run, how fast, and what is missing.",
    "batch": "Stylize the photos that a manifest lists, on one machine or on many.",
    "merge": "Put several styles of one network into one file, proved equal to each of them.",
    "export": "Write a checkpoint's network, or a style, as ONNX for other programs, and prove it equal.",
    "web": "Write a page that stylizes photos and the camera in the browser; nothing is uploaded.",
    "optimize": "Stylize one photo by optimizing its pixels: slow, and the reference for quality.",
    "evaluate": "Measure how good a style is, compared with the per-image reference.",
    "inspect": "Look inside the perceptual network.",
}
# The verbs used most.
EXAMPLES = {
    "stylize": "fast-style stylize photo.jpg -s starry-night -o out.png",
    "styles": "fast-style styles",
    "sheet": "fast-style sheet photo.jpg -o sheet.png",
    "webcam": "fast-style webcam -s starry-night",
    "train": "fast-style train painting.jpg photos/ -o runs/mine",
}
HELP_ALL = "--help-all"


def _check_whole(app: App, commands: Sequence[str], arguments: ArgumentCollection) -> None:
    """Raise InputError for a fraction where a whole number is expected; cyclopts would round it."""
    for argument in arguments:
        if int in _types(argument.hint):
            for token in argument.tokens:
                if "." in token.value:
                    raise InputError(f"{token.keyword} is {token.value}; expected a whole number")


def _types(hint: Any) -> Iterator[Any]:
    """Yield the types in an annotation, such as int in ``list[int] | None``."""
    yield hint
    for part in get_args(hint):
        yield from _types(part)


_FIRST = Group("The verbs used most", sort_key=1, help_formatter=with_examples(EXAMPLES))
_OTHER = Group("Other verbs", sort_key=2)
_OPTIONS = Group("Options", sort_key=3)

app = App(
    name="fast-style",
    help="Fast neural style transfer: train a style on one painting, prove its ONNX export equal, run it anywhere.",
    help_flags=["--help", "-h", HELP_ALL],
    # No list has an option that empties it; and a file may be called [1].jpg, which is not JSON.
    default_parameter=Parameter(negative_iterable="", json_list=False, json_dict=False),
    version=__version__,
    config=_check_whole,
    suppress_keyboard_interrupt=False,  # main says what happened
)
for _number, (_verb, _help) in enumerate(VERBS.items()):
    _group = _FIRST if _verb in EXAMPLES else _OTHER
    app.command(f"fast_style.cli.{_verb}:{_verb}", name=_verb, help=_help, group=_group, sort_key=_number)
app.command(
    "fast_style.cli.completion:install_completion",
    name="--install-completion",
    help="Let the shell complete verbs, options and styles.",
    group=_OPTIONS,
)
for _flag in ("--help", "--version"):
    app[_flag].group = _OPTIONS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 some inputs failed, 2 bad usage or nothing done."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Pillow's are harmless or repeated by our errors.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    given = sys.argv[1:] if arguments is None else arguments
    # Path reads "./-" as "-", which cyclopts would take for an option.
    tokens = ["./-" if argument == "-" else argument for argument in given]
    app.help_formatter = None if HELP_ALL in tokens else Basics()
    # The verbs' docstrings need Markdown, whose lines flow. It takes 50 ms to import, and the first page goes without.
    app.help_format = "markdown" if VERBS.keys() & tokens else "plaintext"
    try:
        if "" in tokens:  # a path would be the current folder
            raise InputError("an argument is empty", hint="Is a variable of the shell not set?")
        _give_whole_help(tokens)
        status = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        _tell_interrupted()
        return INTERRUPTED
    except FastStyleError as error:
        report_error(error)
    except CycloptsError as error:
        chain = " ".join(["fast-style", *(error.command_chain or ())])
        needed = error.argument.names if isinstance(error, MissingArgumentError) and error.argument else ()
        # evaluate's --style, without the short form, is a painting.
        listed = "'fast-style styles' for the styles, and " if "-s" in needed else ""
        files = [token for token in tokens if token.startswith("-") and Path(token).is_file()]
        hint = f"For the file of that name, give ./{files[0]}." if files else f"See {listed}'{chain} --help'."
        print_error(_explain(error), hint)
    except ImportError as error:
        from fast_style.extras import missing_extra  # 30 ms, and only errors need it

        cause = error.__cause__ or error  # cyclopts raises from it if the verb's own module cannot be imported
        if not isinstance(cause, ImportError) or (missing := missing_extra(cause)) is None:
            raise
        report_error(missing)
    except BrokenPipeError:
        _discard_output()  # its reader has gone, as `| head` does
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print_error("memory ran out", "Give a smaller --size, or for a training a smaller --batch.")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print_error(f"{where}{error.strerror or error}")
    else:
        return status if isinstance(status, int) else DONE
    return FAILED


def _give_whole_help(tokens: Sequence[str]) -> None:
    """Let the page of the verb that is called have its whole docstring; other pages have a line for it."""
    called = app
    for token in tokens:
        if token.startswith("-") or token not in called:
            break
        called = called[token]
    if called.default_command is not None:
        called.help = called.default_command.__doc__


def _explain(error: CycloptsError) -> str:
    """Say in one line what is wrong with the command."""
    unused, argument = error.unused_tokens or [], error.argument
    if isinstance(error, UnknownCommandError) and unused and error.app is not None:
        # Said in our words: for its own, cyclopts imports every verb, and their libraries need not be installed.
        verbs = [name for name in error.app if not name.startswith("-")]
        return f"there is no verb {unused[0]!r}{did_you_mean(unused[0], verbs, cutoff=0.6)}"
    if isinstance(error, UnusedCliTokensError) and unused:
        return f"{unused[0]!r} is not expected here"
    if type(error) is not MissingArgumentError or argument is None:  # its subclasses count what was given
        return " ".join(str(error).split())
    if error.keyword:
        return f"{error.keyword} needs a value"
    for token in unused:
        if token.startswith("-") and (guess := did_you_mean(token, argument.names, cutoff=0.6)):
            return f"there is no option {token!r}{guess}"
    name = argument.name if argument.index is None else argument.name.strip("-").upper()
    return f"{' '.join(error.command_chain or ())} needs {name}"


def run() -> NoReturn:
    """Run the command, and end the process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr's: names of files need not be text
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, CtrlC.press)
    try:
        status = main()
    except (KeyboardInterrupt, ImportError) as error:
        # A second Ctrl-C, before or after the first was told; or what numpy and ONNX Runtime make of it as they load.
        if isinstance(error, ImportError) and not CtrlC.came:
            raise
        _tell_interrupted()
        status = INTERRUPTED
    interrupted = CtrlC.came or status == INTERRUPTED  # a recording, too, which ends with 0
    CtrlC.told = CtrlC.told or interrupted
    try:
        for stream in filter(None, (sys.stderr, sys.stdout)):  # None if it was closed before the start
            stream.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print_error(f"standard output: {error.strerror}")
        _discard_output()
        status = FAILED
    if interrupted:
        # A second Ctrl-C may have left a thread in ONNX Runtime, which aborts if Python ends around it; and while
        # Python ends, keys that are held down would kill it.
        os._exit(status)
    sys.exit(status)


class CtrlC:
    """What Ctrl-C does in a process of its own: it raises KeyboardInterrupt until its end is told."""

    came = told = False

    @classmethod
    def press(cls, *details: object) -> None:
        """Handle the signal."""
        cls.came = True
        if not cls.told:
            raise KeyboardInterrupt


def _tell_interrupted() -> None:
    """Say that Ctrl-C ended the command, even if its keys are held down."""
    CtrlC.told = True
    print_error("interrupted")


def _discard_output() -> None:
    """Let what stdout still holds go nowhere, or Python would complain again while closing it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report_error(error: FastStyleError, *, about: str | None = None) -> None:
    """Print an error of ours, and its remedy."""
    print_error(f"{about}: {error}" if about and about not in str(error) else str(error), error.hint)


def print_error(message: str, hint: str | None = None) -> None:
    """Print ``error:`` and ``hint:`` lines on stderr."""
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
