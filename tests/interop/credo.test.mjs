// Credo-TS as wallet of CareKey's issuer and verifier.

import assert from 'node:assert/strict'
import { after, before, describe } from 'node:test'

import { ClaimFormat, X509Certificate } from '@credo-ts/core'

import { credoAgent, newCredoKey } from './credo.mjs'
import { proves } from './recorder.mjs'
import { patient, redirectUri, services, signIn } from './services.mjs'

let world
let wallet

before(async () => {
  world = await services()
  wallet = await credoAgent({}, world.authorities)
})
after(async () => {
  await wallet?.shutdown()
  await world?.stop()
})

const offer = (options = {}) =>
  world.desk('POST', '/api/offers', { credential_configuration_ids: ['patient_identity'], fhir: patient, ...options })

const holder = () => wallet.openid4vc.holder
const withKeys = (count = 1) => async () => ({
  method: 'jwk', keys: await Promise.all(Array.from({ length: count }, () => newCredoKey(wallet)))
})

/** Takes the token of an offer, as Credo's guide shows. */
const begin = async ({ credential_offer_uri: uri, tx_code: txCode }) => {
  const resolvedCredentialOffer = await holder().resolveCredentialOffer(uri)
  const token = await holder().requestToken({ resolvedCredentialOffer, txCode })
  return { resolvedCredentialOffer, ...token }
}
const collect = async (options, credentialBindingResolver = withKeys()) => {
  const begun = await begin(await offer(options))
  return { begun, ...await holder().requestCredentials({ ...begun, credentialBindingResolver }) }
}

describe('Credo-TS collects', () => {
  proves('credo', 'pre_authorized', 'tx_code', 'offer_by_reference', 'configuration_id', 'proof_jwk', 'issue_dc_sd_jwt')(
    'a dc+sd-jwt', async () => {
      const { credentials } = await collect({ tx_code: true })
      assert.equal(credentials.length, 1)
      const { record } = credentials[0]
      assert.equal(record.firstCredential.payload.iss, world.hospital)
      assert.equal(record.firstCredential.prettyClaims.family_name, 'Testová-Müllerová')
      await wallet.sdJwtVc.store({ record })
    })

  proves('credo', 'offer_by_value', 'several')('two kinds of an offer by value', async () => {
    const kinds = ['patient_identity', 'insurance_coverage']
    const begun = await begin(await offer({ by_reference: false, credential_configuration_ids: kinds }))
    const credentials = []
    // One by one: in one call it asks for one nonce only.
    for (const kind of kinds) {
      const collected = await holder().requestCredentials({
        ...begun, credentialConfigurationIds: [kind], credentialBindingResolver: withKeys()
      })
      credentials.push(...collected.credentials)
    }
    const types = credentials.map(({ record }) => record.firstCredential.payload.vct.split('/').pop())
    assert.deepEqual(types.toSorted(), ['insurance-coverage', 'patient-identity'])
    const coverage = credentials.find(({ record }) => record.firstCredential.payload.vct.endsWith('insurance-coverage'))
    await wallet.sdJwtVc.store({ record: coverage.record })
  })

  proves('credo', 'deferred')('what the desk approves first', async () => {
    const created = await offer({ approval: true })
    const { resolvedCredentialOffer, accessToken, dpop } = await begin(created)
    const asked = await holder().requestCredentials({
      resolvedCredentialOffer, accessToken, dpop, credentialBindingResolver: withKeys()
    })
    const [deferred] = asked.deferredCredentials
    await world.desk('POST', `/api/offers/${created.id}/approve`, {})
    const { credentials } = await holder().requestDeferredCredentials({
      ...deferred, issuerMetadata: resolvedCredentialOffer.metadata, accessToken, dpop
    })
    assert.equal(credentials[0].record.firstCredential.prettyClaims.family_name, 'Testová-Müllerová')
  })

  proves('credo', 'dpop', 'refresh')('with a token bound by DPoP, and again later', async () => {
    const { begun, credentials } = await collect()
    assert.equal(begun.accessTokenResponse.token_type, 'DPoP')
    assert.equal(credentials.length, 1)
    const { metadata: issuerMetadata } = begun.resolvedCredentialOffer
    const fresh = await holder().refreshToken({ refreshToken: begun.refreshToken, issuerMetadata, dpop: begun.dpop })
    const again = await holder().requestCredentials({
      resolvedCredentialOffer: begun.resolvedCredentialOffer, ...fresh, credentialBindingResolver: withKeys()
    })
    assert.equal(again.credentials.length, 1)
  })

  proves('credo', 'authorization_code', 'par', 'pkce', 'iss')('after the person signed in', async () => {
    const created = await offer({ flow: 'authorization_code', tx_code: true })
    const resolvedCredentialOffer = await holder().resolveCredentialOffer(created.credential_offer_uri)
    const clientId = 'wallet.example'
    const started = await holder().resolveOpenId4VciAuthorizationRequest(resolvedCredentialOffer, {
      clientId, redirectUri, scope: ['patient_identity']
    })
    assert.match(new URL(started.authorizationRequestUrl).searchParams.get('request_uri'), /^urn:/)
    assert.ok(started.codeVerifier)
    const authorizationResponseRedirectUrl = await signIn(started.authorizationRequestUrl, created.tx_code)
    const { authorizationCode: code } = holder().parseAuthorizationCodeFromAuthorizationResponse({
      authorizationResponseRedirectUrl, resolvedCredentialOffer
    })
    const token = await holder().requestToken({
      resolvedCredentialOffer, code, clientId, redirectUri, codeVerifier: started.codeVerifier, dpop: started.dpop
    })
    const { credentials } = await holder().requestCredentials({
      resolvedCredentialOffer, ...token, clientId, credentialBindingResolver: withKeys()
    })
    assert.equal(credentials.length, 1)
  })

  proves('credo', 'batch', 'notification')('several copies, and says that it has them', async () => {
    const { begun, credentials: [{ record, notificationId }] } = await collect({}, withKeys(3))
    assert.equal(record.credentialInstances.length, 3)
    await holder().sendNotification({
      metadata: begun.resolvedCredentialOffer.metadata,
      notificationId,
      accessToken: begun.accessToken,
      dpop: begun.dpop,
      notificationEvent: 'credential_accepted'
    })
  })
})

const ask = (credentials, options = {}) => {
  const { credential_sets, ...rest } = options
  return world.staff('POST', '/api/requests', { dcql_query: { credentials, credential_sets }, purpose: 'Interop test', ...rest })
}
const query = (members = {}, type = 'patient-identity') => ({
  id: type.split('-')[1],
  format: 'dc+sd-jwt',
  meta: { vct_values: [`${world.hospital}/vct/${type}`] },
  claims: [{ path: ['given_name'] }, { path: ['family_name'] }],
  ...members
})
const coverage = () => query({ claims: [{ path: ['member_id'] }] }, 'insurance-coverage')

/** What Credo's wallet finds for a request. */
const resolve = ({ request_uri: uri, digital }, origin) =>
  holder().resolveOpenId4VpAuthorizationRequest(digital?.requests[0].data ?? uri, { origin })

/** The wallet's own choice goes out. */
const accept = async (resolved, options = {}) => {
  assert.equal(resolved.dcql.queryResult.can_be_satisfied, true, JSON.stringify(resolved.dcql.queryResult.credential_matches))
  return holder().acceptOpenId4VpAuthorizationRequest({
    authorizationRequestPayload: resolved.authorizationRequestPayload,
    dcql: { credentials: holder().selectCredentialsForDcqlRequest(resolved.dcql.queryResult) },
    ...options
  })
}

/** The credentials that the verifier saw in an answer to `request`. */
const shown = async (request, options) => {
  const answer = await accept(await resolve(request), options)
  assert.equal(answer.serverResponse.status, 200, JSON.stringify(answer.serverResponse.body))
  const { state, outcome } = await world.staff('GET', `/api/requests/${request.id}`)
  assert.equal(state, 'verified', JSON.stringify(outcome))
  return outcome.presentation.credentials
}

describe('Credo-TS presents', () => {
  for (const response_mode of ['direct_post', 'direct_post.jwt']) {
    for (const client_id_prefix of ['x509_san_dns', 'x509_hash', 'redirect_uri', 'decentralized_identifier']) {
      proves('credo', response_mode.replace('.', '_'), client_id_prefix, 'request_get', 'present_dc_sd_jwt', 'dcql_claims')(
        `by ${response_mode} to a verifier known by ${client_id_prefix}`, async () => {
          const [{ claims }] = await shown(await ask([query()], { response_mode, client_id_prefix }))
          assert.deepEqual(Object.keys(claims).toSorted(), ['family_name', 'given_name'])
        })
    }
  }

  proves('credo', 'request_post')('after asking by POST', async () => {
    await shown(await ask([query()], { request_uri_method: 'post' }))
  })

  proves('credo', 'a128gcm')('encrypted with A128GCM, which it prefers', async () => {
    const request = await ask([query()], { response_mode: 'direct_post.jwt' })
    const { serverResponse, authorizationResponse } = await accept(await resolve(request))
    const header = JSON.parse(Buffer.from(authorizationResponse.response.split('.')[0], 'base64url'))
    assert.deepEqual([serverResponse.status, header.alg, header.enc], [200, 'ECDH-ES', 'A128GCM'])
  })

  for (const [response_mode, client_id_prefix, ...variants] of [
    ['dc_api', 'redirect_uri', 'dc_api'],
    ['dc_api.jwt', 'redirect_uri', 'dc_api_jwt'],
    ['dc_api.jwt', 'x509_hash', 'dc_api_signed']
  ]) {
    proves('credo', ...variants)(`by ${response_mode} to a page of ${client_id_prefix}`, async () => {
      const origin = new URL(world.portal).origin
      const request = await ask([query()], { response_mode, client_id_prefix, session: 'front end' })
      const { authorizationResponse } = await accept(await resolve(request, origin), { origin })
      const taken = await world.staff('POST', `/api/requests/${request.id}/response`, {
        protocol: request.digital.requests[0].protocol, data: authorizationResponse, session: 'front end'
      })
      assert.equal(taken.state, 'verified', JSON.stringify(taken))
    })
  }

  proves('credo', 'same_device')('and goes back to the page that asked', async () => {
    const request = await ask([query()], { session: 'front end', redirect_uri: `${world.portal}/back` })
    const { redirectUri: back } = await accept(await resolve(request))
    const { outcome } = await world.staff('POST', '/api/response-codes', {
      response_code: new URL(back).searchParams.get('response_code'), session: 'front end'
    })
    assert.equal(outcome.session_binding, 'response_code')
  })

  proves('credo', 'transaction_data')('and approves a transaction', async () => {
    const transaction_data = [{ type: 'urn:example:consent:1', credential_ids: ['identity'], text: 'Send my record' }]
    await shown(await ask([query()], { transaction_data }), { transactionData: [{ credentialId: 'identity' }] })
  })
})

describe('DCQL in Credo-TS', () => {
  proves('credo', 'dcql_claims')('a claim within another', async () => {
    const [{ claims: seen }] = await shown(await ask([query({ claims: [{ path: ['address', 'locality'] }] })]))
    assert.deepEqual([Object.keys(seen), Object.keys(seen.address)], [['address'], ['locality']])
  })

  proves('credo', 'dcql_values')('one of several values', async () => {
    const claims = values => [{ path: ['family_name'], values }]
    await shown(await ask([query({ claims: claims(['Nobody', 'Testová-Müllerová']) })]))
    const other = await resolve(await ask([query({ claims: claims(['Nobody']) })]))
    assert.equal(other.dcql.queryResult.can_be_satisfied, false)
  })

  proves('credo', 'dcql_claim_sets')('the first set that it can fill', async () => {
    const claims = [{ id: 'a', path: ['no_such_claim'] }, { id: 'b', path: ['birthdate'] }, { id: 'c', path: ['given_name'] }]
    const [{ claims: seen }] = await shown(await ask([query({ claims, claim_sets: [['a', 'b'], ['b', 'c']] })]))
    assert.deepEqual(Object.keys(seen).toSorted(), ['birthdate', 'given_name'])
  })

  proves('credo', 'dcql_several')('two credentials in one answer', async () => {
    const seen = await shown(await ask([query(), coverage()]))
    assert.deepEqual(seen.map(({ query_id }) => query_id).toSorted(), ['coverage', 'identity'])
  })

  proves('credo', 'dcql_credential_sets')('the set that it can fill', async () => {
    const absent = query({ id: 'absent' }, 'no-such')
    const credential_sets = [{ options: [['absent'], ['coverage']] }, { options: [['identity']], required: false }]
    const seen = await shown(await ask([absent, query(), coverage()], { credential_sets }))
    assert.ok(seen.some(({ query_id }) => query_id === 'coverage'))
  })

  proves('credo', 'dcql_multiple')('several credentials for one query', async () => {
    const { credentials: [{ record }] } = await collect()
    await wallet.sdJwtVc.store({ record })
    const request = await ask([query({ multiple: true })])
    const resolved = await resolve(request)
    const { valid_credentials: all } = resolved.dcql.queryResult.credential_matches.identity
    assert.equal(all.length, 2)
    const credentials = { identity: all.map(({ record, claims }) => ({
      claimFormat: ClaimFormat.SdJwtDc, credentialRecord: record, disclosedPayload: claims.valid_claim_sets[0].output
    })) }
    const { serverResponse } = await holder().acceptOpenId4VpAuthorizationRequest({
      authorizationRequestPayload: resolved.authorizationRequestPayload, dcql: { credentials }
    })
    assert.equal(serverResponse.status, 200, JSON.stringify(serverResponse.body))
    const { outcome } = await world.staff('GET', `/api/requests/${request.id}`)
    assert.equal(outcome.presentation.credentials.length, 2)
  })

  proves('credo', 'dcql_authorities')('credentials under an authority', async () => {
    const [record] = await wallet.sdJwtVc.getAll()
    const [leaf] = record.firstCredential.header.x5c
    const aki = Buffer.from(X509Certificate.fromEncodedCertificate(leaf).authorityKeyIdentifier, 'hex').toString('base64url')
    const by = values => query({ trusted_authorities: [{ type: 'aki', values }] })
    await shown(await ask([by([aki])]))
    const other = await resolve(await ask([by(['AAAA'])]))
    assert.equal(other.dcql.queryResult.can_be_satisfied, false)
  })
})

describe('Credo-TS reads the status', () => {
  // The last test: nothing is valid afterwards.
  proves('credo', 'status_list')('what it finds valid, and not what was revoked', async () => {
    const valid = () => wallet.sdJwtVc.verify({ compactSdJwtVc })
    const { credentials: [{ record }] } = await collect()
    const { compactSdJwtVc } = record.credentialInstances[0]
    const before = await valid()
    assert.ok(before.isValid, `${before.error}`)
    const { credentials } = await world.desk('GET', '/api/credentials')
    for (const { id } of credentials) await world.desk('POST', `/api/credentials/${id}/revoke`, {})
    const after = await valid()
    assert.equal(after.verification?.isStatusValid ?? after.isValid, false, `${JSON.stringify(after.verification)}`)
  })
})
