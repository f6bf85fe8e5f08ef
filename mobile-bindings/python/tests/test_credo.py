"""The wallet library against Credo-TS 0.6.3 as issuer and verifier (tests/interop/credo-server.mjs)."""

import asyncio
import base64
import json
import subprocess
from collections.abc import Iterator

import carekey_wallet as ck
import pytest
from carekey_wallet.software import MemoryStorage, SoftwareKeyStore, SoftwareKeyWrapper, StandardHttpClient

from demo import REPOSITORY

PROMPT = ck.Prompt(title="Wallet", reason="Test", cancel_label="No")


class Credo:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", "credo-server.mjs"],
            cwd=REPOSITORY / "tests/interop",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.certificate = base64.b64decode(self._answer()["certificate"])

    def _answer(self) -> dict:
        answer = json.loads(self._process.stdout.readline())
        assert "failed" not in answer, answer
        return answer

    def ask(self, **command: object) -> dict:
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()


@pytest.fixture(scope="module")
def credo() -> Iterator[Credo]:
    credo = Credo()
    yield credo
    credo.stop()


class Person:
    """Agrees, and counts how often it is asked."""

    def __init__(self) -> None:
        self.prompts = 0

    async def __call__(self, prompt: ck.Prompt) -> None:
        self.prompts += 1


async def wallet_of(person: Person, credo: Credo) -> ck.Wallet:
    config = ck.WalletConfig(
        client_id="test-app",
        rp_id="app.wallet.example",
        origin="https://app.wallet.example",
        name="Test wallet",
        locale="en",
        authenticator=ck.AuthenticatorSource.EMBEDDED,
        issuers=[ck.TrustedIssuers(anchors=[credo.certificate])],
        verifiers=ck.TrustedVerifiers(anchors=[credo.certificate]),
    )
    platform = ck.WalletPlatform(
        keys=SoftwareKeyStore(person),
        wrapper=SoftwareKeyWrapper(person),
        storage=MemoryStorage(),
        http=StandardHttpClient(loopback=True),
    )
    wallet = await ck.open_wallet(config, platform)
    await wallet.vault().add_hardware_entry("This computer")
    await wallet.vault().create_recovery_code("Paper")
    return wallet


async def collected(credo: Credo, tx_code: bool) -> tuple[ck.Wallet, Person]:
    person = Person()
    wallet = await wallet_of(person, credo)
    person.prompts = 0
    offer = credo.ask(offer={"tx_code": tx_code})
    session = await wallet.begin_issuance(offer["link"])
    assert (session.details().tx_code is not None) == tx_code
    credentials = (await session.accept(offer.get("tx_code"), PROMPT)).credentials
    assert len(credentials) == 1
    assert person.prompts == 1
    return wallet, person


@pytest.mark.parametrize("tx_code", [True, False])
def test_credo_issues_to_the_library(credo: Credo, tx_code: bool) -> None:
    async def run() -> None:
        wallet, _ = await collected(credo, tx_code)
        assert len(await wallet.credentials()) == 1

    asyncio.run(run())


@pytest.mark.parametrize("response_mode", ["direct_post", "direct_post.jwt"])
def test_credo_verifies_the_library(credo: Credo, response_mode: str) -> None:
    async def run() -> None:
        wallet, person = await collected(credo, False)
        person.prompts = 0
        request = credo.ask(request=response_mode)
        session = await wallet.begin_presentation(request["link"])
        outcome = await session.approve(session.default_selection(), PROMPT)
        assert outcome.accepted
        assert person.prompts == 1
        state = credo.ask(state=request["id"])
        assert state["state"] == "ResponseVerified"
        shown = state["claims"]
        assert (shown["given_name"], shown["family_name"]) == ("Žofie", "Testová")
        assert "birthdate" not in shown

    asyncio.run(run())


def test_credo_hears_that_the_person_declined(credo: Credo) -> None:
    async def run() -> None:
        wallet, _ = await collected(credo, False)
        request = credo.ask(request="direct_post")
        session = await wallet.begin_presentation(request["link"])
        await session.decline()
        assert credo.ask(state=request["id"])["state"] == "Error"

    asyncio.run(run())
