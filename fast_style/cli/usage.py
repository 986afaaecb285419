"""What was wrong with how a verb was called, in words that need no knowledge of the code."""

from __future__ import annotations

from itertools import takewhile

from cyclopts import CycloptsError
from cyclopts.argument import Argument
from cyclopts.exceptions import (
    ArgumentOrderError,
    CoercionError,
    MissingArgumentError,
    MixedArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.token import Token

_EXPECTED = {int: "a whole number", float: "a number", bool: "no value"}


def explain_usage(error: CycloptsError) -> tuple[str, str]:
    """Return what was wrong, and what to do about it."""
    chain = " ".join(["fast-style", *(error.command_chain or ())])
    return _message(error), f"See '{chain} --help'."


def _message(error: CycloptsError) -> str:
    match error:
        case MissingArgumentError(keyword=str(keyword)):
            return f"{keyword} needs a value"
        case MissingArgumentError(argument=Argument()):
            return _missing(error)
        case UnusedCliTokensError(unused_tokens=[*tokens]):
            return f"nothing is done with {', '.join(map(repr, tokens))}: there are too many arguments"
        case RepeatArgumentError(token=token):
            return f"{token.keyword} is given more than once"
        case CoercionError(target_type=kind, token=token) if token is not None and kind in _EXPECTED:
            name = token.keyword or (_name(error.argument) if error.argument else "an argument")
            return f"{name} is {token.value!r}; expected {_EXPECTED[kind]}"
        case ArgumentOrderError(token=token, prior_positional_or_keyword_supplied_as_keyword_arguments=[prior, *_]):
            return f"{token!r} has no place after {prior.name}: give all arguments with their names, or none"
        case MixedArgumentError(argument=Argument() as argument):
            return f"{_name(argument)} is given both with its name and without"
        case UnknownCommandError(unused_tokens=[str(token), *_]) if token.startswith("-"):
            return f"{token} is not an option here; expected a verb first"
    return str(error)


def _missing(error: MissingArgumentError) -> str:
    """Name everything that is missing; the library names the first."""
    assert error.argument is not None
    assert error.app is not None
    given = error.root_input_tokens or []
    every = error.app.assemble_argument_collection()
    for token in takewhile(lambda token: token != "--", error.unused_tokens or []):
        if token.startswith("-"):  # perhaps a misspelling of what is missing
            return str(
                UnknownOptionError(token=Token(keyword=token, source="cli"), argument_collection=every, verbose=False)
            )
    required = [argument for argument in every if argument.required]
    first = [argument.name for argument in required].index(error.argument.name)
    names = [_name(a) for a in required[first:] if a.name == error.argument.name or not _is_given(a, given)]
    listed = " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    message = f"{listed} {'are' if len(names) > 1 else 'is'} missing"
    if any(token.split("=")[0] == "--resume" for token in given):
        message += "; --resume needs what the run began with, as a checkpoint holds neither the painting nor the photos"
    return message


def _is_given(argument: Argument, tokens: list[str]) -> bool:
    """Whether an argument was given by its name, as --out X, --out=X, -o X or -oX."""
    long = [name for name in argument.names if name.startswith("--")]
    short = [name for name in argument.names if not name.startswith("--") and name.startswith("-")]
    return any(token.split("=")[0] in long or token.startswith(tuple(short)) for token in tokens)


def _name(argument: Argument) -> str:
    """An option's name, or of an argument without one what the help calls it."""
    positional = argument.field_info.is_positional
    return argument.name.lstrip("-").upper().replace("-", "_") if positional else argument.name
