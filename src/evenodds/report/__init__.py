"""The page that shows a run and its evaluation: one HTML file, no script, no request."""

from evenodds.report.content import Content, Picture
from evenodds.report.page import page

__all__ = ["Content", "Picture", "page"]
