// The desk works without this script; with it, files fill the record field and an offer shows its state as it changes.
"use strict";

for (const element of document.querySelectorAll("[data-needs-script]")) element.hidden = false;

for (const input of document.querySelectorAll("input[type=file][data-fills]")) {
  input.addEventListener("change", async () => {
    const file = input.files[0];
    const target = document.getElementById(input.dataset.fills);
    if (!file || !target) return;
    input.setCustomValidity(file.size > 1_000_000 ? "This file is larger than 1 MB." : "");
    if (!input.reportValidity()) return;
    target.value = await file.text();
    target.focus();
  });
}

for (const button of document.querySelectorAll("button[data-confirm]")) {
  button.addEventListener("click", (event) => {
    if (!window.confirm(button.dataset.confirm)) event.preventDefault();
  });
}

const watched = document.querySelector("[data-watch]");
if (watched) {
  const label = watched.querySelector("[data-state]");
  const look = async () => {
    try {
      const response = await fetch(watched.dataset.watch, { headers: { accept: "application/json" } });
      if (response.ok) {
        const { state, tone, final } = await response.json();
        label.textContent = state;
        label.className = `pill ${tone}`;
        watched.dataset.state = state;
        if (final) return;
      } else if (response.status === 401) {
        window.location.assign("/");
        return;
      }
    } catch {
      // the server is away for a moment: ask again
    }
    setTimeout(look, 1500);
  };
  setTimeout(look, 800);
}
