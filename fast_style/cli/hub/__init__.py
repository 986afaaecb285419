"""``fast-style hub``: one module a verb, loaded only when that verb is called."""

from __future__ import annotations

from cyclopts import App

VERBS = {
    "push": "Upload a style and its card to the Hugging Face hub.",
    "pull": "Download a style and its card, and keep them if they are whole.",
}

hub = App(name="hub", help="Share styles on the Hugging Face hub.")
for _verb, _help in VERBS.items():
    hub.command(f"fast_style.cli.hub.{_verb}:{_verb}", name=_verb, help=_help)
