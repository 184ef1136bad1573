// What the console does with a script, and does as well without: it reads again what changes by itself, and says at a chart
// what the pointer is at. Nothing else: no page needs it.
"use strict";

// Reads the page again and puts what changed into its place, without moving the reader or what they type.
const main = document.querySelector("main[data-refresh]");
if (main) {
  const seconds = Number(main.dataset.refresh);
  const again = async () => {
    const busy = main.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
    if (!document.hidden && !busy) {
      try {
        const answer = await fetch(location.href, { credentials: "same-origin", headers: { "x-by-itself": "yes" } });
        if (answer.redirected) return location.assign(answer.url);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of main.querySelectorAll("[data-live]")) {
          const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
          if (fresh && fresh.innerHTML !== part.innerHTML) part.innerHTML = fresh.innerHTML;
        }
        const next = page.querySelector("main[data-refresh]");
        if (!next) return location.reload();
      } catch {
        // The node is away for a moment; the next look may find it.
      }
    }
    setTimeout(again, seconds * 1000);
  };
  setTimeout(again, seconds * 1000);
}

// Says at a chart what the pointer is at. Its table says the same.
document.addEventListener("pointermove", (event) => {
  const bar = event.target.closest?.("[data-tip]");
  let tip = document.getElementById("tip");
  if (!bar) {
    if (tip) tip.hidden = true;
    return;
  }
  if (!tip) {
    tip = document.body.appendChild(document.createElement("div"));
    tip.id = "tip";
    tip.setAttribute("aria-hidden", "true");
  }
  tip.textContent = bar.dataset.tip;
  tip.hidden = false;
  const x = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8);
  tip.style.left = `${x}px`;
  tip.style.top = `${event.clientY - tip.offsetHeight - 10}px`;
});

// Copies what stands in a field that was made to be copied.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  button.textContent = "Copied";
});
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;

// Asks before what cannot be taken back; without a script the page of the step says it.
document.addEventListener("submit", (event) => {
  const text = event.submitter?.dataset.confirm;
  if (text && !confirm(text)) event.preventDefault();
});
