// The page works without this: it refreshes the page every minute, closes the list
// of states and tells a line's numbers under the pointer.
"use strict";

const every = 60_000;
const live = document.getElementById("live");

// A browser may refuse to keep anything: then a pause ends with the page.
let paused = false;
try {
  paused = sessionStorage.getItem("paused") === "yes";
} catch { /* refused */ }

// Who has marked text keeps it.
function marks() {
  const marked = getSelection();
  return !marked.isCollapsed && marked.containsNode(document.getElementById("content"), true);
}

// Who writes in the form or has its list open keeps it.
function inUse(bar) {
  return bar.contains(document.activeElement) || bar.querySelector("details[open]") !== null ||
    [...bar.querySelectorAll("input")].some((i) => i.value !== i.defaultValue || i.checked !== i.defaultChecked);
}

// takeOver puts the fresh part in the old one's place: what is open, how far it is
// scrolled and where the keyboard is stay as they are.
function takeOver(old, fresh) {
  const inside = "a[href], button, summary, [tabindex]";
  const focus = [old, ...old.querySelectorAll(inside)].indexOf(document.activeElement);
  const scrolled = [...old.querySelectorAll(".scroll")].map((e) => [e.scrollLeft, e.scrollTop]);
  const details = fresh.querySelectorAll("details");
  old.querySelectorAll("details").forEach((e, i) => { if (details[i]) details[i].open = e.open; });
  old.replaceWith(fresh);
  fresh.querySelectorAll(".scroll").forEach((e, i) => { if (scrolled[i]) e.scrollTo(...scrolled[i]); });
  if (focus >= 0) [fresh, ...fresh.querySelectorAll(inside)][focus]?.focus({ preventScroll: true });
}

async function refresh() {
  if (paused || document.hidden) return;
  if (marks()) return say("not refreshed while text is marked");
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.status >= 500) throw new Error(fresh.querySelector("h1")?.textContent);
    if (marks()) return say("not refreshed while text is marked");
    for (const part of [".state", ".bar", "main", ".made time"]) {
      const old = document.querySelector(part);
      if (part !== ".bar" || !inUse(old)) takeOver(old, fresh.querySelector(part));
    }
    say();
  } catch (error) {
    say("cannot be refreshed");
    document.body.classList.add("stale");
    outdate(error instanceof TypeError ? "The page does not answer" : error.message);
  }
}

// outdate says that what is shown is not of now any more.
function outdate(why) {
  const verdict = document.querySelector(".verdict");
  verdict.className = "verdict bad";
  const [what, since] = [document.createElement("b"), document.createElement("span")];
  what.textContent = why;
  since.textContent = "what is shown is of " + document.querySelector(".made time").textContent;
  verdict.replaceChildren(what, " ", since);
}

function say(text = paused ? "not refreshed" : "refreshed every minute") {
  document.body.classList.remove("stale");
  const [state, button] = [live.querySelector("span"), live.querySelector("button")];
  if (state.textContent !== text) state.textContent = text;
  button.textContent = paused ? "Refresh" : "Pause";
}

if (live) {
  live.hidden = false;
  say();
  live.querySelector("button").addEventListener("click", () => {
    paused = !paused;
    try {
      sessionStorage.setItem("paused", paused ? "yes" : "no");
    } catch { /* refused */ }
    say();
    refresh();
  });
  setInterval(refresh, every);
  document.addEventListener("visibilitychange", refresh);
  document.addEventListener("covid:refresh", refresh);
}

function closeList(event) {
  const list = document.querySelector(".choose[open]");
  if (!list || (event.type === "keydown" ? event.key !== "Escape" : list.contains(event.target))) return;
  const back = list.contains(document.activeElement);
  list.open = false;
  if (back) list.querySelector("summary").focus();
}
document.addEventListener("keydown", closeList);
document.addEventListener("pointerdown", closeList);

document.addEventListener("pointermove", (event) => {
  const drawing = event.target.closest && event.target.closest(".lines svg");
  if (!drawing) return;
  const card = drawing.closest(".card");
  const rows = card.querySelectorAll(".data tbody tr");
  const box = drawing.getBoundingClientRect();
  const width = drawing.viewBox.baseVal.width;
  const x = (event.clientX - box.left) / box.width * width;
  const path = drawing.querySelector("path[class*='s1-0']");
  if (!path || rows.length === 0) return;
  const lines = path.getBBox();
  const place = (x - lines.x) / lines.width;
  if (place < -0.01 || place > 1.01) return;
  const day = (row) => Date.parse(row.cells[0].textContent);
  const wanted = day(rows[0]) + place * (day(rows[rows.length - 1]) - day(rows[0]));
  let at = 0;
  rows.forEach((row, i) => { if (Math.abs(day(row) - wanted) < Math.abs(day(rows[at]) - wanted)) at = i; });
  const cells = [...rows[at].cells].map((c) => c.textContent.trim());
  const titles = [...card.querySelectorAll(".data th")].map((c) => c.textContent.trim());
  card.querySelector(".tip").textContent = cells[0] + ": " +
    cells.slice(1).map((c, i) => c + " " + titles[i + 1].toLowerCase()).join(", ");
});
