// An issuer that demands key attestations, with the keys of the foreign wallets attested by a provider that it knows.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { clientAuthenticationClientAttestationJwt } from '@openid4vc/oauth2'
import * as jose from 'jose'

import { credoAgent, newCredoKey } from './credo.mjs'
import { proves } from './recorder.mjs'
import { patient, services } from './services.mjs'
import { newKey, vciClient } from './wallet.mjs'

const STORAGE = 'iso_18045_high'
let world
let wallet
let provider
let folder

before(async () => {
  provider = await newKey()
  folder = await mkdtemp(join(tmpdir(), 'carekey-provider-'))
  const jwks = join(folder, 'provider.jwks')
  const { kty, crv, x, y } = provider.jwk
  await writeFile(jwks, JSON.stringify({ keys: [{ kty, crv, x, y, kid: 'provider' }] }))
  world = await services(`
[[wallet_providers]]
name = "Interop provider"
jwks = "${jwks}"

[key_attestations.patient_identity]
key_storage = ["${STORAGE}"]
`)
  wallet = await credoAgent({}, world.authorities)
})
after(async () => {
  await wallet?.shutdown()
  await world?.stop()
  await rm(folder, { recursive: true })
})

/** What the provider says about keys (OpenID4VCI 1.0 appendix D). */
const attest = (keys, nonce, storage = STORAGE) =>
  new jose.SignJWT({ attested_keys: keys, key_storage: [storage], nonce })
    .setProtectedHeader({ alg: 'ES256', typ: 'key-attestation+jwt', kid: 'provider' })
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(provider.privateKey)

const publicJwk = ({ jwk: { kty, crv, x, y } }) => ({ kty, crv, x, y })

const begin = async keys => {
  const { credential_offer_uri: uri } = await world.desk('POST', '/api/offers', {
    credential_configuration_ids: ['patient_identity'], fhir: patient
  })
  const client = vciClient(keys)
  const credentialOffer = await client.resolveCredentialOffer(uri)
  const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer)
  const { accessTokenResponse } = await client.retrievePreAuthorizedCodeAccessTokenFromOffer({ credentialOffer, issuerMetadata })
  const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata })
  const retrieve = proofs => client.retrieveCredentials({
    issuerMetadata, credentialConfigurationId: 'patient_identity', accessToken: accessTokenResponse.access_token, proofs
  })
  const proof = keyAttestationJwt => client.createCredentialRequestJwtProof({
    issuerMetadata, credentialConfigurationId: 'patient_identity', nonce, signer: keys[0].signer, keyAttestationJwt
  })
  return { uri, nonce, retrieve, proof }
}

const boundTo = ({ credentialResponse: { credentials: [{ credential }] } }) =>
  JSON.parse(Buffer.from(credential.split('.')[1], 'base64url')).cnf.jwk.x

describe('keys that a wallet provider attests', () => {
  proves('npm', 'proof_attested')('in the header of a key proof', async () => {
    const key = await newKey()
    const { nonce, retrieve, proof } = await begin([key])
    const { jwt } = await proof(await attest([publicJwk(key)], nonce))
    assert.equal(boundTo(await retrieve({ jwt: [jwt] })), key.jwk.x)
  })

  proves('npm', 'proof_attestation')('as the proof itself', async () => {
    const key = await newKey()
    const { nonce, retrieve } = await begin([key])
    assert.equal(boundTo(await retrieve({ attestation: [await attest([publicJwk(key)], nonce)] })), key.jwk.x)
  })

  test('with one of weaker storage nothing is issued', async () => {
    const key = await newKey()
    const { nonce, retrieve } = await begin([key])
    const weak = await attest([publicJwk(key)], nonce, 'iso_18045_basic')
    await assert.rejects(retrieve({ attestation: [weak] }), error => JSON.stringify(error).includes('invalid_proof'))
    const strong = await attest([publicJwk(key)], nonce)
    assert.equal(boundTo(await retrieve({ attestation: [strong] })), key.jwk.x, 'the nonce is not spoilt')
  })

  proves('credo', 'proof_attestation')('as the proof of Credo-TS', async () => {
    const { credential_offer_uri: uri } = await world.desk('POST', '/api/offers', {
      credential_configuration_ids: ['patient_identity'], fhir: patient
    })
    const { holder } = wallet.openid4vc
    const resolvedCredentialOffer = await holder.resolveCredentialOffer(uri)
    const token = await holder.requestToken({ resolvedCredentialOffer })
    const { credentials } = await holder.requestCredentials({
      resolvedCredentialOffer,
      ...token,
      credentialBindingResolver: async ({ cNonce }) => {
        const key = await newCredoKey(wallet)
        const { kty, crv, x, y } = key.toJson()
        return { method: 'attestation', keyAttestationJwt: await attest([{ kty, crv, x, y, kid: key.keyId }], cNonce) }
      }
    })
    assert.equal(credentials.length, 1)
  })
})

describe('wallets that their provider vouches for', () => {
  let strict
  before(async () => {
    process.env.CAREKEY_ISSUER__ISSUER__WALLET_ATTESTATION = 'required'
    strict = await services(`
[[wallet_providers]]
name = "Interop provider"
jwks = "${join(folder, 'provider.jwks')}"
`)
    delete process.env.CAREKEY_ISSUER__ISSUER__WALLET_ATTESTATION
  })
  after(() => strict?.stop())

  /** What the provider says about an instance of the wallet (OpenID4VCI 1.0 appendix E). */
  const vouch = jwk =>
    new jose.SignJWT({ cnf: { jwk }, wallet_name: 'Interop wallet' })
      .setProtectedHeader({ alg: 'ES256', typ: 'oauth-client-attestation+jwt', kid: 'provider' })
      .setIssuer('https://provider.example')
      .setSubject('wallet.example')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(provider.privateKey)

  const offer = async () => {
    const { credential_offer_uri: uri } = await strict.desk('POST', '/api/offers', {
      credential_configuration_ids: ['patient_identity'], fhir: patient
    })
    return uri
  }

  proves('npm', 'wallet_attestation')('get a token, and others get none', async () => {
    const instance = await newKey()
    const clientAuthentication = clientAuthenticationClientAttestationJwt({
      clientAttestationJwt: await vouch(publicJwk(instance)),
      callbacks: {
        generateRandom: length => crypto.getRandomValues(new Uint8Array(length)),
        signJwt: async (_, { header, payload }) => ({
          jwt: await new jose.SignJWT(payload).setProtectedHeader(header).sign(instance.privateKey),
          signerJwk: instance.jwk
        })
      }
    })
    const uri = await offer()
    const redeem = async others => {
      const client = vciClient([instance], others)
      const credentialOffer = await client.resolveCredentialOffer(uri)
      const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer)
      return client.retrievePreAuthorizedCodeAccessTokenFromOffer({ credentialOffer, issuerMetadata })
    }
    await assert.rejects(redeem({}), error => JSON.stringify(error).includes('invalid_client'))
    const { accessTokenResponse } = await redeem({ clientAuthentication })
    assert.ok(accessTokenResponse.access_token)
  })

  proves('credo', 'wallet_attestation')('get a token as Credo-TS', async () => {
    const { holder } = wallet.openid4vc
    const key = await newCredoKey(wallet)
    const { kty, crv, x, y } = key.toJson()
    const resolvedCredentialOffer = await holder.resolveCredentialOffer(await offer())
    const walletAttestationJwt = await vouch({ kty, crv, x, y, kid: key.keyId })
    const token = await holder.requestToken({ resolvedCredentialOffer, walletAttestationJwt })
    assert.ok(token.accessToken)
  })
})
