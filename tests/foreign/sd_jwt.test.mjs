// SD-JWT VCs of ours verify with the packages @sd-jwt/*, and theirs with us.

import assert from 'node:assert/strict'
import { createHash, randomBytes, webcrypto } from 'node:crypto'
import { test } from 'node:test'

import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import * as jose from 'jose'

import { done, ours } from './securing.mjs'

const format = 'dc+sd-jwt'
const ecdsa = { ES256: 'SHA-256', ES384: 'SHA-384', ES512: 'SHA-512' }
const parameters = alg => (ecdsa[alg] ? { name: 'ECDSA', hash: ecdsa[alg] } : { name: 'Ed25519' })
const text = data => new TextEncoder().encode(data)
const claims = {
  given_name: 'Žofie',
  email: 'z@example.org',
  address: { country: 'CZ', locality: 'Brno' },
  nationalities: ['CZ', 'SK'],
  height: 1.75
}

const signer = (key, alg) => async data =>
  Buffer.from(await webcrypto.subtle.sign(parameters(alg), key, text(data))).toString('base64url')
const verifier = (jwk, alg) => async (data, signature) => {
  const key = await jose.importJWK(jwk, alg)
  return webcrypto.subtle.verify(parameters(alg), key, Buffer.from(signature, 'base64url'), text(data))
}
const hasher = (data, algorithm) =>
  createHash(algorithm.replace('-', '')).update(typeof data === 'string' ? data : Buffer.from(data)).digest()
const saltGenerator = length => randomBytes(length).toString('base64url')

for (const alg of ['ES256', 'ES384', 'ES512', 'EdDSA']) {
  test(`dc+sd-jwt with ${alg}: ours with theirs`, async () => {
    const made = done({ do: 'issue', format, alg, document: claims })
    const instance = new SDJwtVcInstance({
      verifier: verifier(made.issuer_jwk, alg),
      kbVerifier: (data, signature, payload) => verifier(payload.cnf.jwk, 'ES256')(data, signature),
      hasher,
      hashAlg: 'sha-256'
    })
    const { payload, kb } = await instance.verify(made.presentation, { keyBindingNonce: made.nonce })
    assert.deepEqual(payload.address, claims.address)
    assert.deepEqual([payload.given_name, payload.email, payload.height], ['Žofie', undefined, 1.75])
    assert.deepEqual(payload.nationalities, ['CZ', 'SK'])
    assert.equal(kb.payload.aud, made.audience)
    const decoded = await instance.verify(made.credential)
    assert.equal(decoded.payload.email, claims.email)
    const another = `${made.presentation.slice(0, -2)}${made.presentation.endsWith('AA') ? 'BA' : 'AA'}`
    await assert.rejects(instance.verify(another, { keyBindingNonce: made.nonce }))
  })

  test(`dc+sd-jwt with ${alg}: theirs with ours`, async () => {
    const issuer = await jose.generateKeyPair(alg, { extractable: true })
    const holder = await jose.generateKeyPair('ES256', { extractable: true })
    const instance = new SDJwtVcInstance({
      signer: signer(issuer.privateKey, alg),
      signAlg: alg,
      kbSigner: signer(holder.privateKey, 'ES256'),
      kbSignAlg: 'ES256',
      hasher,
      hashAlg: 'sha-256',
      saltGenerator
    })
    const now = Math.floor(Date.now() / 1000)
    const payload = {
      ...claims,
      iss: 'https://issuer.example',
      vct: 'https://issuer.example/vct/identity',
      iat: now,
      exp: now + 3600,
      cnf: { jwk: await jose.exportJWK(holder.publicKey) }
    }
    const frame = { _sd: ['given_name', 'email', 'address'], address: { _sd: ['country'] }, nationalities: { _sd: [0] }, _sd_decoy: 2 }
    const credential = await instance.issue(payload, frame, { header: { kid: 'key-1' } })
    const present = nonce =>
      instance.present(
        credential,
        { given_name: true, address: { country: true }, nationalities: { 0: true } },
        { kb: { payload: { iat: now, aud: 'https://verifier.example', nonce } } }
      )
    const issuer_jwk = await jose.exportJWK(issuer.publicKey)
    const shown = done({ do: 'verify', format, issuer_jwk, document: await present('n-0S6_WzA2Mj') })
    assert.deepEqual([shown.given_name, shown.email, shown.height], ['Žofie', undefined, 1.75])
    assert.deepEqual([shown.address, shown.nationalities], [claims.address, claims.nationalities])
    const replayed = ours({ do: 'verify', format, issuer_jwk, document: await present('another') })
    assert.equal(replayed.refused, 'kb_jwt_nonce')
  })
}
