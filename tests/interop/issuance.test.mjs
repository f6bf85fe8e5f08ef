// The further ways of issuance, with `@openid4vc/openid4vci` 0.4.6 as wallet: authorization code, DPoP, batches, later
// answers, and the W3C formats.

import assert from 'node:assert/strict'
import { after, before, describe } from 'node:test'

import { clientAuthenticationNone } from '@openid4vc/oauth2'
import * as jose from 'jose'

import { proves } from './recorder.mjs'
import { patient, redirectUri, services, signIn } from './services.mjs'
import { newKey, oauthClient, vciClient } from './wallet.mjs'

let world

before(async () => {
  world = await services()
})
after(async () => {
  await world?.stop()
})

const offer = (options = {}) =>
  world.desk('POST', '/api/offers', { credential_configuration_ids: ['patient_identity'], fhir: patient, ...options })

/** The did:jwk of a key, its members in order as our issuer writes them. */
const didOf = ({ jwk: { kty, crv, x, y } }) =>
  `did:jwk:${Buffer.from(JSON.stringify({ crv, kty, x, y })).toString('base64url')}`

/** A wallet with an offer and the keys that it may sign with. */
const open = async (created, keys, others) => {
  const client = vciClient(keys, others)
  const credentialOffer = await client.resolveCredentialOffer(created.credential_offer_uri)
  const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer)
  return { client, credentialOffer, issuerMetadata }
}

/** Key proofs of `keys` and the credentials for them. */
const request = async ({ client, issuerMetadata }, token, keys, { configuration = 'patient_identity', dpop, signer } = {}) => {
  const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata })
  const proofs = []
  for (const key of keys) {
    const { jwt } = await client.createCredentialRequestJwtProof({
      issuerMetadata, credentialConfigurationId: configuration, nonce, signer: signer?.(key) ?? key.signer
    })
    proofs.push(jwt)
  }
  const { credentialResponse } = await client.retrieveCredentials({
    issuerMetadata, credentialConfigurationId: configuration, accessToken: token.access_token, proofs: { jwt: proofs }, dpop
  })
  return credentialResponse
}

const claimsOf = credential => JSON.parse(Buffer.from(credential.split('.')[1], 'base64url'))

/** Whether the holder's key stands in a credential. */
const isBoundTo = (credential, key) => claimsOf(credential).cnf.jwk.x === key.jwk.x

describe('grants and tokens', () => {
  proves('npm', 'authorization_code', 'par', 'pkce', 'iss')('the person signs in', async () => {
    const created = await offer({ flow: 'authorization_code', tx_code: true })
    const key = await newKey()
    const wallet = await open(created, [key], { clientAuthentication: clientAuthenticationNone({ clientId: 'wallet.example' }) })
    const [server] = wallet.issuerMetadata.authorizationServers
    const started = await wallet.client.initiateAuthorization({
      clientId: 'wallet.example', redirectUri, scope: 'patient_identity',
      credentialOffer: wallet.credentialOffer, issuerMetadata: wallet.issuerMetadata
    })
    assert.match(new URL(started.authorizationRequestUrl).searchParams.get('request_uri'), /^urn:/, 'pushed')
    const back = await signIn(started.authorizationRequestUrl, created.tx_code)
    const { code, iss } = wallet.client.parseAndVerifyAuthorizationResponseRedirectUrl({
      url: back, authorizationServerMetadata: server
    })
    assert.equal(iss, server.issuer)
    const redeem = pkceCodeVerifier => wallet.client.retrieveAuthorizationCodeAccessTokenFromOffer({
      credentialOffer: wallet.credentialOffer, issuerMetadata: wallet.issuerMetadata, authorizationCode: code, redirectUri,
      pkceCodeVerifier
    })
    await assert.rejects(redeem('x'.repeat(43)), error => error.errorResponse?.error === 'invalid_grant')
    const { accessTokenResponse } = await redeem(started.pkce.codeVerifier)
    const { credentials: [{ credential }] } = await request(wallet, accessTokenResponse, [key])
    assert.ok(isBoundTo(credential, key))
  })

  proves('npm', 'dpop', 'refresh')('a token is bound by DPoP, and refreshed', async () => {
    const [key, bound, next] = [await newKey(), await newKey(), await newKey()]
    const wallet = await open(await offer(), [key, bound, next])
    const { accessTokenResponse: token, dpop } = await wallet.client.retrievePreAuthorizedCodeAccessTokenFromOffer({
      credentialOffer: wallet.credentialOffer, issuerMetadata: wallet.issuerMetadata, dpop: { signer: bound.signer }
    })
    assert.equal(token.token_type, 'DPoP')
    await assert.rejects(request(wallet, token, [key]), 'without proof')
    await assert.rejects(request(wallet, token, [key], { dpop: { signer: key.signer } }), 'with another key')
    const { credentials: [{ credential }] } = await request(wallet, token, [key], { dpop })
    assert.ok(isBoundTo(credential, key))
    const refreshed = await oauthClient([bound]).retrieveRefreshTokenAccessToken({
      authorizationServerMetadata: wallet.issuerMetadata.authorizationServers[0], refreshToken: token.refresh_token, dpop
    })
    const fresh = await request(wallet, refreshed.accessTokenResponse, [next], { dpop: refreshed.dpop })
    assert.ok(isBoundTo(fresh.credentials[0].credential, next))
  })
})

/** A token for a fresh offer. */
const begin = async (options, keys) => {
  const created = await offer(options)
  const wallet = await open(created, keys)
  const { accessTokenResponse } = await wallet.client.retrievePreAuthorizedCodeAccessTokenFromOffer({
    credentialOffer: wallet.credentialOffer, issuerMetadata: wallet.issuerMetadata
  })
  return { created, wallet, token: accessTokenResponse }
}

describe('the issuer', () => {
  proves('npm', 'signed_metadata')('signs its metadata for those who take that', async () => {
    const { signedCredentialIssuer: signed, credentialIssuer } = await vciClient([], {
      // By itself the package takes both forms alike, and then ours sends the plain one.
      fetch: (url, options) => {
        const metadata = `${url}`.includes('openid-credential-issuer')
        return fetch(url, metadata ? { headers: { accept: 'application/jwt' } } : options)
      }
    }).resolveIssuerMetadata(world.hospital)
    assert.equal(signed.jwt.header.typ, 'openidvci-issuer-metadata+jwt')
    assert.equal(signed.signer.method, 'x5c')
    assert.equal(signed.jwt.payload.credential_endpoint, credentialIssuer.credential_endpoint)
  })
})

describe('requests and answers', () => {
  proves('npm', 'several')('two kinds of credential in one offer', async () => {
    const keys = [await newKey(), await newKey()]
    const kinds = ['patient_identity', 'insurance_coverage']
    const { wallet, token } = await begin({ credential_configuration_ids: kinds }, keys)
    for (const [index, configuration] of kinds.entries()) {
      const { credentials: [{ credential }] } = await request(wallet, token, [keys[index]], { configuration })
      assert.match(claimsOf(credential).vct, new RegExp(configuration.replace('_', '-')))
    }
  })

  proves('npm', 'batch')('several copies, each with a key of its own', async () => {
    const keys = await Promise.all([1, 2, 3].map(newKey))
    const { wallet, token } = await begin({}, keys)
    const { credentials } = await request(wallet, token, keys)
    assert.equal(credentials.length, 3)
    for (const key of keys) assert.equal(credentials.filter(({ credential }) => isBoundTo(credential, key)).length, 1)
  })

  proves('npm', 'deferred')('what the desk approves first', async () => {
    const key = await newKey()
    const { created, wallet, token } = await begin({ approval: true }, [key])
    const { transaction_id: transactionId, credentials } = await request(wallet, token, [key])
    assert.equal(credentials, undefined)
    const ask = () => wallet.client.retrieveDeferredCredentials({
      issuerMetadata: wallet.issuerMetadata, accessToken: token.access_token, transactionId
    })
    assert.equal((await ask()).deferredCredentialResponse.transaction_id, transactionId, 'still pending')
    await world.desk('POST', `/api/offers/${created.id}/approve`, {})
    const [{ credential }] = (await ask()).deferredCredentialResponse.credentials
    assert.ok(isBoundTo(credential, key))
  })

  proves('npm', 'proof_did')('the holder is named by a DID', async () => {
    const key = await newKey()
    const { wallet, token } = await begin({ credential_configuration_ids: ['patient_identity_jwt'] }, [key])
    // The packages hand the DID URL alone to the callback.
    const signed = vciClient([key], {
      signJwt: async (_, { header, payload }) => ({
        jwt: await new jose.SignJWT(payload).setProtectedHeader(header).sign(key.privateKey), signerJwk: key.jwk
      })
    })
    const signer = () => ({ method: 'did', alg: 'ES256', didUrl: `${didOf(key)}#0` })
    const answer = await request({ ...wallet, client: signed }, token, [key], { configuration: 'patient_identity_jwt', signer })
    assert.equal(claimsOf(answer.credentials[0].credential).credentialSubject.id, didOf(key))
  })
})

describe('W3C formats', () => {
  const collected = async configuration => {
    const key = await newKey()
    const { wallet, token } = await begin({ credential_configuration_ids: [configuration] }, [key])
    const { credentials: [{ credential }] } = await request(wallet, token, [key], { configuration })
    return { credential, key }
  }

  proves('npm', 'issue_jwt_vc_json')('a vc+jwt under the key of the hospital\'s DID', async () => {
    const { credential, key } = await collected('patient_identity_jwt')
    const { kid, typ } = jose.decodeProtectedHeader(credential)
    assert.equal(typ, 'vc+jwt')
    const document = await (await fetch(`${world.hospital}/.well-known/did.json`)).json()
    const { publicKeyJwk } = document.verificationMethod.find(({ id }) => kid.endsWith(id.slice(id.indexOf('#'))))
    await jose.compactVerify(credential, await jose.importJWK(publicKeyJwk, 'ES256'))
    assert.equal(claimsOf(credential).credentialSubject.id, didOf(key))
  })

  // Their proofs are verified by Digital Bazaar's libraries in tests/foreign.
  for (const [configuration, variant, cryptosuite] of [
    ['patient_identity_ldp', 'issue_ldp_vc', 'ecdsa-rdfc-2019'],
    ['patient_identity_ldp_sd', 'issue_ldp_vc_sd', 'ecdsa-sd-2023']
  ]) {
    proves('npm', variant)(`an ldp_vc with ${cryptosuite}`, async () => {
      const { credential, key } = await collected(configuration)
      assert.equal(credential.proof.cryptosuite, cryptosuite)
      assert.equal(credential.credentialSubject.id, didOf(key))
    })
  }
})
