// The way to the server: states that are sent as they come, and questions that are asked again and again.
// Both are read by fetch, so that a token can be sent along.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
const SILENCE_MS = 20000;
const TOKEN = "shmstore.token";

export const setToken = (text) => sessionStorage.setItem(TOKEN, text);

let tokenIsAskedFor = () => {};
export const onTokenAskedFor = (listener) => { tokenIsAskedFor = listener; };

async function get(path, signal) {
  const token = sessionStorage.getItem(TOKEN) ?? "";
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { headers, signal, cache: "no-store" });
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  if (response.status === 401) tokenIsAskedFor(token !== "");
  throw Object.assign(new Error(told.error ?? `the service answers ${response.status}`), { status: response.status });
}

const pathOf = (path, query) => `${path}?${new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value != null))}`;

// States of a store and of all others, until `stop`. After a break it comes back, ever more slowly.
export class Live {
  constructor(onState, onStatus) {
    this.onState = onState;
    this.onStatus = onStatus;
    this.control = null;
  }

  start(store) {
    this.stop();
    this.control = new AbortController();
    this.run(store, this.control.signal);
  }

  stop() {
    this.control?.abort();
    this.control = null;
  }

  async run(store, signal) {
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      try {
        await this.read(store, signal, () => { pause = FIRST_PAUSE_MS; });
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401) return;
      }
      if (signal.aborted) return;
      this.onStatus("away", `the service is away; asking again in ${(pause / 1000).toFixed(1)} s`);
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(LONGEST_PAUSE_MS, pause * 1.7);
    }
  }

  async read(store, signal, hasCome) {
    const own = new AbortController();
    const end = () => own.abort();
    signal.addEventListener("abort", end);
    let silence = setTimeout(end, SILENCE_MS);
    try {
      const response = await get(pathOf("/dashboard/live", { store }), own.signal);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE_MS);
        const pieces = (rest + value).split("\n\n");
        rest = pieces.pop();
        for (const piece of pieces) {
          const data = piece.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
          if (data && !signal.aborted) {
            hasCome();
            this.onState(JSON.parse(data));
          }
        }
      }
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", end);
    }
  }
}

// One question of the page. `look` asks it when it is another one than before, or was answered too long ago.
export class Question {
  constructor(path, show, fail) {
    this.path = path;
    this.show = show;
    this.fail = fail;
    this.asked = null;
    this.dueAt = 0;
    this.control = null;
  }

  forget() {
    this.control?.abort();
    this.control = null;
    this.asked = null;
  }

  async look(query, isAnew) {
    const path = pathOf(this.path, query);
    const isSame = path === this.asked;
    if (isSame && (this.control || !isAnew || performance.now() < this.dueAt)) return;
    this.control?.abort();
    const control = (this.control = new AbortController());
    this.asked = path;
    try {
      const answer = await (await get(path, control.signal)).json();
      this.dueAt = performance.now() + Math.max(0.5, answer.again) * 1000;
      this.show(answer);
    } catch (error) {
      if (control.signal.aborted) return;
      this.dueAt = performance.now() + 3000;
      if (error.status && error.status !== 401) this.fail(error.message);
    } finally {
      if (this.control === control) this.control = null;
    }
  }
}
