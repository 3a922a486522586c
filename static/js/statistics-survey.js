// Follows a survey of the collection that is under way, and shows the pairs when it is done.

import { pause, talk } from "./ask-server.js";

const POLL_SECONDS = 2;

async function follow(section) {
  const bar = section.querySelector("progress");
  const words = section.querySelector("[role=status]");
  for (;;) {
    await pause(POLL_SECONDS);
    if (document.hidden) continue;
    const now = await talk(section.dataset.address).catch(() => null);
    if (!now) continue; // the site is away; it may come back
    if (!now.running) {
      window.location.reload();
      return;
    }
    if (!now.of) continue;
    bar.max = now.of;
    bar.value = now.done;
    words.textContent = `${now.done.toLocaleString("en")} of ${now.of.toLocaleString("en")} pictures have been compared.`;
  }
}

const surveying = document.getElementById("surveying");
if (surveying) follow(surveying);
