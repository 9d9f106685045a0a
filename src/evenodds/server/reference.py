"""The page of the API: the endpoints as openapi.json describes them, without a script."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

STYLE = """
html { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
section { border-top: 1px solid #8886; padding: .5rem 0 }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid #8883; padding: .25rem .75rem .25rem 0; vertical-align: top }
code, pre { font-family: ui-monospace, monospace } pre { overflow-x: auto }
"""


@router.get("/")
async def page(request: Request) -> Response:
    """The page."""
    return Response(_page(request.app.openapi()), media_type="text/html; charset=utf-8")


@router.get("/style.css")
async def style() -> Response:
    """How it looks."""
    return Response(STYLE, media_type="text/css; charset=utf-8")


def _page(api: dict[str, Any]) -> str:
    sections = "".join(
        _section(method, path, about) for path, methods in api["paths"].items() for method, about in methods.items()
    )
    title = escape(api["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="style.css">'
        f"</head><body><h1>{title}</h1><p>Version {escape(api['info']['version'])}. Requests to <code>/v1</code> and "
        "<code>/metrics</code> need the header <code>Authorization: Bearer TOKEN</code>. "
        'For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{sections}</body></html>"
    )


def _section(method: str, path: str, about: dict[str, Any]) -> str:
    content = about.get("requestBody", {}).get("content", {})
    schema: dict[str, Any] = next((one["schema"] for one in content.values()), {})
    rows = "".join(_rows(schema))
    kinds = f"<p>Takes {escape(', '.join(content))}.</p>" if content else ""
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(about.get('summary', ''))}. "
        f"{escape(about.get('description', ''))}</p>{kinds}{f'<table>{rows}</table>' if rows else ''}</section>"
    )


def _rows(schema: dict[str, Any]) -> Iterator[str]:
    for name, one in schema.get("properties", {}).items():
        kinds = [one.get("type"), *(part.get("type") for part in one.get("anyOf", []))]
        kind = " or ".join(str(kind) for kind in kinds if kind and kind != "null")
        usual = "" if one.get("default") is None else f"default {one['default']}"
        cells = (f"<code>{escape(name)}</code>", escape(kind), escape(one.get("description", "")), escape(usual))
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
