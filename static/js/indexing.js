// Follows an indexing that is under way, and shows how it ended.

import { pause, talk } from "./ask-server.js";

const POLL_SECONDS = 2;
const part = (id) => document.getElementById(id);

function show(id, words) {
  if (part(id).textContent !== words) part(id).textContent = words;
}

async function follow(address) {
  for (;;) {
    await pause(POLL_SECONDS);
    if (document.hidden) continue;
    const now = await talk(address).catch(() => null);
    if (!now) continue; // the site is away; it may come back
    if (now.state !== "waiting" && now.state !== "running") {
      if (document.body.hasAttribute("aria-busy")) continue; // pictures are being sent from this page
      window.location.reload();
      return;
    }
    if (now.step) show("progress-step", `Step ${now.step} of ${now.steps}: ${now.name}`);
    show("progress-line", now.line);
  }
}

const underWay = part("under-way");
if (underWay) follow(underWay.dataset.address);
