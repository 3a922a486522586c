// Follows a batch that is under way, and shows the answers when it is done.

import { pause, talk } from "./ask-server.js";

const POLL_SECONDS = 2;
const part = (id) => document.getElementById(id);

async function follow(section) {
  for (;;) {
    await pause(POLL_SECONDS);
    if (document.hidden) continue;
    const now = await talk(section.dataset.address).catch(() => null);
    if (!now) continue; // the site is away; it may come back
    const done = now.photographs - now.waiting;
    part("progress").max = now.photographs;
    part("progress").value = done;
    const words = `${done.toLocaleString("en")} of ${now.photographs.toLocaleString("en")} photographs have been looked at.`;
    if (part("progress-words").textContent !== words) part("progress-words").textContent = words;
    if (!now.waiting || now.state === "failed") {
      window.location.reload();
      return;
    }
  }
}

const underWay = part("under-way");
if (underWay && !underWay.querySelector("form")) follow(underWay);
