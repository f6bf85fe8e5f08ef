// Turns the request's page green or red as soon as the server knows, without a reload.
"use strict";

const request = document.querySelector("[data-events]");
if (request) {
  const place = document.getElementById("outcome");
  const invitation = request.querySelector("[data-invitation]");
  const final = new Set(["verified", "refused", "declined", "expired"]);

  // The server renders the outcome; it is parsed as a document of its own, where no script runs.
  const show = async () => {
    const response = await fetch(request.dataset.outcome, { headers: { accept: "text/html" } });
    if (response.status === 401) return window.location.assign("/");
    if (!response.ok) return undefined;
    const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
    place.replaceChildren(...parsed.body.childNodes);
    const verdict = place.querySelector("[data-test=verdict]");
    const state = verdict ? verdict.dataset.state : "";
    if (invitation) invitation.hidden = final.has(state) || state === "opened" || state === "received";
    if (final.has(state)) {
      document.querySelector("h1").textContent = state === "verified" ? "Thank you" : "This did not work";
      source.close();
      window.scrollTo(0, 0);
    }
    return state;
  };

  const source = new EventSource(request.dataset.events);
  const later = () => { show().catch(() => undefined); };
  source.addEventListener("state", (event) => {
    later();
    const { attempt } = JSON.parse(event.data);
    const warning = document.getElementById("attempt");
    if (attempt && warning) {
      warning.textContent = `An answer was refused (${attempt.replaceAll("_", " ")}); the request still waits for the right one.`;
      warning.hidden = false;
    }
  });
  source.addEventListener("open", later);
}

// The Digital Credentials API, where the browser has it.
const hasDigital = typeof DigitalCredential !== "undefined" && Boolean(navigator.credentials);
for (const choice of document.querySelectorAll("[data-needs-digital]")) choice.hidden = !hasDigital;

const post = (address, fields) =>
  fetch(address, { method: "POST", body: new URLSearchParams(fields), headers: { accept: "application/json" } });

const chooser = document.querySelector("[data-digital]");
if (chooser) {
  chooser.hidden = !hasDigital;
  document.querySelector("[data-digital-missing]").hidden = hasDigital;
  const trouble = document.querySelector("[data-digital-trouble]");
  const tell = (text) => { trouble.textContent = text; trouble.hidden = !text; };
  chooser.addEventListener("click", async () => {
    chooser.disabled = true;
    tell("");
    try {
      // At once: the browser wants the click.
      const { protocol, data } = await navigator.credentials.get({
        mediation: "required",
        digital: JSON.parse(chooser.dataset.digital)
      });
      const object = typeof data === "string" ? JSON.parse(data) : data;
      const answer = JSON.stringify({ protocol, data: object });
      const response = await post(chooser.dataset.answer, { csrf: chooser.dataset.csrf, answer });
      if (response.status === 401) return window.location.assign("/");
      if (!response.ok) {
        const { code } = await response.json().catch(() => ({}));
        tell(`The answer was not taken (${(code || "unknown").replaceAll("_", " ")}). You can choose again.`);
      }
    } catch {
      // Closed by the person, or no wallet that fits: the browser says no more.
      tell("No wallet answered. You can choose again.");
    } finally {
      chooser.disabled = false;
    }
    return undefined;
  });
}

// Back from a wallet on this device, with a code or with the answer; neither stays in the address or the history.
const landing = document.querySelector("[data-return]");
if (landing) {
  const code = new URLSearchParams(location.search).get("response_code");
  const fields = code ? { response_code: code } : { fragment: location.hash.slice(1) };
  history.replaceState(null, "", location.pathname);
  post(landing.dataset.return, fields).then(async (response) => {
    if (response.ok) return location.replace(landing.dataset.next);
    const { code: reason } = await response.json().catch(() => ({}));
    document.getElementById("returning").textContent =
      `The answer was not taken here (${(reason || "unknown").replaceAll("_", " ")}).`;
    return undefined;
  });
}
