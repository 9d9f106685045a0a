// What several views share: numbers as people read them, pictures on canvases, lines of error, files that are dropped.

import { html, useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { language, t } from "./strings.js";

export { html };

export const whole = (n) => new Intl.NumberFormat(language()).format(Math.round(n));
export const short = (n) => new Intl.NumberFormat(language(), { notation: "compact", maximumFractionDigits: 1 }).format(n);
export const figure = (n) => (n === null || n === undefined ? "–" : String(Number(Number(n).toPrecision(4))));

export function duration(seconds) {
  for (const [name, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (seconds >= 1.5 * length) return `${Math.round(seconds / length)} ${t(name)}`;
  }
  return `${Math.max(1, Math.round(seconds))} ${t("second")}`;
}

export const Line = ({ error }) => (error ? html`<p class="error" role="alert">${error.message}</p>` : null);
export const FillsTables = () => html`<p class="empty">${t("fills_tables")} <code>evenodds fill RUN TABLE.csv</code></p>`;
export const Busy = ({ text }) => html`<p class="busy" role="status">${text}</p>`;

// Work that says how far it is in lines such as "features of samples: 40 %".
export function Working({ line, percent }) {
  const said = /: (\d{1,3}) %$/.exec(line), share = percent ?? (said ? Number(said[1]) : null), text = said ? line.slice(0, said.index) : line;
  return html`<p class="progress" role="status"><span class="busy">${t("working_on", { line: text })}</span>
    ${share === null ? null : html`<progress value=${share} max="100" aria-label=${text || t("at_work")}></progress><span>${share} %</span>`}</p>`;
}

// Bytes of a picture, drawn when they are decoded: what was there stays until then, and what is decoded after a newer one was asked for is left out.
const newest = new WeakMap();

export async function paint(canvas, blob) {
  if (!canvas) return null;
  newest.set(canvas, blob);
  const bitmap = await createImageBitmap(blob);
  if (newest.get(canvas) !== blob) { bitmap.close(); return null; }
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  const size = { width: bitmap.width, height: bitmap.height };
  bitmap.close();
  return size;
}

export function fromText(base64) {
  return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}

// A picture that is given as a blob.
export function Shown({ blob, label, class: name }) {
  const canvas = useRef(null);
  useEffect(() => { if (blob) paint(canvas.current, blob); }, [blob]);
  return html`<canvas ref=${canvas} class=${`picture ${name || ""}`} role="img" aria-label=${label} width="1" height="1"></canvas>`;
}

export function Sparkline({ points, label }) {
  if (points.length < 2) return html`<span class="spark muted">–</span>`;
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const low = Math.min(...ys), high = Math.max(...ys), first = xs[0], last = xs[xs.length - 1];
  const at = ([x, y]) => [2 + 96 * (x - first) / (last - first || 1), 22 - 20 * (y - low) / (high - low || 1)];
  const place = points.map(at), [endX, endY] = place[place.length - 1];
  return html`<svg class="spark" viewBox="0 0 100 24" role="img" aria-label=${label} preserveAspectRatio="none">
    <polyline points=${place.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ")} />
    <circle cx=${endX} cy=${endY} r="1.8" /></svg>`;
}

export function Slider({ label, value, min, max, step, onInput, note, shown, disabled }) {
  return html`<label class="slider"><span>${label} <b aria-hidden="true">${shown ?? value}</b></span>
    <input type="range" aria-label=${label} aria-valuetext=${String(shown ?? value)} value=${value} min=${min} max=${max} step=${step} disabled=${disabled}
      onInput=${(event) => onInput(Number(event.target.value))} />
    ${note ? html`<small>${note}</small>` : null}</label>`;
}

export function Drop({ onFile, busy }) {
  const [over, setOver] = useState(false);
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    if (event.dataTransfer.files[0]) onFile(event.dataTransfer.files[0]);
  };
  return html`<label class=${`drop ${over ? "over" : ""}`} onDragOver=${(e) => { e.preventDefault(); setOver(true); }}
      onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <input type="file" accept="image/*,.tif,.tiff" onChange=${(e) => e.target.files[0] && onFile(e.target.files[0])} />
    <strong>${busy || t("drop")}</strong><small>${t("drop_limit")}</small></label>`;
}

export function useStored(key, first) {
  const [value, set] = useState(() => {
    try { return JSON.parse(localStorage.getItem(key)) ?? first; } catch { return first; }
  });
  return [value, (next) => { localStorage.setItem(key, JSON.stringify(next)); set(next); }];
}

// What an item is: the sides of an image, or how many numbers a row or a point has.
export const shaped = (shape) => (shape.length === 1 ? t("numbers", { n: shape[0] }) : shape.join(" × "));
