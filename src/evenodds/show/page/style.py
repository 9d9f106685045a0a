"""The look of the page: one column, one accent for what is judged, grey for what it is held against."""

from __future__ import annotations

__all__ = ["CHART", "DARK", "LIGHT", "STYLE"]

LIGHT = {
    "paper": "#fcfcfa",
    "panel": "#f3f3ef",
    "ink": "#1b1c1e",
    "muted": "#55585e",
    "rule": "#d5d5cf",
    "a": "#0b57a8",
    "b": "#a8480a",
    "c": "#1d6b45",
    "d": "#37404d",
    "z": "#6a6d73",
    "bad": "#9c1420",
    "bad-paper": "#fbe9e9",
}
DARK = {
    "paper": "#15171a",
    "panel": "#1e2125",
    "ink": "#e8e8e5",
    "muted": "#a9adb4",
    "rule": "#373b41",
    "a": "#7db8f5",
    "b": "#f0a366",
    "c": "#7fcf9f",
    "d": "#c6ccd6",
    "z": "#9b9fa7",
    "bad": "#ff9d98",
    "bad-paper": "#34191b",
}


def _colours(palette: dict[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in palette.items())


CHART = """
.chart text{font-size:12px;fill:var(--muted)}
.chart .said{fill:var(--ink);font-weight:650}
.axis{stroke:var(--muted);stroke-width:1}
.grid{stroke:var(--rule);stroke-width:1}
.mark{stroke:var(--ink);stroke-width:1.25;stroke-dasharray:2 3}
.whisker{stroke-width:2;stroke:currentColor}
.dot{fill:currentColor}
.line{fill:none;stroke:currentColor;stroke-width:1.5;stroke-linejoin:round;stroke-linecap:round}
.band{fill:currentColor;opacity:.2}
.s-a{color:var(--a)}.s-b{color:var(--b)}.s-c{color:var(--c)}.s-d{color:var(--d)}.s-z{color:var(--z)}
.s-b .line{stroke-dasharray:5 3}
"""
"""The look of what charts draw, on a page and in a file of their own."""

BODY = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 -apple-system,"Segoe UI",Roboto,"Helvetica Neue",
"Noto Sans","Liberation Sans",Arial,sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 1.5rem}
header{padding-top:2.5rem}
footer{padding-top:1.5rem;padding-bottom:3rem;color:var(--muted);font-size:.875rem}
h1{font-size:2rem;line-height:1.2;font-weight:650;letter-spacing:-.01em;margin:0 0 .25rem}
h2{font-size:1.375rem;line-height:1.3;font-weight:650;margin:0 0 .75rem}
h3{font-size:1rem;line-height:1.4;font-weight:650;margin:0}
p,ul{margin:0 0 .75rem}
.subtitle{font-size:1.125rem;color:var(--muted)}
.measured,.lead,.why,.note,.notes,figcaption p,.facts{max-width:44rem}
.lead,figcaption p,.notes{color:var(--muted)}
section{margin:2.75rem 0 0;padding-top:1.25rem;border-top:1px solid var(--rule)}
h3:not(figcaption h3){margin:1.75rem 0 .5rem}
a{color:var(--a)}
a:focus-visible,summary:focus-visible{outline:3px solid var(--a);outline-offset:2px}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.narrow{display:none}
.kicker{font-size:.8125rem;letter-spacing:.04em;color:var(--muted);margin:0 0 .5rem}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:0;margin:1.25rem 0 0;font-size:.9375rem}
nav a{display:inline-block;padding:.125rem 0}

.verdict{border:1px solid var(--muted);border-left-width:8px;border-radius:4px;padding:1.125rem 1.375rem .5rem;
margin-top:1.5rem;background:var(--panel)}
.verdict h2{font-size:1.625rem;display:flex;align-items:center;gap:.625rem;margin:0}
.verdict ul{padding-left:1.25rem;max-width:50rem}
.verdict li{margin:.25rem 0}
.verdict .meaning{font-weight:600}
.icon{width:1.75rem;height:1.75rem;flex:none;fill:none;stroke:currentColor;stroke-width:3.5;stroke-linecap:round;
stroke-linejoin:round}
.unsound{border-color:var(--bad);background:var(--bad-paper)}
.unsound h2{color:var(--bad)}
.warning{border-left:6px solid var(--bad);background:var(--bad-paper);padding:.625rem 1rem;border-radius:3px;
max-width:56rem;margin:0 0 1rem}
.warning p{margin:.125rem 0}
.refused{display:block;font-weight:650;color:var(--bad)}
.reason{font-size:.875rem;font-style:italic}
sub{font-size:.75em;line-height:0}

figure{margin:0 0 1.5rem}
figure img{display:block;max-width:100%;height:auto;border:1px solid var(--rule);background:#808080}
.pixelated{image-rendering:pixelated}
table+figure,details+figure{margin-top:1.25rem}
figcaption{margin-top:.5rem}
section>:last-child{margin-bottom:0}
.beside{display:flex;flex-wrap:wrap;gap:1rem 2rem;align-items:center;margin-top:1.5rem}
.beside .chart{flex:0 1 340px;min-width:0}
.beside figcaption{flex:1 1 18rem;margin:0}

table{border-collapse:collapse;width:100%;font-size:.9375rem}
th,td{text-align:left;vertical-align:top;padding:.75rem .75rem .75rem 0;
border-top:1px solid var(--rule);font-weight:400}
thead th,.cards td{overflow-wrap:normal}
.cards bdi,.note,.reason{overflow-wrap:anywhere}
thead th{font-size:.8125rem;color:var(--muted);padding:.375rem .75rem .375rem 0;border-top:0}
.name{font-weight:650;margin-right:.625rem}
.better{font-size:.8125rem;color:var(--muted);white-space:nowrap}
.why,.note{font-size:.875rem;line-height:1.45;margin:.25rem 0 0}
.why{color:var(--muted)}
.note{font-style:italic}
.figure{display:block;font-size:1.0625rem;font-weight:650;white-space:nowrap}
.interval,.against,.example{display:block;font-size:.8125rem;color:var(--muted)}
.interval,.example{white-space:nowrap}
.measures th:first-child{width:36%}
.measures td:nth-child(2),.measures td:nth-child(3){min-width:7.5rem}
.drawing{width:300px}
.words{font-size:.8125rem;color:var(--muted);margin:0;padding-left:min(20.7%,66px)}
.suspects td,.classes td,.suspects th,.classes th{padding-top:.4375rem;padding-bottom:.4375rem}
.classes tbody th{font-weight:600}
.classes th:first-child{width:22%;min-width:6rem}
.classes td:nth-child(2){width:42%}
.file,code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.875em}
.pair{display:grid;grid-template-columns:minmax(4rem,1fr) 6.5rem;gap:.75rem;align-items:center}
.share{display:block;font-size:.8125rem;line-height:1.25;white-space:nowrap}
.share.s-z{color:var(--muted)}
.share.s-a{color:var(--a)}

.chart{display:block;width:100%;height:auto;overflow:visible}
.intervals{max-width:320px}
.bars{height:24px;background:linear-gradient(var(--rule),var(--rule)) left/1px 100% no-repeat}
.fill-a{fill:var(--a)}.fill-z{fill:var(--z)}
.key{width:28px;height:12px;vertical-align:middle}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,310px),1fr));gap:1.75rem 1.5rem;
margin-top:1rem}
.panel{display:grid;grid-template-rows:subgrid;grid-row:span 3;row-gap:0;align-content:start;margin:0;min-width:0}
.panel figcaption{margin:0 0 .375rem}
.panel figcaption p,.panel .legend,.panel .facts{font-size:.8125rem;line-height:1.45;color:var(--muted);margin:0}
.panel .legend,.panel .facts{margin-top:.375rem}
.entry{display:inline-block;margin-right:1rem;white-space:nowrap}

details{margin:.5rem 0}
summary{cursor:pointer;padding:.375rem 0;font-weight:600;width:fit-content}
.values{font-size:.875rem}
.values th,.values td{padding:.25rem .75rem .25rem 0}
.values th{color:var(--muted);width:34%}
.values .group{color:var(--ink);font-weight:600}
.depth-1{padding-left:1.25rem!important}.depth-2{padding-left:2.5rem!important}.depth-3{padding-left:3.75rem!important}

@media (max-width:1020px){
.measures,.measures tbody,.measures th,.measures td{display:block;width:auto!important;min-width:0!important}
.measures thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.measures tr{display:grid;grid-template-columns:repeat(12,minmax(0,1fr));gap:.375rem .75rem;padding:.875rem 0;
border-top:1px solid var(--rule)}
.measures th,.measures td{border:0;padding:0!important}
.measures td:before{content:attr(data-label);display:block;font-size:.8125rem;color:var(--muted)}
.measures .drawing:before,.measures .wide:before{content:none}
.measures th{grid-column:span 12}
.measures td{grid-column:span 3}
.measures td.drawing{grid-column:span 6}
.measures td.wide,.measures td.examples{grid-column:span 12}
.measures td:empty{display:none}
.measures .examples:before,.measures .example{display:inline;margin-right:.75rem}
}

@media (max-width:760px){
main,header,footer{padding-left:1rem;padding-right:1rem}
header{padding-top:1.5rem}
h1{font-size:1.5rem}
.narrow{display:inline}
.cards,.cards tbody,.cards th,.cards td{display:block;width:auto!important;min-width:0!important}
.cards thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.cards tr{display:grid;grid-template-columns:repeat(6,minmax(0,1fr));gap:.375rem .75rem;padding:.875rem 0;
border-top:1px solid var(--rule)}
.cards th,.cards td{border:0;padding:0!important;grid-column:span 6}
.cards td:before{content:attr(data-label);display:block;font-size:.8125rem;color:var(--muted)}
.cards .drawing:before,.cards .wide:before{content:none}
.cards td:empty{display:none}
.measures td{grid-column:span 3}
.measures td.drawing,.measures td.wide,.measures td.examples{grid-column:span 6}
.interval{white-space:normal}
.classes td:nth-child(3),.classes td:nth-child(4){grid-column:span 3}
.classes td:nth-child(n+3):before{display:inline;margin-right:.5rem}
.classes td:nth-child(2):before{content:none}
.suspects th{grid-column:span 2;font-weight:650}
.suspects td{grid-column:span 2}
.suspects td:nth-child(2){grid-column:span 4}
.suspects td:nth-child(3){grid-column:span 6}
.suspects td:nth-child(2):before,.suspects td:nth-child(3):before{display:inline;margin-right:.5rem}
.values th{width:42%}
}

@media print{
body{font-size:10.5pt}
main,header,footer{max-width:none;padding:0}
nav{display:none}
section{break-inside:auto;margin-top:1.5rem}
figure,tr,.verdict,.warning{break-inside:avoid}
h2,h3{break-after:avoid}
.chart,.verdict,.warning,img{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;height:auto;display:block}
}
"""

STYLE = (
    f":root{{color-scheme:light dark;{_colours(LIGHT)}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}{BODY}{CHART}"
)
