// Credo-TS as wallet of CareKey's issuer and verifier.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { credoAgent, newCredoKey } from './credo.mjs'
import { patient, services } from './services.mjs'

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
  world.desk('POST', '/api/offers', { credential_configuration_ids: ['patient_identity'], fhir: patient, tx_code: true, ...options })

/** Collects everything that an offer holds, as Credo's guide shows. */
const collect = async ({ credential_offer_uri: uri, tx_code: txCode }, bind = async () => ({ method: 'jwk', keys: [await newCredoKey(wallet)] })) => {
  const resolvedCredentialOffer = await wallet.openid4vc.holder.resolveCredentialOffer(uri)
  const token = await wallet.openid4vc.holder.requestToken({ resolvedCredentialOffer, txCode })
  return wallet.openid4vc.holder.requestCredentials({ resolvedCredentialOffer, ...token, credentialBindingResolver: bind })
}

describe('Credo-TS as wallet', () => {
  test('collects a dc+sd-jwt', async () => {
    const { credentials } = await collect(await offer())
    assert.equal(credentials.length, 1)
    const { record } = credentials[0]
    assert.equal(record.firstCredential.payload.iss, world.hospital)
    assert.equal(record.firstCredential.prettyClaims.family_name, 'Testová-Müllerová')
    await wallet.sdJwtVc.store({ record })
  })

  for (const response_mode of ['direct_post', 'direct_post.jwt']) {
    for (const client_id_prefix of ['x509_san_dns', 'x509_hash', 'redirect_uri', 'decentralized_identifier']) {
      test(`presents by ${response_mode} to a verifier known by ${client_id_prefix}`, async () => {
        const request = await world.staff('POST', '/api/requests', {
          dcql_query: {
            credentials: [{
              id: 'identity',
              format: 'dc+sd-jwt',
              meta: { vct_values: [`${world.hospital}/vct/patient-identity`] },
              claims: [{ path: ['given_name'] }, { path: ['family_name'] }, { path: ['birthdate'] }]
            }]
          },
          purpose: 'Interop test',
          response_mode,
          client_id_prefix
        })
        const resolved = await wallet.openid4vc.holder.resolveOpenId4VpAuthorizationRequest(request.request_uri)
        assert.equal(resolved.dcql.queryResult.can_be_satisfied, true)
        const answer = await wallet.openid4vc.holder.acceptOpenId4VpAuthorizationRequest({
          authorizationRequestPayload: resolved.authorizationRequestPayload,
          dcql: { credentials: wallet.openid4vc.holder.selectCredentialsForDcqlRequest(resolved.dcql.queryResult) }
        })
        assert.equal(answer.serverResponse.status, 200)
        const outcome = await world.staff('GET', `/api/requests/${request.id}`)
        assert.equal(outcome.state, 'verified', JSON.stringify(outcome))
      })
    }
  }
})
