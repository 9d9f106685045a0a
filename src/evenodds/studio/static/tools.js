// The tools of a run: a picture that is dropped is enlarged, restored, translated, segmented, classified, filled in, or encoded.

import { useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { blobOf, get, path, query, send, tab } from "./api.js";
import { SendButton, StopButton } from "./buttons.js";
import { useAnswer, usePoll, useTurns, useWork } from "./hooks.js";
import { Busy, Drop, figure, FillsTables, fromText, html, Line, paint, shaped, Shown, Slider, Working } from "./parts.js";
import { OneSample } from "./play.js";
import { t } from "./strings.js";

// The file itself, or the studio's picture of it where the browser reads no such file.
async function readable(file, upload) {
  try {
    (await createImageBitmap(file)).close();
    return file;
  } catch {
    return blobOf(path("uploads", upload));
  }
}

// A picture that is sent: {file, upload, height, width}.
function useUpload() {
  const [sent, setSent] = useState(null), [busy, setBusy] = useState(false), [error, setError] = useState(null), begin = useTurns();
  const take = async (file) => {
    const counts = begin();
    setBusy(true); setError(null);
    let made = null, wrong = null;
    try {
      made = await send("POST", "/api/uploads", file);
      made = { ...made, file: await readable(file, made.upload) };
    } catch (why) { wrong = why; }
    if (!counts()) return;  // another file was given meanwhile
    if (wrong) setError(wrong); else setSent(made);
    setBusy(false);
  };
  return [sent, take, busy, error];
}

function Compare({ before, after, command }) {
  const [share, setShare] = useState(50), [actual, setActual] = useState(false);
  const first = useRef(null), last = useRef(null), [size, setSize] = useState(null);
  useEffect(() => { paint(last.current, after).then((painted) => painted && setSize(painted)); paint(first.current, before); }, [before, after]);
  const style = actual && size ? { width: `${size.width / devicePixelRatio}px`, maxWidth: "none" } : {};
  return html`<div class=${`compare ${actual ? "actual" : ""}`} tabindex=${actual ? 0 : undefined} role="group" aria-label=${t("result_of", { command })}><div class="two" style=${style}>
      <canvas ref=${last} class="picture" role="img" aria-label=${t("after")} width="1" height="1"></canvas>
      <canvas ref=${first} class="picture first" style=${{ clipPath: `inset(0 ${100 - share}% 0 0)` }} role="img" aria-label=${t("before")} width="1" height="1"></canvas>
      <span class="edge" style=${{ left: `${share}%` }}></span></div></div>
    <div class="fields"><${Slider} label=${t("divider")} value=${share} min="0" max="100" step="1" shown=${`${share} %`} onInput=${setShare} />
      <label><input type="checkbox" checked=${actual} onChange=${(e) => setActual(e.target.checked)} /> ${t("actual_size")}</label></div>`;
}

// A place on this machine: typed, or found by walking through the folders that the studio was started with.
function Place({ label, value, onInput }) {
  const [seen, setSeen] = useState(null), [error, setError] = useState(null), begin = useTurns(), typed = useRef("");
  typed.current = value;
  const look = async (place) => {
    const counts = begin();
    try {
      const found = await get("/api/data" + query({ place }));
      if (!counts()) return;
      setSeen(found); setError(null);
      if (place && typed.current === value) onInput(found.place); // what is typed meanwhile stays
    } catch (wrong) { if (counts()) setError(wrong); }
  };
  const close = () => { begin(); setSeen(null); };
  return html`<div class="place"><div class="fields"><label class="long">${label}<input value=${value} onInput=${(e) => onInput(e.target.value)} spellcheck=${false} /></label>
      <button type="button" class="quiet" aria-expanded=${seen !== null} onClick=${() => (seen ? close() : look(value))}>${t("browse")}</button></div><${Line} error=${error} />
    ${seen ? html`<ul class="tags">${seen.above ? html`<li><button type="button" class="link" onClick=${() => look(seen.above)}>↑ ${t("above")}</button></li>` : null}
      ${[...seen.folders.map((one) => [one, `${one.name}/`]), ...seen.files.map((one) => [one, one.name])].map(([one, name]) => html`<li key=${one.place}><button type="button" class="link" onClick=${() => look(one.place)}>${name}</button></li>`)}
      ${seen.items ? html`<li class="muted">${t("items", { n: seen.items, shape: shaped(seen.shape) })}</li>` : null}</ul>` : null}</div>`;
}

// Whole folders, each a process of its own. `why`: what is made of them. `painted`: a promise of a mask for all pictures, of runs that fill in; else null. `back`:
// whether the way back is taken.
function Folders({ run, why, fills, painted, back }) {
  const [place, setPlace] = useState(""), [masks, setMasks] = useState(""), [number, setNumber] = useState(4), at = path("runs", run, "folders"), [list, error, again] = usePoll(at, 1.5);
  const [begin, busy, failed] = useWork(async () => {
    const mask = fills && painted && !masks ? { painted: (await send("POST", "/api/uploads", await painted)).upload } : fills ? { mask: masks } : {};
    await send("POST", at, { place, ...mask, ...(fills ? { n: number } : {}), ...(back ? { back } : {}) });
    await again();
  });
  const state = (one) => (one.alive ? "working" : one.percent === 100 ? "finished" : "stopped");
  return html`<section><h2>${t("whole_folder")}</h2><p class="muted">${t(why)}</p><form onSubmit=${(event) => { event.preventDefault(); begin(); }}><${Place} label=${t("data_path")} value=${place} onInput=${setPlace} />
      ${fills ? html`<${Place} label=${t(painted ? "masks_or_painted" : "masks_path")} value=${masks} onInput=${setMasks} /><div class="fields"><label>${t("fillings_each")}<select value=${number} onChange=${(e) => setNumber(Number(e.target.value))}>${[1, 2, 4, 8].map((n) => html`<option value=${n}>${n}</option>`)}</select></label></div>` : null}
      <div class="actions"><${SendButton} disabled=${busy || !place}>${t("begin")}<//></div></form>
    <${Line} error=${error || failed} />${list?.length ? html`<ul class="jobs">${list.map((one) => html`<li key=${one.name}><b>${one.name}</b> <span class=${`state ${state(one)}`}>${t(`state_${state(one)}`)}</span>
      ${one.percent === null ? null : html`<progress value=${one.percent} max="100" aria-label=${t("progress_of", { name: one.name })}></progress><span>${one.percent} %</span>`}
      ${one.alive ? html`<${StopButton} class="quiet" aria-label=${t("stop_work", { name: one.name })} url=${path("runs", run, "folders", one.name, "stop")}>${t("stop")}<//>` : null}
      ${one.count ? html`<a class="button quiet" aria-label=${t("zip_of", { name: one.name })} href=${path("runs", run, "folders", one.name, "zip")} download="">ZIP</a>` : null}
      <small>${one.place} · ${t("files_so_far", { n: one.count })}</small><small>${one.said}</small></li>`)}</ul>` : null}</section>`;
}

// The truth of a picture: the result is held against it.
function Truth({ run, sent, back }) {
  const [true_, take, busy, error] = useUpload(), [scores, failed] = useAnswer(true_ && path("runs", run, "scores") + query({ upload: sent.upload, truth: true_.upload, back }));
  const rows = scores ? Object.entries(scores.total).filter(([, value]) => typeof value === "number") : [];
  return html`<h3>${t("truth")}</h3><p class="muted">${t("truth_why")}</p><${Drop} onFile=${take} busy=${busy && t("sending")} /><${Line} error=${error || failed} />
    ${true_ && !scores && !failed ? html`<${Busy} text=${t("at_work")} />` : null}
    ${scores ? html`<div class="wide" tabindex="0" role="region" aria-label=${t("truth")}><table><tbody>${rows.map(([name, value]) => html`<tr key=${name}><th>${name.replaceAll("_", " ")}</th><td>${figure(value)}</td></tr>`)}
      ${(scores.total.iou ?? []).map((value, k) => html`<tr key=${k}><th>IoU ${scores.classes[k]}</th><td>${figure(value)}</td></tr>`)}</tbody></table></div>` : null}`;
}

function Convert({ run, about }) {
  const [back, setBack] = useState(false), [sent, take, busy, error] = useUpload(), at = path("runs", run, "convert");
  const [legend, unnamed] = useAnswer(about.converts.labels ? path("runs", run, "legend") : null);
  const [after, failed] = useAnswer(sent && at + query({ upload: sent.upload, back, slot: `${tab}-convert` }), 0, blobOf);
  return html`<section><h2>${about.command}</h2>${about.converts.back ? html`<div class="fields"><label><input type="checkbox" checked=${back} onChange=${(e) => setBack(e.target.checked)} /> ${t("way_back")}</label></div>` : null}<${Drop} onFile=${take} busy=${busy && t("sending")} /><${Line} error=${error || failed || unnamed} />
    ${sent && !after && !failed ? html`<${Busy} text=${t("at_work")} />` : null}
    ${after ? html`<${Compare} before=${sent.file} after=${after} command=${about.command} />
      <div class="actions"><a class="button quiet" href=${at + query({ upload: sent.upload, back, format: "png" })} download=${`${about.command}.png`}>${t("download")} PNG</a></div><${Truth} run=${run} sent=${sent} back=${back} />` : null}
    ${legend?.length ? html`<h3>${t("legend")}</h3><ul class="tags">${legend.map((one) => html`<li key=${one.name}><span class="swatch" style=${{ background: one.colour }}></span>${one.name}</li>`)}</ul>` : null}</section>
    <${Folders} run=${run} why="whole_why" fills=${false} painted=${null} back=${back} />`;
}

const SHOWN = 10; // classes of a picture, the likeliest

function Classify({ run }) {
  const [sent, take, busy, error] = useUpload(), [found, failed] = useAnswer(sent && path("runs", run, "classes") + query({ upload: sent.upload }));
  const likeliest = Object.entries(found?.probabilities ?? {}).sort((one, other) => other[1] - one[1]), more = likeliest.length - SHOWN;
  return html`<section><h2>${t("classify")}</h2><${Drop} onFile=${take} busy=${busy && t("sending")} /><${Line} error=${error || failed} />
    ${sent && !found && !failed ? html`<${Busy} text=${t("at_work")} />` : null}
    ${found ? html`<div class="classified" role="status"><${Shown} blob=${sent.file} class="big" label=${t("your_picture")} /><table aria-label=${t("classify")}><tbody>${likeliest.slice(0, SHOWN).map(([name, value]) => html`<tr key=${name}><th scope="row">${name}</th>
      <td><progress value=${value} max="1" aria-label=${name}></progress></td><td>${(100 * value).toFixed(1)} %</td></tr>`)}
      ${more > 0 ? html`<tr><td colspan="3" class="muted">${t("more_classes", { n: more })}</td></tr>` : null}</tbody></table></div>` : null}</section>`;
}

// Two colours in turn, far apart in hue and lightness: one of them is seen on any picture.
function hatched(context, { width, height }) {
  const side = Math.max(1, Math.round(Math.max(width, height) / 48)), tile = new OffscreenCanvas(2 * side, 2 * side), on = tile.getContext("2d");
  on.fillStyle = "#ff2bd6"; on.fillRect(0, 0, 2 * side, 2 * side);
  on.fillStyle = "#12131a"; on.fillRect(0, 0, side, side); on.fillRect(side, side, side, side);
  return context.createPattern(tile, "repeat");
}

// Strokes are kept as points, so that they can be taken back; the mask, a promise of its file, has the size of the picture.
function MaskPainter({ sent, onMask }) {
  const view = useRef(null), mask = useRef(null), strokes = useRef([]), drawing = useRef(null), image = useRef(null);
  const [size, setSize] = useState(Math.round(Math.max(sent.height, sent.width) / 8)), [eraser, setEraser] = useState(false), [brush, setBrush] = useState({ x: sent.width / 2, y: sent.height / 2 }), [shown, setShown] = useState(false);
  const stroke = (context, one) => {
    context.globalCompositeOperation = one.eraser ? "destination-out" : "source-over";
    context.strokeStyle = context.fillStyle = "#fff"; context.lineWidth = one.size; context.lineCap = context.lineJoin = "round";
    context.beginPath();
    const [[x, y], ...rest] = one.points;
    if (!rest.length) { context.arc(x, y, one.size / 2, 0, 2 * Math.PI); context.fill(); return; }
    context.moveTo(x, y);
    for (const [a, b] of rest) context.lineTo(a, b);
    context.stroke();
  };
  const draw = () => {
    mask.current ??= new OffscreenCanvas(sent.width, sent.height);
    const context = mask.current.getContext("2d");
    context.clearRect(0, 0, sent.width, sent.height);
    for (const one of [...strokes.current, ...(drawing.current ? [drawing.current] : [])]) stroke(context, one);
    if (!image.current || !view.current) return;  // what is painted before the picture is decoded counts
    const target = view.current.getContext("2d");
    target.drawImage(image.current, 0, 0, sent.width, sent.height);
    const tint = new OffscreenCanvas(sent.width, sent.height), over = tint.getContext("2d");
    over.drawImage(mask.current, 0, 0);
    over.globalCompositeOperation = "source-in"; over.fillStyle = hatched(over, sent); over.fillRect(0, 0, sent.width, sent.height);
    target.globalAlpha = 0.8; target.drawImage(tint, 0, 0); target.globalAlpha = 1;
  };
  const told = () => {
    draw();
    if (!strokes.current.some((one) => !one.eraser)) { onMask(null); return; }
    const plain = new OffscreenCanvas(sent.width, sent.height), context = plain.getContext("2d");
    context.fillStyle = "#000"; context.fillRect(0, 0, sent.width, sent.height); context.drawImage(mask.current, 0, 0);
    onMask(plain.convertToBlob({ type: "image/png" }));
  };
  useEffect(() => {
    let ended = false;
    strokes.current = []; mask.current = null; image.current = null; onMask(null);
    createImageBitmap(sent.file, { resizeWidth: sent.width, resizeHeight: sent.height }).then((bitmap) => { if (!ended) { image.current = bitmap; draw(); } });
    return () => { ended = true; };
  }, [sent]);
  const at = (event) => {
    const box = view.current.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * sent.width, (event.clientY - box.top) / box.height * sent.height];
  };
  const down = (event) => {
    if (event.button) return;
    event.preventDefault();
    view.current.setPointerCapture(event.pointerId);
    drawing.current = { size, eraser, points: [at(event)] };
    draw();
  };
  const move = (event) => {
    const [x, y] = at(event);
    setBrush({ x, y });
    if (!drawing.current) return;
    drawing.current.points.push([x, y]);
    draw();
  };
  const up = () => { if (drawing.current) { strokes.current.push(drawing.current); drawing.current = null; told(); } };
  const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const press = (event) => {
    if (event.key in keys) {
      const [dx, dy] = keys[event.key], step = Math.max(1, size / 3);
      setBrush({ x: Math.min(sent.width, Math.max(0, brush.x + dx * step)), y: Math.min(sent.height, Math.max(0, brush.y + dy * step)) });
    } else if (event.key === " ") { strokes.current.push({ size, eraser, points: [[brush.x, brush.y]] }); told(); }
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) { strokes.current.pop(); told(); }
    else return;
    event.preventDefault();
  };
  return html`<p class="muted">${t("paint_help")}</p><div class="painter" style=${{ maxWidth: `${Math.max(320, Math.min(640, sent.width * 8))}px` }}>
      <canvas ref=${view} class="picture big" width=${sent.width} height=${sent.height} tabindex="0" role="application" aria-label=${t("mask_area")} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}
        onPointerEnter=${() => setShown(true)} onPointerLeave=${() => setShown(false)} onFocus=${() => setShown(true)} onBlur=${() => setShown(false)} onKeyDown=${press}></canvas>
      ${shown ? html`<span class="brush" style=${{ left: `${100 * brush.x / sent.width}%`, top: `${100 * brush.y / sent.height}%`, width: `${100 * size / sent.width}%` }}></span>` : null}</div>
    <div class="fields"><${Slider} label=${t("brush")} value=${size} min="1" max=${Math.round(Math.max(sent.height, sent.width) / 2)} step="1" onInput=${setSize} />
      <label><input type="checkbox" checked=${eraser} onChange=${(e) => setEraser(e.target.checked)} /> ${t("eraser")}</label>
      <button class="quiet" onClick=${() => { strokes.current.pop(); told(); }}>${t("undo")}</button><button class="quiet" onClick=${() => { strokes.current = []; told(); }}>${t("clear")}</button></div>`;
}

function Fill({ run }) {
  const [sent, take, busy, error] = useUpload(), [mask, setMask] = useState(null), [seed, setSeed] = useState(0), [made, setMade] = useState(null), done = made?.of === sent ? made : null;
  const [fill, working, failed] = useWork(async (seed) => {
    if (!mask) throw new Error(t("nothing_painted"));
    setSeed(seed);
    const { upload } = await send("POST", "/api/uploads", await mask);
    const answer = await send("POST", path("runs", run, "fill"), { upload: sent.upload, mask: upload, n: 4, seed });
    setMade({ of: sent, note: answer.note, fillings: answer.fillings.map(fromText), links: answer.fillings.map((text) => `data:image/png;base64,${text}`) });
  }, sent);
  return html`<section><h2>${t("fill")}</h2><${Drop} onFile=${take} busy=${busy && t("sending")} /><${Line} error=${error} />
    ${sent ? html`<${MaskPainter} sent=${sent} onMask=${setMask} /><div class="actions"><${SendButton} disabled=${working} onClick=${() => fill(seed)}>${t("fill")}<//>
      <${SendButton} class="quiet" disabled=${working || !done} onClick=${() => fill(seed + 1)}>${t("another")}<//></div>` : null}
    <${Line} error=${failed} />${working ? html`<${Busy} text=${t("at_work")} />` : null}
    ${done ? html`<h3>${t("fillings")}</h3><p class="muted">${done.note}</p><div class="fillings">${done.fillings.map((blob, k) => html`<a key=${k} class="saved" href=${done.links[k]} download=${`filling-${k + 1}.png`} title=${t("download")}><${Shown} blob=${blob} class="big" label=${t("filling", { n: k + 1 })} /></a>`)}</div>` : null}</section>
    <${Folders} run=${run} why="whole_fill_why" fills=${true} painted=${mask} back=${false} />`;
}

async function reconstructed(url) {
  const answer = await send("POST", url);
  return { ...answer, source: fromText(answer.source), answer: fromText(answer.answer) };
}

function Reconstruct({ run, about, job, again }) {
  const [sent, take, busy, error] = useUpload(), [start, setStart] = useState(""), [end, setEnd] = useState("0:0");
  const [done, failed] = useAnswer(sent && path("runs", run, "reconstruct") + query({ upload: sent.upload }), 0, reconstructed);
  const [learn, sending, refused] = useWork(async () => { await send("POST", path("runs", run, "encoder")); await again(); });
  useEffect(() => setStart(""), [sent]);
  return html`<section><h2>${t("reconstruct")}</h2><p class="muted">${t("reconstruct_why")}</p>
    ${about.encoder ? null : html`<p>${t("encoder_none")}</p><div class="actions"><${SendButton} disabled=${sending || job !== null} onClick=${learn}>${t("encoder_learn")}<//></div>
      ${job ? html`<${Working} line=${job.said || job.command} />` : null}`}
    ${about.encoder ? html`<${Drop} onFile=${take} busy=${busy && t("sending")} />` : null}<${Line} error=${error || failed || refused} />
    ${sent && !done && !failed ? html`<${Busy} text=${t("at_work")} />` : null}
    ${done ? html`<div class="fillings"><figure><${Shown} blob=${done.source} class="big" label=${t("your_picture")} /><figcaption>${t("your_picture")}</figcaption></figure>
      <figure><${Shown} blob=${done.answer} class="big" label=${t("its_answer")} /><figcaption>${t("its_answer")}</figcaption></figure></div><p>${t("differs", { n: figure(done.error) })}</p>` : null}</section>
    ${done ? html`<${OneSample} key=${done.point} run=${run} about=${about} common=${{}} start=${start || done.point} end=${end} setStart=${setStart} setEnd=${setEnd} choose="" />` : null}`;
}

export function ToolsView({ run, job, again }) {
  const [, error, about] = useAnswer(path("runs", run, "about"), job?.command); // what is there stays where asking again fails
  if (!about) return html`<${Line} error=${error} />${error ? null : html`<${Busy} text=${t("loading")} />`}`;
  const images = about.kind === "image";
  if (about.fills_tables) return html`<${FillsTables} />`;
  return html`<${Line} error=${error} />${about.converts ? html`<${Convert} run=${run} about=${about} />` : null}${about.fills ? html`<${Fill} run=${run} />` : null}
    ${about.classifies && images ? html`<${Classify} run=${run} />` : null}${about.classifies ? html`<${Folders} run=${run} why="whole_classify_why" fills=${false} painted=${null} back=${false} />` : null}
    ${about.draws && images ? html`<${Reconstruct} run=${run} about=${about} job=${job} again=${again} />` : null}${about.converts || about.fills || about.classifies || (about.draws && images) ? null : html`<p class="empty">${t("no_tools")}</p>`}`;
}
