"""The server's web page: queue, progress and pictures in a browser, and what monitoring asks for. Off unless said."""

from importlib.abc import Traversable
from importlib.resources import files


def page_files() -> Traversable:
    """The folder of the page: plain HTML, CSS and JavaScript, as they are served."""
    return files(__name__) / "page"
