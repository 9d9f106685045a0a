"""The page that shows a run and its evaluation: one HTML file, no script, no request."""

from evenodds.show.page.content import Content, Picture
from evenodds.show.page.page import page

__all__ = ["Content", "Picture", "page"]
