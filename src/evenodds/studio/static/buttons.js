// Buttons that send something, once.

import { useState } from "./vendor/preact-htm.js";
import { send } from "./api.js";
import { useWork } from "./hooks.js";
import { html, Line } from "./parts.js";

// The second click of a double click is none.
export function SendButton({ onClick, ...words }) {
  return html`<button ...${words} onClick=${(event) => (event.detail > 1 ? event.preventDefault() : onClick?.())} />`;
}

// What is at work is asked to end, which may take its time. Where something else is at work, it is another button: `key`.
export function StopButton({ url, ...words }) {
  const [asked, setAsked] = useState(false), [stop, busy, error] = useWork(async () => { await send("POST", url); setAsked(true); });
  return html`<${SendButton} ...${words} disabled=${asked || busy} onClick=${stop} /><${Line} error=${error} />`;
}
