// A wallet that is not ours: the published OpenID4VC packages, with keys of Web Cryptography.

import { createHash, webcrypto, X509Certificate } from 'node:crypto'

import { clientAuthenticationAnonymous, Oauth2Client, setGlobalConfig } from '@openid4vc/oauth2'
import { Openid4vciClient } from '@openid4vc/openid4vci'
import { Openid4vpClient } from '@openid4vc/openid4vp'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import * as jose from 'jose'

// The servers under test answer on loopback.
setGlobalConfig({ allowInsecureUrls: true })

const sha256 = data => createHash('sha256').update(data).digest()

/** A fresh P-256 key, as JWK pair and as signing function for `r || s`. */
export const newKey = async () => {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
  const jwk = await jose.exportJWK(publicKey)
  const sign = async text => {
    const data = new TextEncoder().encode(text)
    const signature = await webcrypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, data)
    return Buffer.from(signature).toString('base64url')
  }
  return { jwk, privateKey, sign, signer: { method: 'jwk', alg: 'ES256', publicJwk: jwk } }
}

/** The DNS names and URIs of a certificate (base64 DER). */
const certificateNames = certificate => {
  const names = new X509Certificate(Buffer.from(certificate, 'base64')).subjectAltName ?? ''
  const of = kind => names.split(', ').filter(n => n.startsWith(`${kind}:`)).map(n => n.slice(kind.length + 1))
  return { sanDnsNames: of('DNS'), sanUriNames: of('URI') }
}

/** The key that signed a token, by `jwk`, `x5c` or `did:jwk`. */
const keyOfSigner = async signer => {
  switch (signer.method) {
    case 'jwk':
      return signer.publicJwk
    case 'x5c': {
      const pem = new X509Certificate(Buffer.from(signer.x5c[0], 'base64')).toString()
      return jose.exportJWK(await jose.importX509(pem, signer.alg, { extractable: true }))
    }
    case 'did': {
      const did = signer.didUrl.split('#')[0]
      if (did.startsWith('did:jwk:')) return JSON.parse(Buffer.from(did.slice('did:jwk:'.length), 'base64url'))
      // did:web of a loopback server.
      const host = decodeURIComponent(did.slice('did:web:'.length))
      const document = await (await fetch(`http://${host}/.well-known/did.json`)).json()
      return document.verificationMethod.find(m => signer.didUrl.endsWith(m.id.split('#')[1])).publicKeyJwk
    }
  }
  throw new Error(`no key for a signer of method ${signer.method}`)
}

/** What the packages ask a wallet to do; `keys` are those that it may sign with. */
const callbacks = keys => ({
  fetch,
  hash: (data, algorithm) => createHash(algorithm.replace('-', '')).update(data).digest(),
  generateRandom: length => webcrypto.getRandomValues(new Uint8Array(length)),
  clientAuthentication: clientAuthenticationAnonymous(),
  getX509CertificateMetadata: certificateNames,
  signJwt: async (signer, { header, payload }) => {
    const key = keys.find(key => key.jwk.x === signer.publicJwk.x)
    const jwt = await new jose.SignJWT(payload).setProtectedHeader(header).sign(key.privateKey)
    return { jwt, signerJwk: key.jwk }
  },
  verifyJwt: async (signer, { compact }) => {
    const jwk = await keyOfSigner(signer)
    try {
      await jose.compactVerify(compact, await jose.importJWK(jwk, signer.alg))
      return { verified: true, signerJwk: jwk }
    } catch {
      return { verified: false, signerJwk: jwk }
    }
  },
  encryptJwe: async (encryptor, data) => {
    const jwk = encryptor.publicJwk
    const header = { alg: encryptor.alg, enc: encryptor.enc, kid: jwk.kid }
    const encrypt = new jose.CompactEncrypt(new TextEncoder().encode(data)).setProtectedHeader(header)
    if (encryptor.apu || encryptor.apv) {
      const bytes = text => (text ? Buffer.from(text, 'base64url') : undefined)
      encrypt.setKeyManagementParameters({ apu: bytes(encryptor.apu), apv: bytes(encryptor.apv) })
    }
    return { jwe: await encrypt.encrypt(await jose.importJWK(jwk, encryptor.alg)), encryptionJwk: jwk }
  },
  decryptJwe: () => ({ decrypted: false })
})

/** The issuance side of the wallet. */
export const vciClient = (keys, others) => new Openid4vciClient({ callbacks: { ...callbacks(keys), ...others } })

/** The OAuth 2.0 side of the wallet. */
export const oauthClient = keys => new Oauth2Client({ callbacks: callbacks(keys) })

/** The presentation side of the wallet. */
export const vpClient = keys => new Openid4vpClient({ callbacks: callbacks(keys) })

/** Collects the credential of an offer with a key. */
export const collect = async (offerUri, { key, txCode, configuration, code }) => {
  const client = vciClient([key])
  const credentialOffer = await client.resolveCredentialOffer(offerUri)
  const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer)
  const id = configuration ?? credentialOffer.credential_configuration_ids[0]
  if (code) {
    credentialOffer.grants['urn:ietf:params:oauth:grant-type:pre-authorized_code']['pre-authorized_code'] = code
  }
  const { accessTokenResponse } = await client.retrievePreAuthorizedCodeAccessTokenFromOffer({
    credentialOffer,
    issuerMetadata,
    txCode
  })
  const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata })
  const { jwt } = await client.createCredentialRequestJwtProof({
    issuerMetadata,
    credentialConfigurationId: id,
    nonce,
    signer: key.signer
  })
  const request = {
    issuerMetadata,
    credentialConfigurationId: id,
    accessToken: accessTokenResponse.access_token,
    proofs: { jwt: [jwt] }
  }
  const { credentialResponse } = await client.retrieveCredentials(request)
  return { client, issuerMetadata, credentialOffer, request, credentialResponse, accessTokenResponse }
}

/** `@sd-jwt/sd-jwt-vc` as holder and verifier of credentials. */
export const sdJwtVc = (issuerJwk, holder) =>
  new SDJwtVcInstance({
    hasher: (data, algorithm) =>
      new Uint8Array(createHash(algorithm.replace('-', '')).update(typeof data === 'string' ? data : Buffer.from(data)).digest()),
    hashAlg: 'sha-256',
    saltGenerator: length => Buffer.from(webcrypto.getRandomValues(new Uint8Array(length))).toString('hex'),
    signAlg: 'ES256',
    verifier: (data, signature) => verifyEs256(issuerJwk, data, signature),
    kbSignAlg: 'ES256',
    kbSigner: holder?.sign,
    kbVerifier: (data, signature, payload) => verifyEs256(payload.cnf.jwk, data, signature),
    statusVerifier: (data, signature) => verifyEs256(issuerJwk, data, signature),
    statusListFetcher: async uri => (await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } })).text()
  })

const verifyEs256 = async (jwk, data, signature) => {
  const { kty, crv, x, y } = jwk
  const key = await webcrypto.subtle.importKey('jwk', { kty, crv, x, y }, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify'])
  const bytes = Buffer.from(signature, 'base64url')
  return webcrypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, bytes, new TextEncoder().encode(data))
}

/** The key in the leaf certificate of a credential's header. */
export const issuerKey = async credential => {
  const header = JSON.parse(Buffer.from(credential.split('.')[0], 'base64url'))
  return keyOfSigner({ method: 'x5c', x5c: header.x5c, alg: header.alg })
}

/** Reads a request (a link, or what a page hands to the platform from `origin`), presents `claims` of the credential with
 *  the key, and sends the answer in the mode asked for, or returns it for the platform. */
export const present = async (asked, { credential, key, claims, tamper, origin, enc }) => {
  const client = vpClient([key])
  const parsed = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: asked })
  const resolved = await client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: parsed.params, origin })
  const request = resolved.authorizationRequestPayload
  const instance = sdJwtVc(await issuerKey(credential), key)
  const hashes = request.transaction_data?.map(text => sha256(text).toString('base64url'))
  let presentation = await instance.present(credential, Object.fromEntries(claims.map(name => [name, true])), {
    kb: {
      payload: {
        aud: origin ? `origin:${origin}` : request.client_id,
        nonce: request.nonce,
        iat: Math.floor(Date.now() / 1000),
        ...(hashes && { transaction_data_hashes: hashes, transaction_data_hashes_alg: 'sha-256' })
      }
    }
  })
  if (tamper) presentation = tamper(presentation)
  const id = request.dcql_query.credentials[0].id
  const encrypted = request.response_mode.endsWith('.jwt')
  const response = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request,
    authorizationResponsePayload: { vp_token: { [id]: [presentation] } },
    origin,
    ...(encrypted && {
      jarm: {
        encryption: { nonce: Buffer.from(request.nonce).toString('base64url') },
        serverMetadata: {
          authorization_signing_alg_values_supported: [],
          authorization_encryption_alg_values_supported: ['ECDH-ES'],
          authorization_encryption_enc_values_supported: enc ? [enc] : ['A128GCM', 'A256GCM']
        }
      }
    })
  })
  if (origin) {
    const data = response.jarm ? { response: response.jarm.responseJwt } : response.authorizationResponsePayload
    return { resolved, request, presentation, response, data }
  }
  const submitted = await client.submitOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request,
    authorizationResponsePayload: response.authorizationResponsePayload,
    jarm: response.jarm
  })
  return { resolved, request, presentation, response, status: submitted.response.status, answer: await submitted.response.json().catch(() => null) }
}
