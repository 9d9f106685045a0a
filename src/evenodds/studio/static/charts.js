// Curves: zoom by dragging, a logarithmic axis, values under the pointer, two runs over each other.

import { useEffect, useRef } from "./vendor/preact-htm.js";
import uPlot from "./vendor/uplot.js";
import { figure, html, short } from "./parts.js";
import { t } from "./strings.js";

const COLOURS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const END = /_(low|high)$/; // of an interval
// What is watched and is called by one word in a history has words of its own here.
const TERMS = new Set(["score_low", "score_high", "spread", "distance", "apart", "d_fake", "d_memory", "real", "fake"]);
const HIDDEN = new Set(["images", "round", "seconds"]);

// The terms of a history, in charts: {title, names}. `items`: what is shown to the discriminator, in words.
export function groups(names, items) {
  const left = names.filter((name) => !HIDDEN.has(name) && !name.endsWith("_low") && !name.endsWith("_high"));
  const charts = [];
  const take = (title, some) => { if (some.length) charts.push({ title, names: some }); };
  take(t("group_score"), ["score", "score_low", "score_high"].filter((name) => names.includes(name)));
  const players = [...new Set(left.filter((name) => name.includes("/")).map((name) => name.split("/")[0]))];
  for (const player of players) take(player, left.filter((name) => name.startsWith(`${player}/`)).slice(0, 12));
  take(t("group_other"), left.filter((name) => !name.includes("/") && !["score", "images_per_second"].includes(name)).slice(0, 12));
  take(t("group_speed", { items }), left.filter((name) => name === "images_per_second"));
  return charts;
}

// Between the ends of an interval the chart is tinted.
function bands(names, first, other) {
  const [low, high] = ["score_low", "score_high"].map((name) => names.indexOf(name));
  if (low < 0 || high < 0) return [];
  return [first, ...(other ? [first + names.length] : [])].map((from) => ({ series: [from + high, from + low], fill: `${colour("--line-1")}22` }));
}

// A line of one value has no length: it is a dot.
const alone = (plot, k) => plot.data[k].filter((value) => value !== null && value !== undefined).length === 1;

// Where no pointer is, the legend says the latest value of each line.
function latest(plot) {
  if (plot.cursor.left >= 0) return;
  plot.setLegend({ idxs: plot.data.map((line) => line.findLastIndex((value) => value !== null && value !== undefined)).map((at) => (at < 0 ? null : at)) });
}

function options(chart, width, log, marks, positive, other, items) {
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "12px system-ui" };
  const label = (name) => {
    const term = name.split("/").pop();
    return TERMS.has(term) ? t(`term_${term}`, { items }) : term.replace(/^images_/, `${items} `).replaceAll("_", " ");
  };
  const of = (names, name) => COLOURS[names.filter((one) => !END.test(one)).indexOf(name.replace(END, "")) % COLOURS.length] ?? COLOURS[0];
  const lines = (names, dash, suffix) => names.map((name) => ({
    label: label(name) + suffix, stroke: colour(of(names, name)), spanGaps: true, points: { show: alone, size: 7 },
    width: END.test(name) ? 1 : 1.8, dash: dash || (END.test(name) ? [3, 3] : undefined),
    value: (_, value) => figure(value),
  }));
  return {
    width, height: 240, cursor: { sync: { key: "evenodds" }, drag: { x: true, y: false } }, legend: { live: true },
    scales: { x: { time: false }, y: { distr: log ? (positive ? 3 : 4) : 1 } },
    axes: [{ ...axis, values: (_, values) => values.map(short) }, { ...axis, size: 64, values: (_, values) => values.map((v) => (v === null ? "" : figure(v))) }],
    series: [{ label: items, value: (_, value) => (value === null ? "–" : short(value)) }, ...lines(chart.names, null, ""), ...(other ? lines(chart.names, [6, 4], ` (${other})`) : [])],
    bands: bands(chart.names, 1, other),
    hooks: { ready: [latest], setData: [latest], setCursor: [latest], draw: [(plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.strokeStyle = colour("--accent"); ctx.globalAlpha = 0.45; ctx.setLineDash([2, 4]);
      for (const mark of marks) {
        const x = plot.valToPos(mark.images, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
      }
      ctx.restore();
    }] },
  };
}

// x, which rises, and a line of values for each term. Several lines of a history may stand at the same number of images,
// and a run that went back counts them again: they are one, and the latest value stands.
function series(columns, names) {
  const xs = [...new Set(columns.images)].sort((a, b) => a - b), place = new Map(xs.map((images, k) => [images, k]));
  const line = (values) => {
    const drawn = new Array(xs.length).fill(null);
    values?.forEach((value, at) => { if (value !== null && value !== undefined) drawn[place.get(columns.images[at])] = value; });
    return drawn;
  };
  return [xs, ...names.map((name) => line(columns[name]))];
}

export function Chart({ chart, columns, log, marks, other, otherColumns, theme, items }) {
  const place = useRef(null), plot = useRef(null), told = useRef(null);
  const mine = series(columns, chart.names);
  const second = otherColumns?.images?.length ? other : "";
  const data = second ? uPlot.join([mine, series(otherColumns, chart.names)]) : mine;
  const positive = data.slice(1).every((line) => line.every((v) => v === null || v === undefined || v > 0));
  const key = [chart.names.join(), log, positive, second, theme, items, document.documentElement.lang].join("|");
  useEffect(() => {
    const node = place.current;
    plot.current = new uPlot(options(chart, node.clientWidth, log, marks, positive, second, items), data, node);
    const watcher = new ResizeObserver(() => plot.current?.setSize({ width: node.clientWidth, height: 240 }));
    watcher.observe(node);
    told.current = data;
    return () => { watcher.disconnect(); plot.current?.destroy(); plot.current = null; };
  }, [key]);
  useEffect(() => {
    if (!plot.current || told.current === data) return;
    const { min, max } = plot.current.scales.x, [first, last] = [told.current[0][0], told.current[0].at(-1)];
    const zoomed = told.current[0].length > 1 && (min > first || max < last);
    plot.current.setData(data, !zoomed);
    if (zoomed) plot.current.setScale("x", { min, max }); // draws, which new data alone do not
    told.current = data;
  }, [columns, otherColumns]);
  const value = columns[chart.names[0]]?.findLast((v) => v !== null);
  return html`<figure class="chart"><figcaption>${chart.title}</figcaption>
    <div ref=${place} role="group" aria-label=${t("chart_of", { name: chart.title, value: figure(value) })}></div></figure>`;
}
