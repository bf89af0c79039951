"""A second client: registers a passkey and signs in with it, with the encoders of Yubico's fido2 (0.9 to 2.x).

Arguments: the origin of the API, the origin of the page, and the Authorization header of the account.
Prints the statuses and the body of the sign-in as JSON.
"""

import hashlib
import json
import os
import sys
import urllib.request

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode

try:
    from fido2.webauthn import (
        AttestationObject,
        AttestedCredentialData,
        AuthenticatorData,
        CollectedClientData,
    )

    def client_data(kind, challenge, origin):
        return CollectedClientData.create(type=kind, challenge=challenge, origin=origin)

    def attestation_object(auth_data):
        return AttestationObject.create("none", auth_data, {})

except ImportError:
    from fido2.client import ClientData
    from fido2.ctap2 import AttestationObject, AttestedCredentialData, AuthenticatorData

    def client_data(kind, challenge, origin):
        return ClientData.build(type=kind, challenge=challenge, origin=origin)

    def attestation_object(auth_data):
        return AttestationObject.create("none", auth_data, {}).with_string_keys()


api, page_origin, authorization = sys.argv[1:]
USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40
cookies = {}


def post(path, body, headers):
    request = urllib.request.Request(api + path, json.dumps(body).encode(), headers)
    request.add_header("Content-Type", "application/json")
    if cookies:
        request.add_header("Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items()))
    with urllib.request.urlopen(request) as response:
        for line in response.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            cookies[name] = value
        return response.status, json.load(response)


def envelope(credential_id, response):
    encoded = websafe_encode(credential_id)
    return {
        "id": encoded,
        "rawId": encoded,
        "type": "public-key",
        "clientExtensionResults": {},
        "response": {name: websafe_encode(value) for name, value in response.items()},
    }


signed_in_headers = {"Authorization": authorization}
_, creation = post("/passkeys/options", {}, signed_in_headers)
key = ec.generate_private_key(ec.SECP256R1())
credential_id = os.urandom(64)
rp_id_hash = hashlib.sha256(creation["rp"]["id"].encode()).digest()
attested = AttestedCredentialData.create(
    b"\0" * 16, credential_id, ES256.from_cryptography_key(key.public_key())
)
auth_data = AuthenticatorData.create(rp_id_hash, USER_PRESENT | USER_VERIFIED | ATTESTED, 0, attested)
created = envelope(
    credential_id,
    {
        "clientDataJSON": client_data("webauthn.create", creation["challenge"], page_origin),
        "attestationObject": attestation_object(auth_data),
    },
)
registered, _ = post("/passkeys", {"name": "fido2", "credential": created}, signed_in_headers)

_, options = post("/auth/passkey/options", {}, {})
collected = client_data("webauthn.get", options["challenge"], page_origin)
auth_data = AuthenticatorData.create(rp_id_hash, USER_PRESENT | USER_VERIFIED, 1)
signature = key.sign(bytes(auth_data) + hashlib.sha256(collected).digest(), ec.ECDSA(hashes.SHA256()))
signed = envelope(
    credential_id,
    {
        "clientDataJSON": collected,
        "authenticatorData": auth_data,
        "signature": signature,
        "userHandle": websafe_decode(creation["user"]["id"]),
    },
)
status, body = post("/auth/passkey", {"credential": signed, "as": "test-issuer"}, {})
print(json.dumps({"registered": registered, "signedIn": status, "body": body}))
