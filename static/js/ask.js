// The one control that asks: whichever way a picture comes, it is uploaded, shown for changes, and asked for.

import { Camera } from "./ask-camera.js";
import { Editor } from "./ask-editor.js";
import { pause, Refusal, talk, upload } from "./ask-server.js";

const PATIENCE = 90; // seconds to go on asking, while the search warms up or many ask
const POLL_SECONDS = 3; // between two looks whether the search is ready

const part = (id) => document.getElementById(id);
const form = part("choose");
const ask = part("ask");
const find = part("find");
const editor = new Editor(part("stage"), part("previews"), changed);
let photograph = null; // as the site describes it
let camera = null;
let busy = false;

function announce(sentence) {
  part("ask-status").textContent = sentence;
}

function refuse(problem) {
  if (!(problem instanceof Refusal)) throw problem;
  announce("");
  part("ask-problem").textContent = problem.message;
  part("ask-problem").hidden = false;
}

/** Do one thing at a time; what is refused is said. */
async function doing(work) {
  if (busy) return;
  busy = true;
  part("ask-problem").hidden = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (problem) {
    refuse(problem);
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
    part("ask-progress").hidden = true;
  }
}

// A picture comes

function takeFile(file, source) {
  doing(async () => {
    const megabytes = Number(form.dataset.megabytes);
    if (file.size > megabytes * 2 ** 20) throw new Refusal(`The file is too large: the limit is ${megabytes} MB.`);
    const sent = new FormData();
    sent.set("picture", file, file.name || "picture");
    sent.set("source", source);
    await take(sent, "Uploading the picture …");
  });
}

function takeAddress(address) {
  doing(async () => {
    const sent = new FormData();
    sent.set("address", address);
    sent.set("source", "address");
    await take(sent, "Fetching the picture …");
  });
}

async function take(sent, sentence) {
  const progress = part("ask-progress");
  announce(sentence);
  progress.removeAttribute("value");
  progress.hidden = false;
  const described = await upload(form.dataset.upload, sent, (share) => {
    // When all is sent, or where there is nothing to send, the bar only says that something goes on.
    if (share < 1 && sent.has("picture")) progress.value = 100 * share;
    else progress.removeAttribute("value");
  });
  show(described);
  announce("Picture uploaded.");
}

/** Ready to be changed and asked for. */
function show(described) {
  photograph = described;
  camera.close();
  form.hidden = true;
  part("editor").hidden = false;
  find.setAttribute("aria-pressed", "false");
  editor.open(photograph);
  ask.focus();
}

function another() {
  part("editor").hidden = true;
  part("ask-problem").hidden = true;
  form.hidden = false;
  form.reset();
  announce("");
  part("picture").focus();
}

// Before asking

function changed() {
  const { length } = editor.regions();
  ask.textContent = length > 1 ? `Identify ${length} works` : "Identify";
  const words = editor.words();
  if (part("choice").textContent !== words) part("choice").textContent = words;
}

function findPaintings() {
  if (find.getAttribute("aria-pressed") === "true") {
    find.setAttribute("aria-pressed", "false");
    editor.withdraw();
    return;
  }
  doing(async () => {
    announce("Looking for paintings …");
    editor.found ??= (await talk(photograph.paintings)).paintings;
    const { length } = editor.found;
    if (!length) {
      announce("No painting detected. You can crop to the work with the handles.");
      return;
    }
    announce(length === 1 ? "1 painting detected." : `${length} paintings detected.`);
    find.setAttribute("aria-pressed", "true");
    editor.offer(editor.found);
  });
}

function askNow() {
  doing(async () => {
    ask.disabled = part("another").disabled = true;
    try {
      const { answer } = await answered();
      window.location.assign(answer);
    } finally {
      ask.disabled = part("another").disabled = false;
    }
  });
}

/** What the site answers; while it cannot, it is asked again. */
async function answered() {
  announce("Searching the collection …");
  for (const started = Date.now(); ; ) {
    try {
      return await talk(photograph.ask, { regions: editor.regions() });
    } catch (problem) {
      if (problem.status !== 503 || Date.now() - started > 1000 * PATIENCE) throw problem;
      announce("The search is busy. This page will try again automatically.");
      await pause(Math.min(problem.seconds || 3, 10));
    }
  }
}

// The ways in

function listen() {
  form.classList.add("scripted");
  part("ask-plainly").hidden = true;
  part("choose-more").hidden = false;
  if (part("address")) part("address-use").hidden = false;
  part("picture").addEventListener("change", () => {
    if (part("picture").files.length) takeFile(part("picture").files[0], "file");
    part("picture").value = ""; // so that the same file can be chosen again
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (part("address")?.value) takeAddress(part("address").value);
  });
  const controls = {
    button: part("camera-open"),
    section: part("camera"),
    view: part("camera-view"),
    take: part("camera-take"),
    close: part("camera-close"),
    app: part("camera-app"),
  };
  camera = new Camera(
    controls,
    (file) => takeFile(file, "camera"),
    (sentence) => refuse(new Refusal(sentence)),
  );
  document.addEventListener("paste", (event) => receive(event, event.clipboardData, "paste"));
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // or the browser leaves the page and shows the file
    form.classList.remove("choose-over");
    receive(event, event.dataTransfer, "drop");
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("choose-over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) form.classList.remove("choose-over");
  });
  ask.addEventListener("click", askNow);
  find.addEventListener("click", findPaintings);
  part("turn-left").addEventListener("click", () => editor.turn(-1));
  part("turn-right").addEventListener("click", () => editor.turn(1));
  part("another").addEventListener("click", another);
  part("reset").addEventListener("click", () => {
    find.setAttribute("aria-pressed", "false");
    editor.reset();
    announce("Original picture restored.");
  });
}

/** A file that was pasted or dropped; or the address of a picture, where addresses are taken. */
function receive(event, brought, source) {
  if (brought.files.length) {
    event.preventDefault();
    takeFile(brought.files[0], source);
  } else if (part("address") && !event.target.closest?.("input, textarea")) {
    const address = (brought.getData("text/uri-list") || brought.getData("text/plain")).trim();
    if (/^https?:\/\/\S+$/.test(address)) takeAddress(address);
  }
}

async function followEngine() {
  const said = part("engine-state");
  while (said.textContent.trim()) {
    await pause(POLL_SECONDS);
    if (document.hidden) continue;
    const { state } = await talk(said.dataset.address).catch(() => ({ state: null }));
    if (state === "ready") said.textContent = "";
  }
}

listen();
if (form.dataset.again) show(JSON.parse(form.dataset.again));
followEngine();
