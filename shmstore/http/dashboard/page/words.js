// Quantities as people read them, in the words of the command line.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const six = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const clockOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const nothing = "–";

export const count = (value) => (value == null ? nothing : whole.format(value));

export function number(value) {
  if (value == null) return nothing;
  if (typeof value === "string") return value;
  return Math.abs(value) >= 1e15 ? value.toExponential(3) : Math.abs(value) >= 1e6 ? whole.format(value) : six.format(value);
}

function scaled(value, base, units) {
  let at = 0;
  while (Math.abs(value) >= base * 0.9995 && at < units.length - 1) { value /= base; at += 1; }
  return `${three.format(value)}${units[at]}`;
}

export const short = (value) => (value == null ? nothing : scaled(value, 1000, ["", " k", " M", " G", " T"]));

export const rate = (value) => (value == null ? nothing : `${short(value)}/s`);

export const size = (value) => (value == null ? nothing : scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]));

// Only what is exactly full says 100 %, only what is exactly empty 0 %.
export function percent(part) {
  if (part == null) return nothing;
  return `${part >= 1 ? 100 : part <= 0 ? 0 : Math.min(99, Math.max(1, Math.round(part * 100)))} %`;
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export const ago = (time, now) => (time == null ? "never" : `${duration((now - time) / 1000)} ago`);

export const clock = (time) => clockOf.format(time);

export const moment = (time) => `${dayOf.format(time)} ${clock(time)}`;

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;
