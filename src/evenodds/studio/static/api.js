// Requests: errors are the one line that the studio says; polls cost nothing where nothing has changed.

import { t } from "./strings.js";

export const tab = crypto.randomUUID().slice(0, 8);
export const path = (...parts) => "/api/" + parts.map(encodeURIComponent).join("/");

export function query(values) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) words.append(name, one);
  }
  const text = words.toString();
  return text ? `?${text}` : "";
}

export class Failure extends Error {
  constructor(status, line) {
    super(line);
    this.status = status;
  }
}

export async function ask(url, options = {}) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, t("lost"));
  }
  if (answer.ok || answer.status === 304) return answer;
  let line = answer.statusText || String(answer.status);
  try {
    line = (await answer.json()).error || line;
  } catch { /* it was no JSON */ }
  throw new Failure(answer.status, answer.status === 401 ? t("no_token") : line);
}

export const get = async (url) => (await ask(url)).json();
export const blobOf = async (url) => (await ask(url)).blob();

export async function send(method, url, body) {
  const options = { method };
  if (body instanceof Blob) options.body = body;
  else if (body !== undefined) Object.assign(options, { body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  const answer = await ask(url, options);
  return answer.status === 204 ? null : answer.json();
}

// Calls `tell` with what has changed, and `fail` with what went wrong, until end(); again() asks now. What was asked before counts no more.
export function poll(url, seconds, tell, fail) {
  let tag = "", timer = 0, round = new AbortController();
  const end = () => { round.abort(); clearTimeout(timer); };
  const again = async () => {
    end();
    const { signal } = round = new AbortController();
    try {
      if (!document.hidden || !tag) {
        const answer = await ask(url, { signal, headers: tag ? { "if-none-match": tag } : {} }), body = answer.status === 304 ? null : await answer.json();
        if (signal.aborted) return;
        if (body !== null) { tag = answer.headers.get("etag") || ""; tell(body); }
        fail(null);
      }
    } catch (error) {
      if (signal.aborted) return;
      fail(error);
    }
    timer = setTimeout(again, 1000 * seconds);
  };
  again();
  return { again, end };
}

// One request in flight; of those that come meanwhile, the latest is sent next and the others never.
export class Latest {
  constructor() { this.busy = false; this.next = null; this.since = Infinity; }

  async ask(url, use, fail) {
    if (this.busy) { this.next = [url, use, fail]; return; }
    this.busy = true;
    this.since = performance.now();
    try {
      await use(await ask(url));
      fail(null);
    } catch (error) {
      if (error.status !== 409) fail(error);
    } finally {
      this.busy = false;
      this.since = Infinity;
      const next = this.next;
      this.next = null;
      if (next) this.ask(...next);
    }
  }
}
