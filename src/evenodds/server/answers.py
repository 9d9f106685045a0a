"""The answers of a run to what a request says: samples, codes, classes, fillings, pictures made of pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from starlette.responses import JSONResponse, Response

from evenodds.apply import drawing
from evenodds.apply.classified import told as told_of_items
from evenodds.apply.converting import overlaid
from evenodds.apply.filling import noise, pixels_of
from evenodds.apply.hidden import hidden
from evenodds.apply.making import has_symmetric_noise, palette_of, pictures_of
from evenodds.apply.photo import Network, labels, through, write, write_through
from evenodds.data.folders.plain import Pictures
from evenodds.data.palette import Palette
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.png import png_rows
from evenodds.data.scale import Numbers
from evenodds.data.sources import load_like
from evenodds.errors import BadInput
from evenodds.files.text import csv_text
from evenodds.runs.session import Session
from evenodds.server import replies
from evenodds.server.asking import Aside, Service
from evenodds.server.bounds import Bounds, TooMuch
from evenodds.server.passes import Rows
from evenodds.server.pictures import as_png
from evenodds.server.received import Received, decoded, size_of

__all__ = ["classified", "converted", "encoded", "filled", "sampled"]


async def sampled(service: Service, asked: drawing.Request, form: str, columns: int | None) -> Response:
    """Samples, as `evenodds sample` draws them."""
    session = service.offers.session

    def codes() -> Rows:
        z, c = drawing.codes_of(session, asked)
        return {"z": z.numpy(), **({} if c is None else {"c": c.contiguous().numpy()})}

    kind = service.offers.sampling(asked.truncation)
    x = await service.passes.ask(kind, await service.aside(codes))

    def written() -> Response:
        drawn = drawing.drawn(session, asked, torch.from_numpy(x["x"]))
        return replies.samples(drawn, form, asked.seed, columns)

    return await service.aside(written)


async def encoded(service: Service, received: Received, form: str) -> Response:
    """The z of pictures or rows, as `evenodds encode` finds them, and what they are of a conditional run."""
    session, bounds = service.offers.session, service.line.bounds
    x = await service.aside(lambda: _items(session, received, bounds))
    codes = await service.passes.ask(service.offers.encoding(), {"x": x})

    def written() -> Response:
        if form == "npz":
            return replies.arrays(codes)
        told: dict[str, Any] = {"z": codes["z"].tolist()}
        if "c" in codes and session.conditions.by_class:
            told["classes"] = [session.card.classes[k] for k in codes["c"].argmax(1)]
        elif "c" in codes and session.card.conditions is not None:
            values = session.card.conditions.units.to_data(torch.from_numpy(codes["c"])).numpy()
            told["given"] = {name: replies.plain(values[:, k]) for k, name in enumerate(session.card.conditions.names)}
        return JSONResponse(told)

    return await service.aside(written)


async def classified(service: Service, received: Received, form: str) -> Response:
    """The class of pictures or rows, as `evenodds classify` tells it."""
    session, bounds = service.offers.session, service.line.bounds
    x = await service.aside(lambda: _items(session, received, bounds))
    found = (await service.passes.ask(service.offers.classifying(), {"x": x}))["probabilities"]

    def written() -> Response:
        classes = session.card.classes
        if form == "npz":
            return replies.arrays({"probabilities": found, "classes": np.asarray(classes)})
        return JSONResponse({"items": told_of_items(classes, found)})

    return await service.aside(written)


def _items(session: Session, received: Received, bounds: Bounds) -> Any:
    """(N, ...) in [-1, 1] of what was sent, in the shape that the run knows."""
    if session.card.kind != "image":
        if "image" in received.files:
            raise BadInput("this run knows rows and no images; send `rows`")
        return _loaded(session, _table(received), bounds)
    if "rows" in received.files or received.fields.keys() & {"rows", "columns"}:
        raise BadInput("this run knows images and no rows; an image is needed, as `image`")
    images = received.files.get("image", [])
    bounds.require_count(len(images), "images")
    if not images:
        raise BadInput("an image is needed; send it as a file of a form, or in base64 in JSON")
    loaded = []
    for content in images:
        with as_png(decoded(content, "the image", bounds.pixels)) as path:
            loaded.append(load_like(str(path), session.card, "the image").batch(torch.arange(1))["x"])
    return torch.cat(loaded).numpy()


def _table(received: Received) -> bytes:
    """The rows that were sent, as a CSV file."""
    rows, columns = received.fields.get("rows"), received.fields.get("columns")
    if "rows" in received.files:
        if rows is not None or columns is not None:
            raise BadInput("the rows came twice: send a CSV file with a line of names, or `rows` and `columns` in JSON")
        return received.one("rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise BadInput('rows are needed: a CSV file, or in JSON {"columns": ["a", "b"], "rows": [[1, 2]]}')
    head = [columns] if isinstance(columns, list) else []
    if len({len(row) for row in [*head, *rows]}) != 1:
        raise BadInput("all rows need as many cells as there are columns")
    cells = [["" if cell is None else cell for cell in row] for row in [*head, *rows]]
    return csv_text(cells).encode("utf-8", "backslashreplace")


def _loaded(session: Session, table: bytes, bounds: Bounds) -> Any:
    with tempfile.TemporaryDirectory(prefix="evenodds-") as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(table)
        data = load_like(str(path), session.card, "the rows")
        bounds.require_count(len(data), "rows")
        return data.batch(torch.arange(len(data)))["x"].numpy()


async def filled(service: Service, received: Received, n: int, seed: int, form: str) -> Response:
    """Fillings of a picture, as `evenodds fill` makes them."""
    session, bounds = service.offers.session, service.line.bounds
    data, observed = await service.aside(lambda: _hidden(session, received, bounds))
    x = data.scale.to_model(data.x)
    draws = noise(lambda n, seed: session.prior(n, seed).numpy(), has_symmetric_noise(session), 1, n, seed)
    rows = {"x": np.repeat(x, n, 0), "mask": np.repeat(observed, n, 0), "z": np.concatenate(list(draws))}
    made = (await service.passes.ask(service.offers.filling(), rows))["x"]

    def written() -> Response:
        images = [pixels_of(data, observed, one[None]) for one in made]
        if form == "npz":
            return replies.arrays({"x": np.stack(images), "mask": observed[0, 0].astype(np.uint8)})
        if form == "png":
            return replies.picture(_png(np.concatenate(images, 2)))
        return JSONResponse({"seed": seed, "images": [replies.in_text(_png(image)) for image in images]})

    return await service.aside(written)


def _hidden(session: Session, received: Received, bounds: Bounds) -> tuple[Pictures, Numbers]:
    """The picture in the run's shape, and what is observed of it, (1, 1, H, W)."""
    height, width = session.card.shape[1:]
    picture, mask = (decoded(received.one(name), f"the {name}", bounds.pixels) for name in ("image", "mask"))
    with as_png(picture) as path, as_png(mask) as marks:
        data = pictures_of(load_like(str(path), session.card, "the image"))
        return data, hidden(marks, (height, width), path).mask


async def converted(service: Service, content: bytes, form: str, overlay: bool = False, back: bool = False) -> Response:
    """What the run makes of a picture, as `evenodds upscale`, `translate` or `segment` makes it."""
    bounds = service.line.bounds

    def work(aside: Aside) -> Response:
        network = service.offers.converter(aside.ask, back)
        scale = network.tiling.scale
        height, width = (scale * side for side in size_of(content, "the image"))
        if scale > 1 and height * width > bounds.pixels:
            raise TooMuch(
                f"the result would have {height:,} x {width:,} pixels, at most {bounds.pixels:,} are made here; send a "
                f"smaller image, or use `evenodds {service.offers.session.task.command}`"
            )
        picture = decoded(content, "the image", bounds.pixels)
        if network.outputs == 1 and service.offers.names[0] == "segment":
            return _labelled(service.offers.session, network, picture, form, overlay)
        return _image(network, picture, form)

    return await service.picture(work)


def _image(network: Network, picture: DecodedImage, form: str) -> Response:
    if form == "npz":
        return replies.arrays({"x": through(network, picture)})
    content = _file(lambda path: write_through(path, network, picture))
    if form == "png":
        return replies.picture(content)
    height, width = (network.tiling.scale * side for side in picture.size)
    return JSONResponse({"image": replies.in_text(content), "height": height, "width": width})


def _labelled(session: Session, network: Network, picture: DecodedImage, form: str, overlay: bool) -> Response:
    classes, palette = labels(network, picture), palette_of(session)
    names = session.card.classes
    if form == "npz":
        return replies.arrays({"labels": classes, "classes": np.asarray(names)})
    if overlay:
        colours = palette.paint(classes)
        content = _png(np.moveaxis(overlaid(picture.pixels, colours), -1, 0))
    else:
        content = _map(palette.to_file(classes), palette)
    if form == "png":
        return replies.picture(content)
    shares = np.bincount(classes.ravel(), minlength=len(names)) / classes.size
    told = {"image": replies.in_text(content), "classes": dict(zip(names, shares.tolist(), strict=True))}
    return JSONResponse({**told, "values": dict(zip(names, palette.values, strict=True))})


def _map(values: Any, palette: Palette) -> bytes:
    """A map of labels in the values of the run's files, in their colours."""

    def write_map(path: Path) -> None:
        with png_rows(path, values.shape, 1, palette=palette.colours_by_value) as png:
            png.add(values[..., None])

    return _file(write_map)


def _png(x: Any) -> bytes:
    return _file(lambda path: write(path, x))


def _file(write_to: Callable[[Path], Any]) -> bytes:
    """The bytes of a file that is written by its path."""
    with tempfile.TemporaryDirectory(prefix="evenodds-") as folder:
        path = Path(folder) / "out.png"
        write_to(path)
        return path.read_bytes()
