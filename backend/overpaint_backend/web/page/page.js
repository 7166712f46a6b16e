// The page: asks the server once a second while it is seen, and shows what it says. Nothing is kept but the token, until the tab is closed.

const SECOND = 1000;
const LONGEST = 30 * SECOND;
const ACTS = { front: "Move to the front", pause: "Pause", resume: "Resume", retry: "Try again", cancel: "Cancel" };
const STATES = {
  open: "pixels arrive", queued: "waiting", running: "painting", paused: "paused", cancelling: "stopping",
  finished: "finished", failed: "failed", cancelled: "cancelled",
};

const $ = (id) => document.getElementById(id);
const shown = new Map(); // job id -> its list item
const pictures = new Map(); // job id -> {event, url}
let timer = 0;
let failures = 0;
let asking = false;
let reached = ""; // when the server last answered, as a person reads it

const token = {
  get: () => sessionStorage.getItem("overpaint-token") || "",
  set: (value) => sessionStorage.setItem("overpaint-token", value),
  drop: () => sessionStorage.removeItem("overpaint-token"),
};

async function ask(path, how = {}) {
  const headers = { ...(token.get() && { Authorization: `Bearer ${token.get()}` }), ...(how.method === "POST" && { "X-Overpaint": "1" }) };
  return fetch(path, { ...how, headers, credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(10 * SECOND) });
}

async function look() {
  clearTimeout(timer);
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await ask("api/queue");
    if (answer.status === 401) return askForToken(await words(answer));
    if (!answer.ok) throw new Error((await words(answer)) || `it answers ${answer.status}`);
    const queue = await answer.json();
    failures = 0;
    reached = new Date().toLocaleTimeString();
    show(queue);
    again(SECOND);
  } catch (trouble) {
    failures += 1;
    const wait = Math.min(SECOND * 2 ** (failures - 1), LONGEST);
    showGone(trouble, wait);
    again(wait);
  } finally {
    asking = false;
  }
}

function again(wait) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, wait);
}

async function words(answer) {
  try {
    const { error } = await answer.json();
    return [error.message, error.remedy].filter(Boolean).join(". ");
  } catch {
    return "";
  }
}

function askForToken(why) {
  $("door").hidden = false;
  $("board").hidden = true;
  $("notice").hidden = true;
  $("forget").hidden = true;
  setLink("asking", "Not signed in");
  text($("door-trouble"), token.get() ? sentence(why) : "");
  token.drop();
  $("token").value = "";
  $("token").focus();
}

function show({ server, caller, health, jobs }) {
  $("door").hidden = true;
  $("board").hidden = false;
  $("board").classList.remove("stale");
  $("forget").hidden = !token.get();
  text($("server"), [`${server.version} on ${server.devices.join(", ")}`, caller.name && `you are ${caller.name}`].filter(Boolean).join(" · "));
  setLink(health.well ? "there" : "ill", health.well ? "Connected" : "Not well");
  notice(health.well ? "" : sentence(health.reasons.join("; ")), false);
  const rooms = { painting: [], waiting: [], ended: [] };
  for (const job of jobs) rooms[job.room].push(job);
  for (const [room, its] of Object.entries(rooms)) {
    place($(room), its, server.now);
    text($(`${room}-count`), its.length ? `${its.length}` : "");
  }
  $("painting-empty").hidden = rooms.painting.length > 0;
  $("waiting-empty").hidden = rooms.waiting.length > 0;
  $("ended-section").hidden = rooms.ended.length === 0;
  $("welcome").hidden = jobs.length > 0;
  for (const id of ["painting-title", "waiting-title"]) $(id).parentElement.hidden = jobs.length === 0;
  forgetAllBut(new Set(jobs.map((job) => job.id)));
}

function showGone(trouble, wait) {
  setLink("gone", "Server gone");
  const since = reached ? ` What is below is of ${reached}.` : "";
  const why = trouble instanceof TypeError || trouble.name === "TimeoutError" ? "The server does not answer." : `The server cannot answer: ${trouble.message}.`;
  notice(`${why}${since} It is asked again in ${Math.round(wait / SECOND)} s.`, true);
  $("board").classList.add("stale");
  for (const button of document.querySelectorAll(".acts button")) button.disabled = true;
}

function setLink(state, said) {
  $("link").dataset.state = state;
  text($("link-words"), said);
}

function notice(said, offer) {
  $("notice").hidden = !said;
  text($("notice-words"), said);
  $("again").hidden = !offer;
}

// The list items stay the same from one answer to the next, so that focus and selection stay as well.
function place(list, jobs, now) {
  jobs.forEach((job, index) => {
    if (!shown.has(job.id)) shown.set(job.id, $("job").content.firstElementChild.cloneNode(true));
    const item = shown.get(job.id);
    fill(item, job, now);
    if (list.children[index] === item) return;
    const held = item.contains(document.activeElement) ? document.activeElement : null; // moving an item takes its focus away
    list.insertBefore(item, list.children[index] || null);
    held?.focus({ preventScroll: true });
  });
}

function forgetAllBut(ids) {
  for (const [id, item] of shown) {
    if (ids.has(id)) continue;
    item.remove();
    shown.delete(id);
    if (pictures.has(id)) URL.revokeObjectURL(pictures.get(id).url);
    pictures.delete(id);
  }
}

function fill(item, job, now) {
  const part = (name) => item.querySelector(`.${name}`);
  item.dataset.job = job.id;
  item.dataset.state = job.state;
  text(part("what"), `${capital(job.task)} with ${job.engine}`);
  text(part("chip"), STATES[job.state] || job.state);
  const facts = [`${job.frames} ${job.frames === 1 ? "frame" : "frames"}`, job.size, job.owner, `opened ${ago(now - job.opened_at)}`, job.id.slice(0, 8)];
  text(part("facts"), facts.filter(Boolean).join(" · "));
  optional(part("prompt"), job.prompt);
  optional(part("place"), job.room === "waiting" ? `${job.place || "–"}` : "");
  part("place").title = job.place ? `place ${job.place} in the queue` : "not in the queue";
  fillProgress(item, job);
  part("trouble").hidden = !job.error;
  text(part("message"), job.error ? sentence(job.error.message) : "");
  text(part("remedy"), job.error ? sentence(job.error.remedy) : "");
  fillActs(part("acts"), job);
  if (job.room === "painting" && job.picture) showPicture(item, job);
}

function fillProgress(item, { room, state, progress: how }) {
  const part = (name) => item.querySelector(`.${name}`);
  part("how").hidden = room !== "painting" && !(state === "paused" && how.windows);
  if (part("how").hidden) return;
  const bar = item.querySelector("progress");
  const percent = Math.floor(100 * how.share);
  bar.value = Math.round(1000 * how.share);
  bar.setAttribute("aria-label", `${percent} percent painted`);
  const window = how.windows > 1 && how.window < how.windows ? `, window ${how.window + 1} of ${how.windows}` : "";
  const step = how.steps ? `, step ${how.step} of ${how.steps}` : "";
  text(part("doing"), `${capital(how.stage)}${window}${step}`);
  text(part("left"), [`${percent} %`, how.seconds_left !== null && `about ${duration(how.seconds_left)} left`].filter(Boolean).join(" · "));
}

function fillActs(acts, job) {
  const wanted = job.can.join(" ");
  if (acts.dataset.can !== wanted) {
    acts.dataset.can = wanted;
    acts.replaceChildren(...job.can.map((act) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.act = act;
      button.textContent = ACTS[act];
      button.setAttribute("aria-label", `${ACTS[act]}: ${job.task} with ${job.engine}, ${job.id.slice(0, 8)}`);
      button.addEventListener("click", () => (act === "cancel" ? confirmCancel(job) : act_on(job.id, act)));
      return button;
    }));
  }
  for (const button of acts.children) button.disabled = false;
}

async function showPicture(item, { id, picture }) {
  if (pictures.get(id)?.event === picture) return;
  const before = pictures.get(id);
  pictures.set(id, { ...before, event: picture });
  try {
    const answer = await ask(`api/jobs/${id}/pictures/${picture}`);
    if (!answer.ok) return; // a newer one is there by now; the next look finds it
    const url = URL.createObjectURL(await answer.blob());
    const image = item.querySelector(".picture img");
    image.alt = "The newest painted frame";
    image.src = url;
    image.hidden = false;
    if (before?.url) URL.revokeObjectURL(before.url);
    pictures.set(id, { event: picture, url });
  } catch {
    pictures.delete(id);
  }
}

function confirmCancel(job) {
  const what = `${capital(job.task)} with ${job.engine}, ${job.frames} frames`;
  text($("sure-words"), `${what}${job.prompt ? `: “${job.prompt}”` : ""}. Windows that are finished stay: it can be tried again and goes on from there.`);
  $("do").onclick = () => { $("sure").close(); act_on(job.id, "cancel"); };
  $("sure").showModal();
}

async function act_on(id, act) {
  const refused = shown.get(id)?.querySelector(".refused");
  try {
    const answer = await ask(`api/jobs/${id}/${act}`, { method: "POST" });
    optional(refused, answer.ok ? "" : (await words(answer)) || "The server refused.");
    if (answer.status === 401) return look();
  } catch {
    optional(refused, "The server does not answer; nothing was changed as far as we know.");
  }
  look();
}

function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function optional(node, words) {
  if (!node) return;
  node.hidden = !words;
  text(node, words || "");
}

function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function sentence(words) {
  return words ? capital(words).replace(/\.?$/, ".") : "";
}

function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

function ago(seconds) {
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

$("door").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = $("token").value.trim();
  if (!/^[\x21-\x7e]+$/.test(given)) return text($("door-trouble"), "A token has neither spaces nor accents.");
  token.set(given);
  look();
});
$("forget").addEventListener("click", () => { token.drop(); look(); });
$("again").addEventListener("click", () => look());
$("keep").addEventListener("click", () => $("sure").close());
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
look();
