"""The running demo: a hospital and a portal, and what their staff does."""

import html
import json
import os
import pathlib
import subprocess
import tempfile
import urllib.request

REPOSITORY = pathlib.Path(__file__).parents[3]
PATIENT = json.loads((REPOSITORY / "issuer/patients/zofie-testova.json").read_text())


class Demo:
    def __init__(self) -> None:
        program = os.environ.get("CAREKEY", str(REPOSITORY / "target/debug/carekey"))
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [program, "demo", "--json", "--data", self._folder.name], stdout=subprocess.PIPE, text=True
        )
        self.folder = self._folder.name
        self.told = json.loads(self._process.stdout.readline())

    def __enter__(self) -> "Demo":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()
        self._folder.cleanup()

    def _call(self, party: str, path: str, body: object = None) -> dict:
        request = urllib.request.Request(
            self.told[party] + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self.told[f'{party}_token']}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def offer(self, kinds: list[str], tx_code: bool, **more: object) -> dict:
        body = {"credential_configuration_ids": kinds, "fhir": PATIENT, "tx_code": tx_code} | more
        return self._call("hospital", "api/offers", body)

    def approve(self, offer: dict) -> None:
        self._call("hospital", f"api/offers/{offer['id']}/approve", {})

    def browse(self, url: str, code: str) -> str:
        """What the person does in the system's browser: the hospital's page, the desk's code, and back to the app."""
        hospital = self.told["hospital"].rstrip("/")
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), urllib.request.ProxyHandler({}))
        browser.open(url, timeout=30).read()
        form = urllib.request.Request(
            f"{hospital}/oid4vci/login/code", data=f"code={code}".encode(), headers={"origin": hospital}
        )
        page = browser.open(form, timeout=30).read().decode()
        links = [part.split('"')[0] for part in page.split('href="')[1:]]
        return html.unescape(next(link for link in links if link.startswith(self.told["app"]["redirect_uri"])))

    def request(self, body: dict) -> dict:
        return self._call("portal", "api/requests", body)

    def state(self, request: dict) -> str:
        return self._call("portal", f"api/requests/{request['id']}")["state"]

    def credentials(self) -> list[dict]:
        return self._call("hospital", "api/credentials")["credentials"]

    def revoke(self, credential: dict) -> None:
        self._call("hospital", f"api/credentials/{credential['id']}/revoke", {})
