// The page works without this: it refreshes the page every minute and tells a
// line's numbers under the pointer.
"use strict";

const every = 60_000;
const live = document.getElementById("live");

function refreshing() {
  return live && live.querySelector("button").getAttribute("aria-pressed") === "true";
}

// Who writes in the form, has a list open or works in the content keeps it.
function busy() {
  const content = document.getElementById("content");
  return document.hidden || content.querySelector("details[open]") !== null ||
    (content.contains(document.activeElement) && document.activeElement.id !== "main");
}

async function refresh() {
  if (!refreshing() || busy()) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (busy()) return;
    const scrolled = [...document.querySelectorAll(".scroll")].map((e) => e.scrollTop);
    document.getElementById("content").replaceWith(fresh.getElementById("content"));
    document.querySelector(".made time").replaceWith(fresh.querySelector(".made time"));
    document.querySelectorAll(".scroll").forEach((e, i) => { e.scrollTop = scrolled[i] || 0; });
    document.body.classList.remove("stale");
  } catch {
    document.body.classList.add("stale");
  }
}

if (live) {
  live.hidden = false;
  const button = live.querySelector("button");
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Refreshes every minute" : "Does not refresh";
    if (on) refresh();
  });
  setInterval(refresh, every);
  document.addEventListener("visibilitychange", refresh);
  document.addEventListener("covid:refresh", refresh);
}

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
