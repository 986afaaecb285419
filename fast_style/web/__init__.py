"""The page that runs styles in a browser: its files, and what writes and serves them."""

from fast_style.web.page import RUNTIME_VERSION, serve_page, write_page

__all__ = ["RUNTIME_VERSION", "serve_page", "write_page"]
