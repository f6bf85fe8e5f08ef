"""SD-JWT VCs with the package sd-jwt and COSE with pycose: ours verify with theirs, and theirs with us."""

import base64
import json
import os
import subprocess
import time
import unittest

from jwcrypto.jwk import JWK
from pycose.headers import Algorithm, ContentType, KID
from pycose.keys import EC2Key, OKPKey
from pycose.messages import CoseMessage, Sign1Message
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

AUDIENCE, NONCE = "https://verifier.example", "n-0S6_WzA2Mj"
TYP = 16  # RFC 9596
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
CLAIMS = {
    "given_name": "Žofie",
    "email": "z@example.org",
    "address": {"country": "CZ", "locality": "Brno"},
    "nationalities": ["CZ", "SK"],
    "height": 1.75,
}
CREDENTIAL = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "type": ["VerifiableCredential"],
    "issuer": "https://issuer.example",
    "validFrom": "2026-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:patient", "name": "Žofie", "height": 1.75},
}


def ours(**request):
    """One request to tests/examples/securing.rs: `{"ok": …}` or `{"refused": …}`."""
    child = subprocess.run([os.environ["SECURING"]], input=json.dumps(request).encode(), capture_output=True, check=True)
    return json.loads(child.stdout)


def done(**request):
    answer = ours(**request)
    assert "ok" in answer, answer
    return answer["ok"]


def new_key(alg):
    if alg == "EdDSA":
        return JWK.generate(kty="OKP", crv="Ed25519")
    return JWK.generate(kty="EC", crv=CURVES[alg])


def public(key):
    return key.export_public(as_dict=True)


def cose_key(jwk):
    def number(name):
        return base64.urlsafe_b64decode(jwk[name] + "==") if name in jwk else b""

    if jwk["kty"] == "OKP":
        return OKPKey(crv="ED25519", x=number("x"), d=number("d"))
    return EC2Key(crv=jwk["crv"].replace("-", "_"), x=number("x"), y=number("y"), d=number("d"))


class SdJwt(unittest.TestCase):
    def test_ours_with_theirs(self):
        for alg in CURVES:
            made = done(do="issue", format="dc+sd-jwt", alg=alg, document=CLAIMS)
            key = JWK(**made["issuer_jwk"])
            verifier = SDJWTVerifier(made["presentation"], lambda issuer, header: key, AUDIENCE, NONCE)
            shown = verifier.get_verified_payload()
            self.assertEqual(shown["address"], CLAIMS["address"])
            self.assertEqual(shown["nationalities"], CLAIMS["nationalities"])
            self.assertEqual(shown["given_name"], "Žofie")
            self.assertNotIn("email", shown)
            with self.assertRaises(Exception):
                SDJWTVerifier(made["presentation"], lambda issuer, header: key, AUDIENCE, "another")
            with self.assertRaises(Exception):
                SDJWTVerifier(made["presentation"], lambda issuer, header: new_key(alg), AUDIENCE, NONCE)

    def test_theirs_with_ours(self):
        for alg in CURVES:
            issuer_key, holder_key = new_key(alg), new_key("ES256")
            now = int(time.time())
            claims = {
                "iss": "https://issuer.example",
                "vct": "https://issuer.example/vct/identity",
                "iat": now,
                "exp": now + 3600,
                SDObj("given_name"): CLAIMS["given_name"],
                SDObj("email"): CLAIMS["email"],
                SDObj("address"): {SDObj("country"): "CZ", "locality": "Brno"},
                "nationalities": [SDObj("CZ"), "SK"],
                "height": 1.75,
            }
            header = {"typ": "dc+sd-jwt", "kid": "key-1"}
            issued = SDJWTIssuer(
                claims, issuer_key, holder_key, sign_alg=alg, add_decoy_claims=True, extra_header_parameters=header
            )

            def present(nonce):
                holder = SDJWTHolder(issued.sd_jwt_issuance)
                shown = {"given_name": True, "address": {"country": True}, "nationalities": [True, False]}
                holder.create_presentation(shown, nonce, AUDIENCE, holder_key, sign_alg="ES256")
                return holder.sd_jwt_presentation

            request = dict(do="verify", format="dc+sd-jwt", issuer_jwk=public(issuer_key))
            shown = done(document=present(NONCE), **request)
            self.assertEqual(shown["address"], CLAIMS["address"])
            self.assertEqual(shown["nationalities"], CLAIMS["nationalities"])
            self.assertNotIn("email", shown)
            self.assertEqual(ours(document=present("another"), **request), {"refused": "kb_jwt_nonce"})


class Cose(unittest.TestCase):
    def test_ours_with_theirs(self):
        for alg in CURVES:
            made = done(do="issue", format="vc+cose", alg=alg, document=CREDENTIAL)
            message = CoseMessage.decode(base64.b64decode(made["message"]))
            message.key = cose_key(made["issuer_jwk"])
            self.assertTrue(message.verify_signature())
            self.assertEqual(json.loads(message.payload), CREDENTIAL)
            message.payload = message.payload.replace(b"1.75", b"1.76")
            self.assertFalse(message.verify_signature())

    def test_theirs_with_ours(self):
        for alg in CURVES:
            key = new_key(alg)
            names = {Algorithm: {"EdDSA": "EDDSA"}.get(alg, alg), ContentType: "application/vc", KID: b"key-1"}
            message = Sign1Message(phdr={**names, TYP: "application/vc+cose"}, payload=json.dumps(CREDENTIAL).encode())
            message.key = cose_key(key.export(private_key=True, as_dict=True))
            encoded = message.encode()
            request = dict(do="verify", format="vc+cose", issuer_jwk=public(key))
            text = base64.b64encode(encoded).decode()
            self.assertEqual(done(document=text, **request), CREDENTIAL)
            changed = base64.b64encode(encoded.replace(b"1.75", b"1.76")).decode()
            self.assertEqual(ours(document=changed, **request), {"refused": "signature_invalid"})


if __name__ == "__main__":
    result = unittest.main(verbosity=2, exit=False).result
    failed = len(result.errors) + len(result.failures)
    print(f"# pass {result.testsRun - failed}\n# fail {failed}")
    raise SystemExit(failed > 0)
