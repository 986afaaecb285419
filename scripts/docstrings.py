"""Read Sphinx's roles in docstrings, such as :func:`grid`, as the reference's Markdown has them: `grid`."""

import re
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([^`]+)`")
# An indented block after it is code in Markdown, too.
_LITERAL = re.compile(r"::$", re.MULTILINE)


class Roles(Extension):
    """Rewrites every docstring before it is parsed."""

    def on_instance(self, *, obj: Object, **kwargs: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = _LITERAL.sub(":", _ROLE.sub(r"`\1`", obj.docstring.value))
