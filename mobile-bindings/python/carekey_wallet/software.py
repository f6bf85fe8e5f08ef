"""The platform in memory, for demonstrations and tests of your app: nothing protects these keys."""

import asyncio
import contextlib
import http.client
import os
import ssl
import urllib.parse
from collections.abc import Awaitable, Callable

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import carekey_wallet_ffi as ffi

#: The person in front of the device: returns to confirm, raises a ``PlatformError`` to refuse.
Person = Callable[[ffi.Prompt], Awaitable[None]]


class SoftwareKeyStore(ffi.HardwareKeyStore):
    """Keys in memory that keep the rules of a phone: a key that wants the person signs only under a prompt, or in the
    call right after one."""

    def __init__(self, person: Person):
        self._person = person
        self._keys: dict[str, tuple[ec.EllipticCurvePrivateKey, ffi.AuthRequirement]] = {}
        self._invalidated: set[str] = set()
        self._confirmed = False

    def enrol_another_finger(self) -> None:
        """What happens when a finger is added on a phone: keys bound to the enrolled set are gone."""
        for alias, (_, auth) in list(self._keys.items()):
            if auth.is_BIOMETRIC_EVERY_USE() and auth.current_set_only:
                del self._keys[alias]
                self._invalidated.add(alias)

    async def capabilities(self) -> ffi.DeviceCapabilities:
        return ffi.DeviceCapabilities(
            hardware_backed=False, strongbox=False, biometry_enrolled=True, attestation=False
        )

    async def generate(self, spec: ffi.KeySpec) -> ffi.KeyInfo:
        key = ec.generate_private_key(ec.SECP256R1())
        self._keys[spec.alias] = (key, spec.auth)
        public = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return ffi.KeyInfo(
            alias=spec.alias, public_key=public, evidence=ffi.KeyEvidence.NONE(), hardware_backed=False
        )

    async def sign(self, items: list[ffi.SignItem], prompt: ffi.Prompt | None) -> list[bytes]:
        found = []
        for item in items:
            if item.alias in self._invalidated:
                raise ffi.PlatformError.KeyInvalidated()
            if item.alias not in self._keys:
                raise ffi.PlatformError.Unexpected(f"there is no key {item.alias}")
            found.append(self._keys[item.alias])
        confirmed, self._confirmed = self._confirmed, False
        if prompt is not None:
            await self._person(prompt)
            self._confirmed = True
        elif not confirmed and any(not auth.is_DEVICE_UNLOCKED() for _, auth in found):
            raise ffi.PlatformError.Unexpected("a key that wants the person was to be used without a prompt")
        return [
            key.sign(item.message, ec.ECDSA(hashes.SHA256()))
            for (key, _), item in zip(found, items, strict=True)
        ]

    async def delete(self, alias: str) -> None:
        self._keys.pop(alias, None)


class SoftwareKeyWrapper(ffi.KeyWrapper):
    """Wrapping keys in memory, each use under a prompt."""

    def __init__(self, person: Person):
        self._person = person
        self._keys: dict[str, AESGCM] = {}

    def enrol_another_finger(self) -> None:
        """What happens when a finger is added on a phone: the wrapping keys are gone."""
        self._keys.clear()

    async def wrap(self, slot: str, secret: bytes) -> bytes:
        key = self._keys.setdefault(slot, AESGCM(AESGCM.generate_key(256)))
        nonce = os.urandom(12)
        return nonce + key.encrypt(nonce, secret, None)

    async def unwrap_secret(self, slot: str, wrapped: bytes, prompt: ffi.Prompt | None) -> bytes:
        if slot not in self._keys:
            raise ffi.PlatformError.KeyInvalidated()
        if prompt is not None:
            await self._person(prompt)
        return self._keys[slot].decrypt(wrapped[:12], wrapped[12:], None)

    async def forget(self, slot: str) -> None:
        self._keys.pop(slot, None)


class MemoryStorage(ffi.WalletStorage):
    """Storage that is gone with the process."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes | None:
        return self._values.get(name)

    async def put(self, name: str, value: bytes) -> None:
        self._values[name] = value

    async def remove(self, name: str) -> None:
        self._values.pop(name, None)

    async def list(self, prefix: str) -> list[str]:
        return [name for name in self._values if name.startswith(prefix)]


class StandardHttpClient(ffi.WalletHttpClient):
    """HTTP with the standard library: ``https`` only, or ``http`` to this computer when ``loopback`` allows it."""

    MAX_BYTES = 4 * 1024 * 1024

    def __init__(self, loopback: bool = False):
        self._loopback = loopback

    async def send(self, request: ffi.WalletHttpRequest) -> ffi.WalletHttpResponse:
        try:
            return await asyncio.to_thread(self._send, request)
        except (OSError, http.client.HTTPException) as problem:
            raise ffi.HttpError.Unreachable(type(problem).__name__) from problem

    def _send(self, request: ffi.WalletHttpRequest) -> ffi.WalletHttpResponse:
        url = urllib.parse.urlsplit(request.url)
        if url.scheme == "https":
            connection = http.client.HTTPSConnection(
                url.hostname, url.port, timeout=30, context=ssl.create_default_context()
            )
        elif self._loopback and url.hostname in ("localhost", "127.0.0.1", "::1"):
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        else:
            raise ffi.HttpError.Unreachable("not https")
        with contextlib.closing(connection):
            path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
            headers = {header.name: header.value for header in request.headers}
            body = None if request.method == "GET" else request.body
            connection.request(request.method, path, body, headers)
            response = connection.getresponse()
            content = response.read(self.MAX_BYTES + 1)
        if len(content) > self.MAX_BYTES:
            raise ffi.HttpError.Unreachable("the answer is too large")
        headers = [ffi.HttpHeader(name=name, value=value) for name, value in response.getheaders()]
        return ffi.WalletHttpResponse(status=response.status, headers=headers, body=content)
