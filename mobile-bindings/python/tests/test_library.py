"""The sample against the running demo, cancelling, and a fault of the app."""

import asyncio
import subprocess
import sys

import carekey_wallet as ck
import pytest
from carekey_wallet.software import MemoryStorage, SoftwareKeyStore, SoftwareKeyWrapper

from demo import REPOSITORY, Demo

LINK = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fhospital.example%2Foffer"


def test_the_sample_collects_and_shows() -> None:
    with Demo() as demo:
        offer = demo.offer(["patient_identity"], tx_code=True)
        request = demo.request({"template": "patient_identity", "purpose": "Open your record", "min_level": "uv"})
        program = REPOSITORY / "mobile-bindings/python/sample.py"
        done = subprocess.run(
            [sys.executable, program, demo.folder, offer["credential_offer_uri"], request["request_uri"]],
            input=f"{offer['tx_code']}\ny\ny\ny\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "The portal took it." in done.stdout, done
        assert demo.state(request) == "verified"


async def nobody(prompt: ck.Prompt) -> None:
    raise AssertionError("nobody is asked")


async def ready(http: ck.WalletHttpClient) -> ck.Wallet:
    config = ck.WalletConfig(
        client_id="app",
        rp_id="app.example",
        origin="https://app.example",
        name="App",
        locale="en",
        authenticator=ck.AuthenticatorSource.EMBEDDED,
        verifiers=ck.TrustedVerifiers(),
    )
    platform = ck.WalletPlatform(
        keys=SoftwareKeyStore(nobody), storage=MemoryStorage(), http=http, wrapper=SoftwareKeyWrapper(nobody)
    )
    wallet = await ck.open_wallet(config, platform)
    await wallet.vault().add_hardware_entry("This computer")
    await wallet.vault().create_recovery_code("Paper")
    return wallet


def test_cancelling_the_task_cancels_the_apps_own_call() -> None:
    class Silent(ck.WalletHttpClient):
        def __init__(self) -> None:
            self.begun, self.ended = asyncio.Event(), asyncio.Event()

        async def send(self, request: ck.WalletHttpRequest) -> ck.WalletHttpResponse:
            self.begun.set()
            try:
                return await asyncio.Future()
            finally:
                self.ended.set()

    async def run() -> None:
        http = Silent()
        wallet = await ready(http)
        call = asyncio.create_task(wallet.begin_issuance(LINK))
        await asyncio.wait_for(http.begun.wait(), 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(http.ended.wait(), 10)
        assert wallet.lock_state() == ck.LockState.UNLOCKED

    asyncio.run(run())


def test_an_exception_of_the_app_is_an_error_and_no_crash() -> None:
    class Broken(ck.WalletHttpClient):
        async def send(self, request: ck.WalletHttpRequest) -> ck.WalletHttpResponse:
            raise RuntimeError("a fault of the app")

    async def run() -> None:
        wallet = await ready(Broken())
        with pytest.raises(ck.WalletError.Network) as told:
            await wallet.begin_issuance(LINK)
        facts = told.value.explain()
        assert (facts.party, facts.advice) == (ck.Party.NETWORK, ck.Advice.CHECK_CONNECTION)

    asyncio.run(run())
