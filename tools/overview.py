"""The picture at the top of README.md, cut from pictures of the benchmarks: `python tools/overview.py`.

Whole rows or columns are taken, from the first; README.md says below it what each part shows.
"""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
HEIGHT = 240
GAP = 8


def part(name: str, side: float, rows: tuple[int, ...], columns: int, first: int = 0) -> Image.Image:
    """Rows of a sheet of images `side` pixels apart, from the column `first` on, as high as all parts are."""
    sheet = Image.open(RESULTS / name).convert("RGB")
    left, width = round(first * side), round(columns * side)
    cut = Image.new("RGB", (width, round(len(rows) * side)), "white")
    for k, row in enumerate(rows):
        cut.paste(sheet.crop((left, round(row * side), left + width, round((row + 1) * side))), (0, round(k * side)))
    return cut.resize((round(cut.width * HEIGHT / cut.height), HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    photographs = Image.open(RESULTS / "segment-long.jpg").convert("RGB").crop((0, 0, 481, 360))
    parts = (
        part("gray-28-mnist-5m.png", 57.8, (0, 1, 2, 3), 4),
        part("color-recipe-20m.jpg", 65.8, (1, 7, 8, 9), 4),
        part("photographs-64-20m.jpg", 64.9, (0, 4, 8, 9), 4),
        photographs.resize((round(photographs.width * HEIGHT / photographs.height), HEIGHT), Image.Resampling.LANCZOS),
    )
    strip = Image.new("RGB", (sum(one.width for one in parts) + GAP * (len(parts) - 1), HEIGHT), "white")
    left = 0
    for one in parts:
        strip.paste(one, (left, 0))
        left += one.width + GAP
    strip.save(ROOT / "docs" / "pictures" / "overview.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
