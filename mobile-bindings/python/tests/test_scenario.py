"""`mobile-bindings/scenario.json`, step by step, against the running demo."""

import asyncio
import base64
import concurrent.futures
import json
import threading

import carekey_wallet as ck
import pytest
from carekey_wallet.software import MemoryStorage, SoftwareKeyStore, SoftwareKeyWrapper, StandardHttpClient

from demo import REPOSITORY, Demo

SCENARIO = json.loads((REPOSITORY / "mobile-bindings/scenario.json").read_text())
PROMPT = ck.Prompt(title="CareKey", reason="Confirm", cancel_label="Cancel")
ANSWERS = {
    "cancels": ck.PlatformError.UserCancelled,
    "locked_out": ck.PlatformError.BiometryLockout,
    "not_enrolled": ck.PlatformError.BiometryNotEnrolled,
}


def states(credentials: list[ck.CredentialSummary]) -> list[str]:
    return sorted(credential.state.name.lower() for credential in credentials)


def der(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


class Phone:
    """A wallet on a phone in memory, and the person who holds it."""

    def __init__(self, demo: Demo):
        self.demo = demo
        self.prompts = 0
        self.answer = "confirms"
        self.offered: dict = {}
        self.take_new_phone()

    def take_new_phone(self) -> None:
        self.keys = SoftwareKeyStore(self.person)
        self.wrapper = SoftwareKeyWrapper(self.person)
        self.storage = MemoryStorage()

    async def person(self, prompt: ck.Prompt) -> None:
        assert prompt == PROMPT
        self.prompts += 1
        if self.answer in ANSWERS:
            raise ANSWERS[self.answer]()

    # What a step does.

    async def open(self, step: dict) -> dict:
        told = self.demo.told
        config = ck.WalletConfig(
            client_id=told["app"]["client_id"],
            rp_id=told["app"]["rp_id"],
            origin=told["app"]["origin"],
            name="CareKey for Python",
            locale="en",
            authenticator=ck.AuthenticatorSource.EMBEDDED,
            redirect_uri=told["app"]["redirect_uri"],
            issuers=[ck.TrustedIssuers(anchors=[der(told["hospital_anchor"])])],
            verifiers=ck.TrustedVerifiers(anchors=[der(told["portal_anchor"])]),
        )
        platform = ck.WalletPlatform(
            keys=self.keys,
            storage=self.storage,
            http=StandardHttpClient(loopback=True),
            wrapper=self.wrapper,
        )
        self.wallet = await ck.open_wallet(config, platform)
        return {}

    # The app is killed and started again.
    restart = open

    async def add_hardware_entry(self, step: dict) -> dict:
        await self.wallet.vault().add_hardware_entry(step["label"])
        return {}

    async def create_recovery_code(self, step: dict) -> dict:
        self.recovery_code = await self.wallet.vault().create_recovery_code(step["label"])
        return {}

    async def offer(self, step: dict) -> dict:
        more = {name: step[name] for name in ("approval", "flow") if name in step}
        if step.get("replaces"):
            more["replaces"] = self.offered["id"]
        self.offered = self.demo.offer(step["kinds"], step["tx_code"], **more)
        return {}

    async def approve_offer(self, step: dict) -> dict:
        self.demo.approve(self.offered)
        # A wallet may ask again after a second.
        await asyncio.sleep(2)
        return {}

    async def review_offer(self, step: dict) -> dict:
        self.issuance = await self.wallet.begin_issuance(self.offered["credential_offer_uri"])
        details = self.issuance.details()
        return {
            "issuer": details.issuer_name,
            "offered": len(details.credentials),
            "needs_code": details.tx_code is not None,
            "signs_in": details.signs_in,
        }

    async def accept(self, step: dict) -> dict:
        right = self.offered.get("tx_code")
        codes = {"right": right, "wrong": "000000" if right != "000000" else "111111", None: None}
        outcome = await self.issuance.accept(codes[step.get("tx_code")], PROMPT)
        return {"collected": len(outcome.credentials), "waiting": len(outcome.waiting)}

    async def sign_in(self, step: dict) -> dict:
        url = await self.issuance.sign_in()
        self.returned = self.demo.browse(url, self.offered["tx_code"])
        return {}

    async def resume(self, step: dict) -> dict:
        foreign = self.returned.replace("state=", "state=x")
        await self.issuance.resume(foreign if step.get("of_somebody_else") else self.returned)
        return {}

    async def check_pending(self, step: dict) -> dict:
        report = await self.wallet.check_pending()
        return {"arrived": len(report.arrived), "waiting": len(report.waiting)}

    async def refresh(self, step: dict) -> dict:
        refreshed = 0
        for credential in await self.wallet.credentials():
            if credential.configuration_id == step["kind"]:
                refreshed += len(await (await self.wallet.credential(credential.id)).refresh(PROMPT))
        return {"refreshed": refreshed}

    async def refresh_due(self, step: dict) -> dict:
        report = await self.wallet.refresh_due(None)
        return {"refreshed": len(report.refreshed), "left": len(report.left)}

    async def refresh_status(self, step: dict) -> dict:
        await self.wallet.refresh_status()
        return {}

    async def export_backup(self, step: dict) -> dict:
        self.backup = await self.wallet.vault().export_backup()
        return {}

    async def lose_phone(self, step: dict) -> dict:
        self.lost_wallet, self.lost_code = self.wallet, self.recovery_code
        self.take_new_phone()
        return {}

    async def import_backup(self, step: dict) -> dict:
        code = self.recovery_code if step["code_of"] == "new phone" else self.lost_code
        restored = await self.wallet.vault().import_backup(self.backup, code)
        return {"restored": len(restored.reenrol), "known": restored.known}

    async def request(self, step: dict) -> dict:
        hospital = self.demo.told["hospital"].rstrip("/")
        self.requested = self.demo.request(json.loads(json.dumps(step["body"]).replace("HOSPITAL", hospital)))
        return {}

    async def review_request(self, step: dict) -> dict:
        self.presentation = await self.wallet.begin_presentation(self.requested["request_uri"])
        details = self.presentation.details()
        return {
            "trusted": details.trusted,
            "answerable": details.answerable,
            "purpose": details.purpose,
            "queries": len(self.presentation.choices()),
        }

    async def approve(self, step: dict) -> dict:
        outcome = await self.presentation.approve(self.presentation.default_selection() or [], PROMPT)
        return {"accepted": outcome.accepted, "refusal": outcome.code}

    async def decline(self, step: dict) -> dict:
        await self.presentation.decline()
        return {}

    async def lock(self, step: dict) -> dict:
        self.wallet.lock()
        return {}

    async def unlock(self, step: dict) -> dict:
        await self.wallet.unlock(None, PROMPT)
        return {}

    async def unlock_with_code(self, step: dict) -> dict:
        code = self.recovery_code if step["which"] == "right" else self.recovery_code[:-1]
        await self.wallet.unlock_with_code(code)
        return {}

    async def enrol_another_finger(self, step: dict) -> dict:
        self.keys.enrol_another_finger()
        self.wrapper.enrol_another_finger()
        return {}

    async def revoke(self, step: dict) -> dict:
        for credential in self.demo.credentials():
            if credential["configuration_id"] == step["kind"]:
                self.demo.revoke(credential)
        # The portal may use its copy of the status list for two seconds.
        await asyncio.sleep(3)
        return {}

    async def delete(self, step: dict) -> dict:
        for credential in await self.wallet.credentials():
            if credential.configuration_id == step["kind"]:
                await (await self.wallet.credential(credential.id)).delete()
        return {}

    async def list(self, step: dict) -> dict:
        return {"names": sorted(credential.name for credential in await self.wallet.credentials())}

    async def activity(self, step: dict) -> dict:
        text = await self.wallet.export_activity()
        return {"names_claims": "Family name" in text, "holds_values": "Testov" in text}

    # What can be seen after it.

    async def see(self, what: str):
        match what:
            case "lock_state":
                return self.wallet.lock_state().name.lower()
            case "entries":
                return len(await self.wallet.vault().entries())
            case "states":
                return states(await self.wallet.credentials())
            case "states_on_the_lost_phone":
                return states(await self.lost_wallet.refresh_status())
            case "portal":
                return self.demo.state(self.requested)
        raise AssertionError(f"nobody can see {what}")

    async def live_through(self, step: dict) -> None:
        self.prompts, self.answer = 0, step.get("person", "confirms")
        expected = {"error": None, "prompts": 0} | step.get("expect", {})
        try:
            seen = {"error": None} | await getattr(self, step["do"])(step)
        except ck.WalletError as error:
            facts = error.explain()
            seen = {
                "error": type(error).__name__,
                "code": facts.code,
                "party": facts.party.name.lower(),
                "advice": facts.advice.name.lower(),
            }
        seen["prompts"] = self.prompts
        for what in expected.keys() - seen.keys():
            seen[what] = await self.see(what)
        assert {what: seen[what] for what in expected} == expected


async def live() -> None:
    with Demo() as demo:
        phone = Phone(demo)
        for number, step in enumerate(SCENARIO["steps"], 1):
            try:
                await phone.live_through(step)
            except Exception as problem:
                pytest.fail(f"step {number}, {step}: {problem!r}")


def test_the_scenario_on_a_small_stack() -> None:
    # What a secondary thread has on iOS; here it holds Python's own frames as well.
    before = threading.stack_size(512 * 1024)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as small:
            small.submit(asyncio.run, live()).result()
    finally:
        threading.stack_size(before)
