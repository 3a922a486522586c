// What the page asks the site for. A refusal is thrown as a Refusal: one sentence for the person.

export class Refusal extends Error {
  constructor(sentence, status = 0, seconds = 0) {
    super(sentence);
    this.status = status;
    this.seconds = seconds; // after which to try again
  }
}

const SENTENCES = {
  0: "The site cannot be reached. Please check your connection and try again.",
  401: "You are signed out. Please reload the page and sign in.",
  413: "The file is too large for this site.",
  429: "Too many requests in a short time. Please wait a moment, then try again.",
};

const token = () => document.querySelector('meta[name="csrf-token"]').content;

/** Send a form; tells `progress` of the share that has been sent, 0..1. Resolves to what the site says of it. */
export function upload(address, form, progress) {
  return new Promise((resolve, reject) => {
    // fetch() cannot tell how far an upload is.
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", token());
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total);
    });
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(request.response);
      else reject(refusal(request.status, request.response, request.getResponseHeader("Retry-After")));
    });
    request.addEventListener("error", () => reject(refusal(0)));
    request.send(form);
  });
}

/** What the site says at an address, as JSON; with `content` it is sent there. */
export async function talk(address, content) {
  const options = { headers: { Accept: "application/json" } };
  if (content !== undefined) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.headers["X-CSRFToken"] = token();
    options.body = JSON.stringify(content);
  }
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw refusal(0);
  }
  const said = await response.json().catch(() => null);
  if (!response.ok || said === null) throw refusal(response.status, said, response.headers.get("Retry-After"));
  return said;
}

function refusal(status, said = null, retryAfter = null) {
  const sentence = status !== 401 && said?.error;
  return new Refusal(
    sentence || SENTENCES[status] || "Something went wrong. Please try again in a moment.",
    status,
    Number(retryAfter) || 0,
  );
}

export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
