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
