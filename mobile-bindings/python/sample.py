"""A small wallet without a screen: collects an offer of the running demo and answers a request.

    python sample.py DATA_FOLDER OFFER_LINK REQUEST_LINK

with the demo's data folder (`cargo run` prints it) and the links of the hospital's desk and of the portal. The keys live in
memory and are gone afterwards.
"""

import asyncio
import pathlib
import ssl
import sys

import carekey_wallet as ck
from carekey_wallet.software import MemoryStorage, SoftwareKeyStore, SoftwareKeyWrapper, StandardHttpClient


async def person(prompt: ck.Prompt) -> None:
    if input(f"{prompt.reason}? [y/n] ") != "y":
        raise ck.PlatformError.UserCancelled()


# snippet: open
async def open_wallet(config: ck.WalletConfig) -> ck.Wallet:
    platform = ck.WalletPlatform(
        keys=SoftwareKeyStore(person),
        wrapper=SoftwareKeyWrapper(person),
        storage=MemoryStorage(),
        http=StandardHttpClient(loopback=True),
    )
    wallet = await ck.open_wallet(config, platform)
    await wallet.vault().add_hardware_entry("This computer")
    print("Write this down:", await wallet.vault().create_recovery_code("Paper"))
    return wallet
# end of open


# snippet: collect
async def collect(wallet: ck.Wallet, offer_link: str) -> None:
    session = await wallet.begin_issuance(offer_link)
    offer = session.details()
    print(f"{offer.issuer_name} offers", ", ".join(credential.name for credential in offer.credentials))
    code = input("Transaction code? ") if offer.tx_code else None
    prompt = ck.Prompt(title="Collect", reason="Bind them to this computer", cancel_label="No")
    for later in (await session.accept(code, prompt)).waiting:
        print(f"{later.issuer_name} will give {later.name} later")
# end of collect


# snippet: present
async def present(wallet: ck.Wallet, request_link: str) -> bool:
    session = await wallet.begin_presentation(request_link)
    request, selection = session.details(), session.default_selection()
    claims = [claim.label for query in session.choices() for one in query.candidates for claim in one.claims]
    question = f"{request.verifier_name} asks for {', '.join(claims)}. Show them? [y/n] "
    if selection is None or input(question) != "y":
        await session.decline()
        return False
    reason = request.purpose or request.verifier_name
    return (await session.approve(selection, ck.Prompt(title="Show", reason=reason, cancel_label="No"))).accepted
# end of present


def configuration(folder: pathlib.Path) -> ck.WalletConfig:
    def anchor(file: str) -> list[bytes]:
        return [ssl.PEM_cert_to_DER_cert((folder / file).read_text())]

    return ck.WalletConfig(
        client_id="carekey-demo-app",
        rp_id="app.wallet.example",
        origin="https://app.wallet.example",
        name="My wallet",
        locale="en",
        authenticator=ck.AuthenticatorSource.EMBEDDED,
        issuers=[ck.TrustedIssuers(anchors=anchor("hospital/ca.pem"))],
        verifiers=ck.TrustedVerifiers(anchors=anchor("portal/keys/ca.pem")),
    )


async def main(folder: str, offer_link: str, request_link: str) -> None:
    try:
        wallet = await open_wallet(configuration(pathlib.Path(folder)))
        await collect(wallet, offer_link)
        print("The portal took it." if await present(wallet, request_link) else "The portal did not take it.")
    except ck.WalletError as error:
        facts = error.explain()
        print(f"This did not work ({facts.code}): {facts.advice.name.lower().replace('_', ' ')}.")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
