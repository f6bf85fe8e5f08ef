// The services as a foreign wallet meets them: OpenID4VCI 1.0 and OpenID4VP 1.0 by `@openid4vc/*` 0.4.6, the credential
// by `@sd-jwt/sd-jwt-vc`.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'

import { proves } from './recorder.mjs'
import { patient, services } from './services.mjs'
import { collect, issuerKey, newKey, present, sdJwtVc, vciClient } from './wallet.mjs'

let world
let held

const offer = (options = {}) =>
  world.desk('POST', '/api/offers', {
    credential_configuration_ids: ['patient_identity'],
    fhir: patient,
    tx_code: true,
    ...options
  })

const ask = (options = {}) =>
  world.staff('POST', '/api/requests', {
    dcql_query: {
      credentials: [{
        id: 'identity',
        format: 'dc+sd-jwt',
        meta: { vct_values: [`${world.hospital}/vct/patient-identity`] },
        claims: [{ path: ['given_name'] }, { path: ['family_name'] }, { path: ['birthdate'] }]
      }]
    },
    purpose: 'Interop test',
    ...options
  })

const outcome = ({ id }) => world.staff('GET', `/api/requests/${id}`)

const answer = (request, options = {}) =>
  present(request.request_uri, { ...held, claims: ['given_name', 'family_name', 'birthdate'], ...options })

before(async () => {
  world = await services()
})
after(async () => {
  await world?.stop()
})

describe('issuance', () => {
  proves('npm', 'pre_authorized', 'tx_code', 'offer_by_reference', 'configuration_id', 'proof_jwk', 'issue_dc_sd_jwt')('an offer by reference with transaction code becomes a dc+sd-jwt bound to P-256', async () => {
    const created = await offer()
    const key = await newKey()
    const { credentialResponse, issuerMetadata, accessTokenResponse } = await collect(created.credential_offer_uri, {
      key,
      txCode: created.tx_code
    })
    assert.equal(issuerMetadata.originalDraftVersion ?? 'V1', 'V1')
    assert.match(accessTokenResponse.token_type, /^bearer$/i)
    const { credential } = credentialResponse.credentials[0]
    held = { credential, key }

    const verified = await sdJwtVc(await issuerKey(credential)).verify(credential)
    assert.equal(verified.header.typ, 'dc+sd-jwt')
    assert.equal(verified.payload.iss, world.hospital)
    assert.equal(verified.payload.vct, `${world.hospital}/vct/patient-identity`)
    assert.equal(verified.payload.family_name, 'Testová-Müllerová')
    assert.equal(verified.payload.given_name, 'Žofie Anežka')
    const { x, y, crv, kty } = verified.payload.cnf.jwk
    assert.deepEqual({ x, y, crv, kty }, { x: key.jwk.x, y: key.jwk.y, crv: 'P-256', kty: 'EC' })
    // These are never hidden behind a disclosure.
    const signed = JSON.parse(Buffer.from(credential.split('.')[1], 'base64url'))
    for (const name of ['iss', 'exp', 'cnf', 'vct', 'status']) assert.ok(signed[name], name)
    for (const name of ['given_name', 'family_name', 'birthdate', 'identifiers']) assert.ok(!(name in signed), name)
  })

  proves('npm', 'offer_by_value')('an offer by value without transaction code', async () => {
    const created = await offer({ tx_code: false, by_reference: false })
    assert.match(created.credential_offer_uri, /^openid-credential-offer:\/\/\?credential_offer=/)
    const { credentialResponse } = await collect(created.credential_offer_uri, { key: await newKey() })
    assert.equal(credentialResponse.credentials.length, 1)
  })

  proves('npm', 'notification')('the accepted credential is notified', async () => {
    const created = await offer({ tx_code: false })
    const collected = await collect(created.credential_offer_uri, { key: await newKey() })
    const { client, issuerMetadata, credentialResponse, accessTokenResponse } = collected
    assert.ok(credentialResponse.notification_id)
    await client.sendNotification({
      issuerMetadata,
      accessToken: accessTokenResponse.access_token,
      notification: { notificationId: credentialResponse.notification_id, event: 'credential_accepted' }
    })
  })

  test('a wrong transaction code is invalid_grant, and the right one still works', async () => {
    const created = await offer()
    const wrong = created.tx_code === '000000' ? '111111' : '000000'
    const key = await newKey()
    await assert.rejects(
      collect(created.credential_offer_uri, { key, txCode: wrong }),
      error => error.errorResponse?.error === 'invalid_grant' && error.response?.status === 400
    )
    await collect(created.credential_offer_uri, { key, txCode: created.tx_code })
  })

  test('a code is used once', async () => {
    const created = await offer()
    await collect(created.credential_offer_uri, { key: await newKey(), txCode: created.tx_code })
    // The offer by reference is gone with its code; the code itself is refused too.
    const link = new URL(created.credential_offer_uri)
    const gone = await fetch(link.searchParams.get('credential_offer_uri'))
    assert.ok([200, 404, 410].includes(gone.status), `${gone.status}`)
    const code = created.credential_offer.grants['urn:ietf:params:oauth:grant-type:pre-authorized_code']['pre-authorized_code']
    const metadata = await vciClient([]).resolveIssuerMetadata(world.hospital)
    const response = await fetch(metadata.authorizationServers[0].token_endpoint, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:pre-authorized_code',
        'pre-authorized_code': code,
        tx_code: created.tx_code
      })
    })
    assert.equal(response.status, 400)
    assert.equal((await response.json()).error, 'invalid_grant')
  })

  test('a nonce is used once, and a stale proof is refused', async () => {
    const created = await offer({ tx_code: false, credential_configuration_ids: ['patient_identity', 'insurance_coverage'] })
    const key = await newKey()
    const { client, request } = await collect(created.credential_offer_uri, { key, configuration: 'patient_identity' })
    await assert.rejects(
      client.retrieveCredentials({ ...request, credentialConfigurationId: 'insurance_coverage' }),
      error => /invalid_nonce|invalid_proof/.test(JSON.stringify(error.response ?? error.errorResponse ?? error))
    )
  })
})

describe('presentation', () => {
  for (const mode of ['direct_post', 'direct_post.jwt']) {
    for (const prefix of ['x509_hash', 'x509_san_dns', 'decentralized_identifier', 'redirect_uri']) {
      proves('npm', mode.replace('.', '_'), prefix, 'request_get', 'present_dc_sd_jwt')(`${mode} to ${prefix}`, async () => {
        const request = await ask({ response_mode: mode, client_id_prefix: prefix })
        const sent = await answer(request)
        assert.equal(sent.status, 200, JSON.stringify(sent.answer) + world.logs())
        assert.equal(Boolean(sent.response.jarm), mode === 'direct_post.jwt')
        assert.equal(sent.resolved.client.prefix, prefix)
        const { state, outcome: result } = await outcome(request)
        assert.equal(state, 'verified', JSON.stringify(result))
        const [{ claims }] = result.presentation.credentials
        assert.deepEqual(claims.given_name, 'Žofie Anežka')
        assert.ok(!('identifiers' in claims) && !('address' in claims))
      })
    }
  }

  proves('npm', 'request_post')('the request by POST of request_uri', async () => {
    const request = await ask({ request_uri_method: 'post' })
    const sent = await answer(request)
    assert.equal(sent.status, 200, JSON.stringify(sent.answer))
  })

  for (const enc of ['A128GCM', 'A256GCM']) {
    proves('npm', enc.toLowerCase())(`encrypted with ${enc}`, async () => {
      const request = await ask({ response_mode: 'direct_post.jwt' })
      const sent = await answer(request, { enc })
      const header = JSON.parse(Buffer.from(sent.response.jarm.responseJwt.split('.')[0], 'base64url'))
      assert.deepEqual([header.alg, header.enc], ['ECDH-ES', enc])
      assert.equal(sent.status, 200, JSON.stringify(sent.answer))
      assert.equal((await outcome(request)).state, 'verified')
    })
  }

  for (const [mode, prefix, ...proved] of [
    ['dc_api', 'redirect_uri', 'dc_api'],
    ['dc_api.jwt', 'redirect_uri', 'dc_api_jwt'],
    ['dc_api', 'x509_hash', 'dc_api_signed'],
    ['dc_api.jwt', 'x509_hash', 'dc_api_signed']
  ]) {
    proves('npm', ...proved)(`${mode} with requests of ${prefix}`, async () => {
      const origin = new URL(world.portal).origin
      const request = await ask({ response_mode: mode, client_id_prefix: prefix, session: 'front end' })
      const [{ protocol, data }] = request.digital.requests.filter(({ protocol }) =>
        protocol.endsWith(prefix === 'redirect_uri' ? 'unsigned' : '-signed'))
      const { data: answered } = await answer({ request_uri: data }, { origin })
      const taken = await world.staff('POST', `/api/requests/${request.id}/response`, {
        protocol, data: answered, session: 'front end'
      })
      assert.equal(taken.state, 'verified', JSON.stringify(taken))
    })
  }

  proves('npm', 'same_device')('on the same device the person goes back with a code', async () => {
    const request = await ask({
      response_mode: 'direct_post', flow: 'same_device', session: 'front end', redirect_uri: `${world.portal}/back`
    })
    const sent = await answer(request)
    assert.equal(sent.status, 200, JSON.stringify(sent.answer))
    const back = new URL(sent.answer.redirect_uri)
    assert.equal(back.pathname, '/back')
    assert.equal((await outcome(request)).outcome.result, 'withheld')
    const { outcome: released } = await world.staff('POST', '/api/response-codes', {
      response_code: back.searchParams.get('response_code'), session: 'front end'
    })
    assert.equal(released.session_binding, 'response_code')
  })

  proves('npm', 'transaction_data')('transaction data of a foreign type is approved by its hash', async () => {
    const request = await ask({
      transaction_data: [{ type: 'urn:example:consent:1', credential_ids: ['identity'], text: 'Send my record' }]
    })
    const sent = await answer(request)
    assert.equal(sent.status, 200, JSON.stringify(sent.answer))
    assert.equal((await outcome(request)).state, 'verified')
  })

  test('an answer is taken once', async () => {
    const request = await ask({ response_mode: 'direct_post' })
    const sent = await answer(request)
    assert.equal(sent.status, 200)
    const again = await fetch(sent.request.response_uri, {
      method: 'POST',
      body: new URLSearchParams({
        vp_token: JSON.stringify({ identity: [sent.presentation] }),
        state: sent.request.state
      })
    })
    assert.equal(again.status, 400)
    assert.equal((await outcome(request)).state, 'verified')
  })

  test('another claim than the issuer signed is refused', async () => {
    const request = await ask()
    const sent = await answer(request, {
      tamper: presentation => {
        const parts = presentation.split('~')
        const [salt, name] = JSON.parse(Buffer.from(parts[1], 'base64url'))
        parts[1] = Buffer.from(JSON.stringify([salt, name, 'somebody else'])).toString('base64url')
        return parts.join('~')
      }
    })
    assert.equal(sent.status, 400)
    assert.notEqual((await outcome(request)).state, 'verified')
  })

  test('the key of somebody else is refused', async () => {
    const request = await ask()
    const sent = await answer(request, { key: await newKey() })
    assert.equal(sent.status, 400)
    assert.equal(sent.answer.code ?? sent.answer.error, 'kb_jwt_signature_invalid')
  })

  test('a wallet that knows no step-up is refused when step-up is asked for', async () => {
    const request = await ask({
      min_level: 'uv',
      dcql_query: {
        credentials: [{
          id: 'identity',
          format: 'dc+sd-jwt',
          meta: { vct_values: [`${world.hospital}/vct/patient-identity`] },
          claims: [{ path: ['given_name'] }, { path: ['webauthn_binding'] }]
        }]
      }
    })
    const sent = await answer(request, { claims: ['given_name'] })
    assert.equal(sent.status, 400, JSON.stringify(sent.answer))
    assert.equal((await outcome(request)).state, 'refused')
  })

  proves('npm', 'error')('an error of the wallet is taken', async () => {
    const request = await ask({ response_mode: 'direct_post' })
    const link = new URL(request.request_uri)
    const object = await (await fetch(link.searchParams.get('request_uri'))).text()
    const { response_uri, state } = JSON.parse(Buffer.from(object.split('.')[1], 'base64url'))
    const response = await fetch(response_uri, {
      method: 'POST',
      body: new URLSearchParams({ error: 'access_denied', state })
    })
    assert.ok(response.ok, `${response.status}`)
    assert.equal((await outcome(request)).state, 'declined')
  })

  proves('npm', 'status_list')('the portal shows the status list that a foreign reader can read', async () => {
    const status = JSON.parse(Buffer.from(held.credential.split('.')[1], 'base64url')).status.status_list
    const response = await fetch(status.uri, { headers: { accept: 'application/statuslist+jwt' } })
    assert.equal(response.headers.get('content-type'), 'application/statuslist+jwt')
    const verifier = sdJwtVc(await issuerKey(held.credential))
    await verifier.verify(held.credential)
    const credentials = (await world.desk('GET', '/api/credentials')).credentials
    const digest = createHash('sha256').update(held.credential).digest('hex')
    assert.ok(digest && credentials.length > 0)
    for (const { id } of credentials) await world.desk('POST', `/api/credentials/${id}/revoke`, {})
    await assert.rejects(verifier.verify(held.credential), /status/i)
  })
})
