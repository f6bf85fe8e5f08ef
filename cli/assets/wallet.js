// The patient's wallet page: shows what the local wallet process knows, and carries the one WebAuthn ceremony of each
// transaction. Everything is put on the page as text, never as markup.
"use strict";

const main = document.getElementById("main");
const spoken = document.getElementById("spoken");
const lockButton = document.getElementById("lock");
const csrf = document.querySelector("meta[name=carekey-csrf]").content;

// ---- small tools ----------------------------------------------------------------------------------------------------

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

function show(view, title, ...children) {
  main.dataset.view = view;
  main.replaceChildren(...children.flat().filter(Boolean));
  document.title = `${title} · CareKey wallet`;
  spoken.textContent = title;
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

async function api(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { accept: "application/json", "content-type": "application/json", "x-carekey-csrf": csrf },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refusal("wallet_unreachable", "The wallet's local process does not answer. Is the demo still running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (answer.code === "no_session") window.location.reload();
  throw new Refusal(answer.code ?? `http_${response.status}`, answer.detail ?? answer.title ?? "The wallet refused.");
}

const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const decode = (text) => Uint8Array.from(
  atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

// ---- WebAuthn Level 3 -----------------------------------------------------------------------------------------------

// Extension inputs are converted here in any case: not every browser that parses options knows the PRF member.
function extensions(json) {
  const salts = (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, decode(value)]));
  if (!json?.prf) return json ?? {};
  const prf = {};
  if (json.prf.eval) prf.eval = salts(json.prf.eval);
  if (json.prf.evalByCredential) {
    prf.evalByCredential = Object.fromEntries(
      Object.entries(json.prf.evalByCredential).map(([id, values]) => [id, salts(values)]));
  }
  return { ...json, prf };
}

const descriptor = (item) => ({ ...item, id: decode(item.id) });

function creationOptions(json) {
  const { extensions: inputs, ...plain } = json;
  const options = typeof PublicKeyCredential.parseCreationOptionsFromJSON === "function"
    ? PublicKeyCredential.parseCreationOptionsFromJSON(plain)
    : {
        ...plain,
        challenge: decode(plain.challenge),
        user: { ...plain.user, id: decode(plain.user.id) },
        excludeCredentials: (plain.excludeCredentials ?? []).map(descriptor),
      };
  options.extensions = extensions(inputs);
  return options;
}

function requestOptions(json) {
  const { extensions: inputs, ...plain } = json;
  const options = typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function"
    ? PublicKeyCredential.parseRequestOptionsFromJSON(plain)
    : {
        ...plain,
        challenge: decode(plain.challenge),
        allowCredentials: (plain.allowCredentials ?? []).map(descriptor),
      };
  options.extensions = extensions(inputs);
  return options;
}

// The PRF result unlocks the vault of this device. It goes to the wallet's own local process beside the response and
// never inside it, so that it cannot travel to an issuer or a verifier.
function prfResult(credential) {
  const result = credential.getClientExtensionResults().prf;
  return result?.results?.first ? encode(result.results.first) : null;
}

async function ceremony(run) {
  if (!window.PublicKeyCredential) {
    throw new Refusal("no_webauthn", "This browser has no passkeys. Please open the page as http://localhost in a current browser.");
  }
  try {
    return await run();
  } catch (error) {
    const words = {
      NotAllowedError: "Your device did not confirm it was you, or the prompt was closed. Nothing was sent.",
      InvalidStateError: "This device already holds that passkey.",
      NotSupportedError: "This authenticator cannot make the kind of key that is needed (ES256 with user verification).",
      SecurityError: "The browser refused: the page must be opened as http://localhost.",
    };
    throw new Refusal(`webauthn_${error.name}`, words[error.name] ?? `The browser refused (${error.name}).`);
  }
}

async function register(json) {
  const credential = await ceremony(() => navigator.credentials.create({ publicKey: creationOptions(json) }));
  const { response } = credential;
  return {
    prf: prfResult(credential),
    prf_enabled: credential.getClientExtensionResults().prf?.enabled === true,
    registration: {
      id: credential.id,
      rawId: encode(credential.rawId),
      type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
      clientExtensionResults: {},
      response: {
        clientDataJSON: encode(response.clientDataJSON),
        attestationObject: encode(response.attestationObject),
        authenticatorData: response.getAuthenticatorData ? encode(response.getAuthenticatorData()) : undefined,
        publicKeyAlgorithm: response.getPublicKeyAlgorithm ? response.getPublicKeyAlgorithm() : undefined,
        transports: response.getTransports ? response.getTransports() : [],
      },
    },
  };
}

async function assert(json) {
  const credential = await ceremony(() => navigator.credentials.get({ publicKey: requestOptions(json) }));
  const { response } = credential;
  return {
    prf: prfResult(credential),
    assertion: {
      id: credential.id,
      rawId: encode(credential.rawId),
      type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
      clientExtensionResults: {},
      response: {
        clientDataJSON: encode(response.clientDataJSON),
        authenticatorData: encode(response.authenticatorData),
        signature: encode(response.signature),
        userHandle: response.userHandle ? encode(response.userHandle) : undefined,
      },
    },
  };
}

// ---- pieces of views ------------------------------------------------------------------------------------------------

const lead = (title, text) => h("div", { class: "lead" }, h("h1", {}, title), text && h("p", { class: "soft" }, text));
const when = (seconds) => new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

function notice(error) {
  return h("div", { class: "notice bad", role: "alert", "data-test": "problem", "data-code": error.code ?? "unknown" },
    h("strong", {}, "That did not work."), h("p", {}, error.message));
}

function facts(claims) {
  return h("dl", { class: "facts" }, claims.map((claim) =>
    h("div", { "data-test": "claim" }, h("dt", {}, claim.label), claim.values.map((value) => h("dd", {}, value)))));
}

// A button that works once at a time and shows its error above the buttons.
function action(label, attributes, run) {
  const button = h("button", { type: "button", ...attributes }, label);
  button.addEventListener("click", async () => {
    const row = button.closest("[data-actions]") ?? button;
    row.previousElementSibling?.matches("[data-test=problem]") && row.previousElementSibling.remove();
    const buttons = row.matches?.("button") ? [button] : [...row.querySelectorAll("button")];
    for (const one of buttons) one.disabled = true;
    button.setAttribute("aria-busy", "true");
    try {
      await run();
    } catch (error) {
      row.before(notice(error));
    } finally {
      for (const one of buttons) one.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });
  return button;
}

const actions = (...buttons) => h("div", { class: "row", "data-actions": true }, ...buttons);

function verdict(tone, title, text) {
  const signs = { good: "✓", bad: "✕", plain: "–" };
  return h("div", { class: `verdict ${tone}`, "data-test": "verdict", "data-tone": tone },
    h("span", { class: "sign", "aria-hidden": "true" }, signs[tone]),
    h("div", {}, h("h1", {}, title), h("p", {}, text)));
}

// ---- home -----------------------------------------------------------------------------------------------------------

async function home() {
  window.history.replaceState(null, "", "/");
  const state = await api("GET", "/api/state");
  lockButton.hidden = state.locked || !state.can_lock;
  if (state.locked) return locked();
  const [{ credentials }, { activity }] = await Promise.all([api("GET", "/api/credentials"), api("GET", "/api/activity")]);
  const link = h("input", { type: "text", id: "link", autocomplete: "off", spellcheck: "false", "data-test": "link" });
  show("home", "My credentials",
    lead("My credentials", credentials.length
      ? "They stay here. Each time somebody asks, you see what would leave, and you decide."
      : "Nothing here yet. Open an offer from your hospital to begin."),
    credentials.length
      ? h("div", { class: "two" }, credentials.map(pass))
      : h("p", { class: "empty", "data-test": "no-credentials" }, "No credential is stored in this wallet."),
    h("form", { class: "card", onsubmit: (event) => { event.preventDefault(); open(link.value).catch((error) => event.target.append(notice(error))); } },
      h("h2", {}, "Open an offer or a request"),
      h("div", { class: "field" }, h("label", { for: "link" }, "Link"), link,
        h("p", { class: "hint" }, "On a phone you would scan the QR code. On this computer, follow the link on the other page, or paste it here.")),
      h("div", { class: "row" }, h("button", { class: "primary", "data-test": "open" }, "Open"))),
    h("section", { class: "card", "data-test": "protection", "data-protection": state.protection }, h("h2", {}, "How this wallet is protected"), h("p", {}, state.protection_text)),
    h("section", { class: "card" }, h("h2", {}, "What went to whom"),
      activity.length
        ? h("ul", { class: "log", "data-test": "activity" }, activity.map(logEntry))
        : h("p", { class: "soft" }, "Nothing has left this wallet.")));
}

function pass(credential) {
  const remove = action("Remove from this wallet", { "data-test": "remove" }, async () => {
    if (!window.confirm("Remove this credential from the wallet? The hospital would have to issue it again.")) return;
    await api("DELETE", `/api/credentials/${encodeURIComponent(credential.id)}`);
    await home();
  });
  return h("article", { class: `pass ${credential.kind.startsWith("insurance_coverage") ? "coverage" : ""}`, "data-test": "credential", "data-id": credential.id, "data-kind": credential.kind },
    h("div", { class: "row" }, h("span", { class: "soft small" }, credential.issuer), h("span", { class: "pill", "data-test": "credential-level" }, credential.level)),
    h("div", {}, h("h2", {}, credential.headline), h("p", { class: "soft" }, credential.name)),
    h("details", {}, h("summary", {}, "All claims"), facts(credential.claims), h("p", {}, ""), h("div", { "data-actions": true }, remove)),
    h("p", { class: "soft small" }, `Issued ${when(credential.issued_at)}`, h("br"),
      h("span", { "data-test": "format", "data-format": credential.format }, credential.format_text)));
}

function logEntry(entry) {
  const tone = { sent: "good", received: "accent", refused: "warn" }[entry.kind] ?? "";
  return h("li", { "data-test": "activity-entry", "data-kind": entry.kind },
    h("div", { class: "split" }, h("strong", {}, entry.title), h("span", { class: "small soft" }, when(entry.at))),
    h("div", { class: "row" }, h("span", { class: `pill ${tone}` }, entry.kind), h("span", { class: "small soft" }, entry.party)),
    entry.purpose && h("p", { class: "small" }, `Purpose: ${entry.purpose}`),
    entry.claims.length ? h("p", { class: "small" }, `Claims: ${entry.claims.join(", ")}`) : undefined);
}

// ---- lock and unlock ------------------------------------------------------------------------------------------------

function locked(then) {
  lockButton.hidden = true;
  show("locked", "Wallet locked",
    lead("Your wallet is locked", "Its records are encrypted. The key to them comes from your passkey and is nowhere on disk."),
    h("section", { class: "card narrow" },
      h("p", {}, "Unlock it with the passkey of one of your credentials. Your device checks that it is you; the fingerprint stays there."),
      actions(action("Unlock", { class: "primary", "data-test": "unlock" }, async () => {
        await unlock();
        await (then ?? home)();
      }))),
    h("details", { class: "narrow" }, h("summary", {}, "The passkey is lost"),
      h("div", { class: "stack" },
        h("p", { class: "soft" }, "Nobody can open these records without it, not even this program. You can begin with an empty wallet and ask the hospital for new credentials."),
        actions(action("Erase this wallet", { class: "danger", "data-test": "erase" }, async () => {
          if (!window.confirm("Erase the wallet on this computer? Its credentials are gone for ever.")) return;
          await api("POST", "/api/erase", {});
          await (then ?? home)();
        })))));
}

async function unlock() {
  const { options } = await api("POST", "/api/unlock/options", {});
  await api("POST", "/api/unlock", await assert(options));
}

lockButton.addEventListener("click", () => api("POST", "/api/lock", {}).then(() => home()).catch(fail));

// ---- links ----------------------------------------------------------------------------------------------------------

async function open(link) {
  const state = await api("GET", "/api/state");
  if (state.locked) return locked(() => open(link));
  lockButton.hidden = !state.can_lock;
  let review;
  try {
    review = await api("POST", "/api/open", { link });
  } catch (error) {
    if (error.code === "wallet_locked") return locked(() => open(link));
    throw error;
  }
  return review.kind === "offer" ? offer(review) : request(review);
}

// ---- an offer -------------------------------------------------------------------------------------------------------

function offer(review) {
  const code = review.tx_code && h("input", {
    id: "tx-code", class: "code", type: "text", autocomplete: "one-time-code", required: true, "data-test": "tx-code",
    inputmode: review.tx_code.input_mode === "numeric" ? "numeric" : "text", maxlength: review.tx_code.length ?? undefined,
  });
  show("offer", "A credential is offered to you",
    lead(`${review.issuer} offers you a credential`, `From ${review.issuer_url}`),
    review.configurations.map((item) => h("section", { class: "card narrow", "data-test": "offered", "data-kind": item.id },
      h("h2", {}, item.name), item.description && h("p", {}, item.description),
      h("p", { class: "soft small", "data-test": "format", "data-format": item.format }, item.format_text),
      item.claims.length ? h("p", { class: "soft small" }, `Can hold: ${item.claims.join(", ")}.`) : undefined)),
    h("section", { class: "card narrow" },
      code && h("div", { class: "field" }, h("label", { for: "tx-code" }, "Transaction code"), code,
        h("p", { class: "hint" }, review.tx_code.description ?? "The hospital told you this code. It proves that the offer is meant for you.")),
      h("div", { class: "notice" }, h("h3", {}, "What happens when you accept"),
        h("p", { class: "small" }, "Your device makes a passkey that only your own user verification can use (fingerprint, face or PIN). The hospital signs its public half into the credential. From then on a copy of the credential is worthless without you.")),
      actions(
        action("Accept with a passkey", { class: "primary", "data-test": "accept" }, async () => {
          if (code && !code.reportValidity()) return;
          const { options } = await api("POST", `/api/offers/${review.session}/prepare`, { tx_code: code ? code.value.trim() : null });
          const answer = options ? await register(options) : {};
          const done = await api("POST", `/api/offers/${review.session}/finish`, answer);
          stored(done);
        }),
        action("Decline", { "data-test": "decline" }, async () => {
          await api("POST", `/api/offers/${review.session}/decline`, {});
          await home();
        }))));
}

function stored(done) {
  window.history.replaceState(null, "", "/");
  show("stored", "Credential stored",
    verdict("good", "Stored in your wallet", done.protection_text),
    h("div", { class: "two" }, done.credentials.map(pass)),
    actions(action("Show my wallet", { class: "primary", "data-test": "home" }, home)));
}

// ---- a request ------------------------------------------------------------------------------------------------------

function request(review) {
  const queries = review.queries.map((query) => queryCard(query));
  const can = review.can_answer;
  show("request", `${review.verifier.name} asks`,
    lead(`${review.verifier.name} asks who you are`, undefined),
    h("div", { class: "two-thirds" },
      h("div", { class: "stack" },
        h("section", { class: "card", "data-test": "verifier", "data-trusted": String(review.verifier.trusted) },
          h("div", { class: "split" }, h("h2", {}, "Who asks"), h("span", { class: `pill ${review.verifier.trusted ? "good" : "warn"}` }, review.verifier.trusted ? "identity checked" : "not verified")),
          h("p", {}, review.verifier.how), h("p", { class: "mono soft" }, review.verifier.id)),
        h("section", { class: "card" }, h("h2", {}, "What for"),
          h("p", { class: "notice", "data-test": "purpose" }, review.purpose),
          h("p", { class: "hint" }, "The answer is bound to these words; it cannot be used for anything else.")),
        queries.map((query) => query.card)),
      h("section", { class: "card sticky" },
        h("h2", {}, "Your confirmation"),
        h("p", {}, review.step_up_text),
        h("p", { class: "small soft" }, "You are asked once. Your fingerprint or face never leaves this device."),
        can ? undefined : h("div", { class: "notice warn", "data-test": "no-match" }, h("p", {}, "No credential in this wallet fits this request. You can only decline.")),
        actions(
          can ? action("Confirm and send", { class: "primary", "data-test": "send" }, async () => {
            const selection = Object.fromEntries(queries.filter((query) => query.chosen()).map((query) => [query.id, query.chosen()]));
            const { options } = await api("POST", `/api/requests/${review.session}/prepare`, { selection });
            const answer = options ? await assert(options) : {};
            sent(await api("POST", `/api/requests/${review.session}/finish`, answer), review);
          }) : undefined,
          action("Decline", { "data-test": "decline" }, async () => {
            await api("POST", `/api/requests/${review.session}/decline`, {});
            window.history.replaceState(null, "", "/");
            show("declined", "Declined", verdict("plain", "Declined", `${review.verifier.name} was told that you said no. Nothing else was sent.`),
              actions(action("Show my wallet", { class: "primary", "data-test": "home" }, home)));
          })))));
}

// One credential query: which credential, and which claims of it leave.
function queryCard(query) {
  const place = h("div", { class: "stack" });
  let chosen = query.candidates[0];
  let boxes = [];
  const draw = () => {
    boxes = chosen.claims.map((claim, index) => ({
      claim,
      box: h("input", { type: "checkbox", id: `claim-${query.id}-${index}`, checked: claim.required, disabled: claim.required, "data-test": "claim-box", "data-path": JSON.stringify(claim.path) }),
    }));
    place.replaceChildren(
      h("p", { class: "soft small", "data-test": "candidate-format", "data-format": chosen.format }, chosen.format_text),
      chosen.leaves_whole ? h("p", { class: "notice warn", "data-test": "leaves-whole" }, "A credential of this format leaves whole: also what was not asked for.") : "",
      chosen.too_weak ? h("p", { class: "notice warn", "data-test": "too-weak" }, "They ask for a stronger binding than this credential has, so they will refuse it. You can send it nevertheless, or decline.") : "",
      h("fieldset", {}, h("legend", {}, "What would leave your wallet"),
      boxes.map(({ claim, box }) => h("label", { class: "choice" }, box,
        h("span", {}, h("b", {}, claim.label), claim.values.map((value) => h("bdi", {}, value, h("br"))),
          h("span", { class: "hint" }, claim.required ? (chosen.leaves_whole ? "leaves with the credential" : "needed for this request") : "optional: leaves only if you tick it"))))));
  };
  if (chosen) draw();
  const several = query.candidates.length > 1 && h("fieldset", {}, h("legend", {}, "Which credential"),
    query.candidates.map((candidate, index) => h("label", { class: "choice" },
      h("input", { type: "radio", name: `credential-${query.id}`, checked: index === 0, "data-test": "candidate", value: candidate.credential_id,
        onchange: () => { chosen = candidate; draw(); } }),
      h("span", {}, h("b", {}, candidate.headline), h("span", { class: "hint" }, `${candidate.name}, ${candidate.issuer}, issued ${when(candidate.issued_at)}, ${candidate.format_text}`)))));
  const leave = !query.required && chosen && h("label", { class: "choice" },
    h("input", { type: "checkbox", checked: true, "data-test": "include-query" }), h("span", {}, h("b", {}, "Send this credential"), h("span", { class: "hint" }, "The request works without it.")));
  const card = h("section", { class: "card", "data-test": "query", "data-query": query.id },
    h("div", { class: "split" }, h("h2", {}, chosen ? chosen.name : query.name), chosen && !several ? h("span", { class: "soft small" }, chosen.issuer) : undefined),
    chosen ? undefined : h("p", { class: "soft" }, "There is no fitting credential in this wallet."),
    leave, several, place);
  return {
    id: query.id,
    card,
    chosen: () => {
      if (!chosen || (leave && !leave.querySelector("input").checked)) return undefined;
      return { credential_id: chosen.credential_id, claims: boxes.filter(({ box }) => box.checked).map(({ claim }) => claim.path) };
    },
  };
}

function sent(outcome, review) {
  window.history.replaceState(null, "", "/");
  show("sent", outcome.accepted ? "Sent" : "Refused",
    outcome.accepted
      ? verdict("good", "Sent", `${review.verifier.name} has received exactly what you chose.`)
      : verdict("bad", "The verifier refused", outcome.reason ?? "It gave no reason."),
    h("section", { class: "card narrow" }, h("h2", {}, "What left your wallet"),
      h("ul", { class: "plain", "data-test": "sent-claims" }, outcome.claims.map((claim) => h("li", {}, claim)))),
    h("div", { class: "row", "data-actions": true },
      outcome.redirect_uri ? h("a", { class: "button primary", href: outcome.redirect_uri, "data-test": "return" }, `Back to ${review.verifier.name}`) : undefined,
      action("Show my wallet", { class: outcome.redirect_uri ? "" : "primary", "data-test": "home" }, home)));
}

// ---- start ----------------------------------------------------------------------------------------------------------

function fail(error) {
  show("failed", "That did not work", lead("That did not work", undefined), notice(error),
    actions(action("Show my wallet", { class: "primary", "data-test": "home" }, home)));
}

const query = new URLSearchParams(window.location.search);
const opensLink = query.has("credential_offer") || query.has("credential_offer_uri") || query.has("request_uri") || query.has("request");
(opensLink ? open(window.location.href) : home()).catch(fail);
