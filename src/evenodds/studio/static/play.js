// Samples by seed, and the latent space: blends, walks, directions. Pictures are bytes that are drawn on canvases.

import { useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { blobOf, Latest, path, query, tab } from "./api.js";
import { useAnswer, usePicture, useTurns } from "./hooks.js";
import { Busy, FillsTables, html, Line, Slider, useStored, whole } from "./parts.js";
import { t } from "./strings.js";

const FRAMES = 32, ROW = 8;

function Grid({ run, about, asked, picked, onPick }) {
  const side = Math.ceil(Math.sqrt(asked.n));
  const [canvas, error, busy] = usePicture(path("runs", run, "samples") + query({ ...asked, columns: side, format: "webp", slot: `${tab}-grid` }));
  const rows = Math.ceil(asked.n / side), [, height, width] = about.shape;
  const cell = (k) => ({ left: `${100 * (k % side) / side}%`, top: `${100 * Math.floor(k / side) / rows}%`, width: `${100 / side}%`, height: `${100 / rows}%` });
  const click = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const k = Math.floor((event.clientY - box.top) / box.height * rows) * side + Math.floor((event.clientX - box.left) / box.width * side);
    if (k >= 0 && k < asked.n) onPick(k);
  };
  const keys = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -side, ArrowDown: side };
  const press = (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    onPick(Math.min(asked.n - 1, Math.max(0, picked + keys[event.key])));
  };
  return html`<div class="grid" style=${{ maxWidth: `${Math.min(640, Math.max(320, side * Math.max(height, width) * 4))}px` }}>
      <div class="cells" tabindex="0" role="slider" aria-label=${t("pick_help")} aria-valuemin="0" aria-valuemax=${asked.n - 1} aria-valuenow=${picked} onClick=${click} onKeyDown=${press}>
        <canvas ref=${canvas} class="picture big" role="img" aria-label=${t("grid_of", { n: asked.n, seed: asked.seed })} width="1" height="1"></canvas>
        <span class="picked" style=${cell(picked)}></span></div></div>${busy ? html`<${Busy} text=${t("at_work")} />` : null}<${Line} error=${error} />`;
}

// Rows of a table, or points: their distributions, and the first of them as they are.
function Rows({ run, about, asked }) {
  const at = path("runs", run, "samples"), [canvas, wrong, busy] = usePicture(at + query({ ...asked, format: "webp", slot: `${tab}-grid` }));
  const [drawn, setDrawn] = useState(null), [error, setError] = useState(null), url = at + query({ ...asked, format: "json", slot: `${tab}-rows` }), latest = useRef(new Latest());
  useEffect(() => { latest.current.ask(url, async (answer) => setDrawn({ ...(await answer.json()), of: asked }), setError); }, [url]);
  const items = t(`noun_${about.noun}`), label = drawn && t("rows_of", { n: drawn.of.n, items, seed: drawn.of.seed });
  return html`<canvas ref=${canvas} class="picture big smooth" role="img" aria-label=${t("distributions", { items })} width="1" height="1"></canvas>${busy ? html`<${Busy} text=${t("at_work")} />` : null}<${Line} error=${wrong || error} />
    ${drawn ? html`<h3>${label}</h3><div class="wide" tabindex="0" role="region" aria-label=${label}><table><thead><tr>${drawn.columns.map((name) => html`<th>${name}</th>`)}</tr></thead>
      <tbody>${drawn.rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>` : null}`;
}

// The frames of a walk, which come as one picture with eight in a row, one after the other, there and back. It ends where another `point` is to be seen.
function useWalk(canvas, about, point) {
  const timer = useRef(0), begin = useTurns(), [playing, setPlaying] = useState(false), [error, setError] = useState(null);
  const stop = () => { begin(); cancelAnimationFrame(timer.current); setPlaying(false); setError(null); };
  useEffect(() => stop, [point]);
  const play = async (url) => {
    const counts = begin(), [, height, width] = about.shape;
    let sheet = null, wrong = null;
    try { sheet = await createImageBitmap(await blobOf(url)); } catch (why) { wrong = why; }
    if (!counts()) return;  // stopped, left, or asked for again while the frames were made
    setError(wrong);
    if (wrong) return;
    setPlaying(true);
    const begun = performance.now();
    const step = (now) => {
      const frame = Math.floor((now - begun) / 80) % (2 * FRAMES - 2), k = frame < FRAMES ? frame : 2 * FRAMES - 2 - frame;
      if (canvas.current) {
        canvas.current.width = width; canvas.current.height = height;
        canvas.current.getContext("2d").drawImage(sheet, (k % ROW) * width, Math.floor(k / ROW) * height, width, height, 0, 0, width, height);
      }
      timer.current = requestAnimationFrame(step);
    };
    timer.current = requestAnimationFrame(step);
  };
  return [playing, play, stop, error];
}

export function OneSample({ run, about, common, start, end, setStart, setEnd, choose }) {
  const [share, setShare] = useState(0), [moves, setMoves] = useState({});
  const [pins, setPins] = useStored(`pins-${run}`, []), [name, setName] = useState("");
  const words = { start, end, moves: Object.entries(moves).filter(([, by]) => by).map(([k, by]) => `${k}=${by}`), ...common };
  const point = path("runs", run, "points") + query({ ...words, share, slot: `${tab}-point` }), [canvas, error, busy] = usePicture(point);
  const [playing, play, stop, failed] = useWalk(canvas, about, point);
  const walk = () => (playing ? stop() : play(path("runs", run, "points") + query({ ...words, frames: FRAMES, slot: `${tab}-walk` })));
  const pin = (event) => {
    event.preventDefault();
    setPins([...pins.filter((one) => one.name !== (name || start)), { name: name || start, start, end, share, moves }]);
    setName("");
  };
  const take = (one) => { setStart(one.start); setEnd(one.end); setShare(one.share); setMoves(one.moves); };
  const file = (format, more) => path("runs", run, "points") + query({ ...words, share, format, ...more });
  return html`<section><h2>${t("one_sample")}</h2><div class="columns play">
    <div><canvas ref=${canvas} class="picture big one" role="img" aria-label=${t("sample_at", { share: share.toFixed(2), start, end: end || start })} width="1" height="1"></canvas>
      ${busy ? html`<${Busy} text=${t("at_work")} />` : null}<${Line} error=${error || failed} />
      <div class="actions"><button onClick=${walk} disabled=${!end}>${playing ? t("pause") : t("walk")}</button>
        <a class="button quiet" href=${file("png")} download=${`${run}.png`}>PNG</a>
        ${end ? html`<a class="button quiet" href=${file("gif", { frames: FRAMES })} download="">GIF</a>` : null}</div></div>
    <div><div class="fields"><label>${t("start_point")}<input value=${start} inputmode="numeric" onChange=${(e) => setStart(e.target.value.trim() || "0")} /></label>
        <label>${t("end_point")}<input value=${end} placeholder=${t("none")} onChange=${(e) => setEnd(e.target.value.trim())} /></label></div>
      <p class="muted">${t("point_why")} ${choose && t("chosen", { point: choose })}</p>
      ${choose ? html`<div class="actions"><button class="quiet" onClick=${() => setStart(choose)}>${t("use_as_from")}</button><button class="quiet" onClick=${() => setEnd(choose)}>${t("use_as_to")}</button></div>` : null}
      <${Slider} label=${t("blend")} value=${share} min="0" max="1" step="0.01" disabled=${!end} shown=${share.toFixed(2)} onInput=${setShare} />
      <form class="fields" onSubmit=${pin}><label>${t("pin_name")}<input value=${name} maxlength="60" onInput=${(e) => setName(e.target.value)} /></label><button>${t("pin")}</button></form>
      ${pins.length ? html`<h3>${t("pins")}</h3><ul class="tags">${pins.map((one) => html`<li key=${one.name}><button class="link" onClick=${() => take(one)}>${one.name}</button>
        <button class="link" aria-label=${t("unpin", { name: one.name })} onClick=${() => setPins(pins.filter((other) => other !== one))}>×</button></li>`)}</ul>` : null}</div>
    <fieldset><legend>${t("directions")}</legend><p class="muted">${t("directions_why")}</p>
      ${Array.from({ length: Math.min(8, about.latent) }, (_, k) => k + 1).map((k) => html`<${Slider} key=${k} label=${t("direction", { n: k })} value=${moves[k] || 0} min="-4" max="4" step="0.1" shown=${(moves[k] || 0).toFixed(1)}
        onInput=${(v) => setMoves({ ...moves, [k]: v })} />`)}
      <button class="quiet" onClick=${() => setMoves({})}>${t("reset")}</button></fieldset></div></section>`;
}

export function PlayView({ run, checkpoints }) {
  const [asked, setAsked] = useState({ seed: 0, n: 16 }), [, error, about] = useAnswer(path("runs", run, "about") + query({ checkpoint: asked.checkpoint })); // that of the checkpoint before stays until it is there
  const [given, setGiven] = useState(null), [picked, setPicked] = useState(0);
  const [start, setStart] = useState("0:0"), [end, setEnd] = useState("1:0");
  const change = (more) => setAsked({ ...asked, ...more });
  if (!about) return html`<${Line} error=${error} />${error ? null : html`<${Busy} text=${t("loading")} />`}`;
  if (about.fills_tables) return html`<${FillsTables} />`;
  if (!about.draws) return html`<p class="empty">${t("no_draws")}</p>`;
  const frozen = given ? about.conditions.map((name, k) => `${name}=${given[k]}`) : [];
  const common = { truncation: asked.truncation, class: asked.class, given: frozen, checkpoint: asked.checkpoint };
  const words = { ...asked, given: frozen };
  const middle = () => about.ranges.map(([low, high]) => (about.binary ? 0 : (low + high) / 2));
  const file = (format) => path("runs", run, "samples") + query({ ...words, format });
  return html`<${Line} error=${error} /><section><h2 class="hidden">${t("tab_play")}</h2><div class="columns play"><div>${about.kind === "image" ? html`<${Grid} run=${run} about=${about} asked=${words} picked=${Math.min(picked, asked.n - 1)} onPick=${(k) => { setPicked(k); setStart(`${asked.seed}:${k}`); }} />
      <p class="muted">${t("pick_help")}</p>` : html`<${Rows} run=${run} about=${about} asked=${words} />`}</div>
    <div><div class="fields"><label>${t("seed")}<input type="number" min="0" value=${asked.seed} onInput=${(e) => e.target.value !== "" && change({ seed: Math.max(0, Math.round(Number(e.target.value))) })} /></label>
        <button class="quiet" aria-label=${t("previous")} disabled=${asked.seed < 1} onClick=${() => change({ seed: asked.seed - 1 })}>‹</button>
        <button class="quiet" aria-label=${t("next")} onClick=${() => change({ seed: asked.seed + 1 })}>›</button>
        <label>${t("how_many")}<select value=${asked.n} onChange=${(e) => change({ n: Number(e.target.value) })}>${[1, 4, 9, 16, 36, 64, 144].map((n) => html`<option value=${n}>${n}</option>`)}</select></label>
        <label>${t("which")}<select value=${asked.checkpoint || "last"} onChange=${(e) => change({ checkpoint: e.target.value })}><option value="last">${t("last")}</option>
          ${checkpoints.some((one) => one.best) ? html`<option value="best">${t("best")}</option>` : null}${checkpoints.filter((one) => !one.trouble).map((one) => html`<option value=${one.images}>${whole(one.images)}</option>`)}</select></label></div>
      ${about.asked_by === "classes" ? html`<label class="stacked">${t("class")}<select value=${asked.class || ""} onChange=${(e) => change({ class: e.target.value })}><option value="">${t("any_class")}</option>
        ${about.classes.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>` : null}
      ${about.truncates ? html`<${Slider} label=${t("truncation")} note=${t("truncation_why")} value=${asked.truncation ?? 1} min="0.05" max="1" step="0.05" shown=${(asked.truncation ?? 1).toFixed(2)} onInput=${(v) => change({ truncation: v })} />` : null}
      ${about.conditions.length ? html`<fieldset><legend>${t("frozen")}</legend><label><input type="checkbox" checked=${given !== null} onChange=${(e) => setGiven(e.target.checked ? middle() : null)} /> ${t("as_given")}</label>
        ${given ? about.conditions.map((name, k) => html`<${Slider} key=${name} label=${name} value=${given[k]} min=${about.binary ? 0 : about.ranges[k][0]} max=${about.binary ? 1 : about.ranges[k][1]} step=${about.binary ? 1 : (about.ranges[k][1] - about.ranges[k][0]) / 100 || 1}
          shown=${Number(given[k].toPrecision(4))} onInput=${(v) => setGiven(given.map((one, j) => (j === k ? v : one)))} />`) : null}</fieldset>` : null}
      <div class="actions"><span>${t("download")}:</span><a class="button quiet" href=${file("png")} download=${`${run}-seed-${asked.seed}.png`}>PNG</a><a class="button quiet" href=${file("npz")} download="">NPZ</a>
        ${about.kind === "image" ? null : html`<a class="button quiet" href=${file("csv")} download="">CSV</a>`}</div></div></div></section>
    ${about.kind === "image" ? html`<${OneSample} run=${run} about=${about} common=${common} start=${start} end=${end} setStart=${setStart} setEnd=${setEnd} choose=${`${asked.seed}:${Math.min(picked, asked.n - 1)}`} />` : null}`;
}
