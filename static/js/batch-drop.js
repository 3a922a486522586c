// A new batch, or pictures for the collection: files, a folder or a ZIP, chosen or dropped; they are sent one by one, so
// that none is lost with another.

import { pause, Refusal, talk, upload } from "./ask-server.js";

const part = (id) => document.getElementById(id);
const form = part("batch-form");
const PASSED_OVER = /(^|\/)(\.|Thumbs\.db$|desktop\.ini$)/i; // as web/batches/files.py passes them over
const PATIENCE = 5; // times that a file is sent again, if the site is away or asks to wait
let chosen = []; // {file, name}: the name has its folders
let busy = false;

function say(sentence) {
  part("batch-status").textContent = sentence;
}

function choose(files) {
  chosen = files.filter(({ name }) => !PASSED_OVER.test(name));
  part("batch-problem").hidden = true;
  const count = chosen.length;
  part("batch-chosen").textContent = count === 1 ? `Chosen: ${chosen[0].name}` : `${count.toLocaleString("en")} files chosen.`;
}

// What was dropped: entries of folders are read to the bottom.

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
  const found = [];
  for (const entry of entries) await collect(entry, found);
  return found;
}

async function collect(entry, found) {
  const name = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    found.push({ name, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader tells a hundred at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await collect(each, found);
  }
}

// Sending

function sendable({ file, name }) {
  const isZip = /\.zip$/i.test(name);
  const megabytes = Number(isZip ? form.dataset.zipMegabytes : form.dataset.megabytes);
  return file.size <= megabytes * 2 ** 20 ? null : `${name} is larger than ${megabytes} MB`;
}

async function sent(address, { file, name }, progress) {
  for (let attempt = 1; ; attempt += 1) {
    const content = new FormData();
    content.set("file", file, file.name);
    content.set("name", name);
    try {
      return await upload(address, content, progress);
    } catch (problem) {
      const passing = problem instanceof Refusal && (problem.status === 0 || problem.status === 429);
      if (!passing || attempt === PATIENCE) throw problem;
      await pause(Math.min(problem.seconds || 2 * attempt, 60));
    }
  }
}

async function send() {
  if (!chosen.length) throw new Refusal(`Please choose ${form.dataset.what}, a folder or a ZIP first.`);
  const most = Number(form.dataset.photographs);
  if (chosen.length > most) throw new Refusal(`These are ${chosen.length.toLocaleString("en")} files: at most ${most.toLocaleString("en")} ${form.dataset.what} can be taken at once.`);
  const bar = part("batch-progress");
  bar.hidden = false;
  say("Sending …");
  const named = new FormData(form);
  named.delete("files");
  const batch = await upload(form.action, named, () => {});
  const refused = [];
  for (const [place, each] of chosen.entries()) {
    say(`Sending ${(place + 1).toLocaleString("en")} of ${chosen.length.toLocaleString("en")}: ${each.name}`);
    const problem = sendable(each);
    if (problem) {
      refused.push(problem);
      continue;
    }
    try {
      const answer = await sent(batch.add, each, (share) => (bar.value = (100 * (place + share)) / chosen.length));
      refused.push(...(answer.refused ?? [])); // where no page shows them afterwards
    } catch (refusal) {
      if (!(refusal instanceof Refusal) || [0, 401, 404, 429].includes(refusal.status)) throw refusal;
      refused.push(refusal.message);
    }
  }
  await talk(batch.start, {});
  if (refused.length) {
    part("batch-problem").textContent = `${refused.length === 1 ? "One file was" : `${refused.length} files were`} not taken: ${refused.slice(0, 5).join(" ")}`;
    part("batch-problem").hidden = false;
    const link = document.createElement("a");
    link.href = batch.batch;
    link.textContent = form.dataset.goOn;
    part("batch-status").replaceChildren(link);
    link.focus();
    return;
  }
  window.location.assign(batch.batch);
}

async function doing(work) {
  if (busy) return;
  busy = true;
  part("batch-problem").hidden = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (problem) {
    if (!(problem instanceof Refusal)) throw problem;
    say("");
    part("batch-problem").textContent = problem.message;
    part("batch-problem").hidden = false;
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
    part("batch-progress").hidden = true;
  }
}

part("batch-more").hidden = false;
part("batch-folder").hidden = false;
for (const id of ["files", "folder"]) {
  part(id).addEventListener("change", () => {
    if (!part(id).files.length) return;
    choose([...part(id).files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
    part(id === "files" ? "folder" : "files").value = "";
  });
}
form.addEventListener("submit", (event) => {
  event.preventDefault();
  doing(send);
});
document.addEventListener("drop", (event) => {
  event.preventDefault(); // or the browser leaves the page and shows the file
  form.classList.remove("batch-over");
  const { dataTransfer } = event;
  if (!busy && dataTransfer.types.includes("Files")) dropped(dataTransfer).then(choose);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("batch-over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("batch-over");
});
