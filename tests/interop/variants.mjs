// Every variant that the conformance matrix lists, and who drives it. A test says which cells it proves (`proves`); what
// no test proves is "missing", unless the package cannot do it: then the reason stands here.

export const drivers = {
  npm: '`@openid4vc/*` 0.4.6 as wallet',
  credo: 'Credo-TS 0.6.3 as wallet',
  ours: 'our wallet, Credo-TS 0.6.3 as service'
}

const noEncryption = 'neither encrypts credential requests nor reads encrypted responses'
const noData2 = 'reads and signs W3C credentials of data model 1.1 only (VC-JWT; Ed25519Signature2018 and 2020)'
const queries = 'leaves evaluating the query to its user'
const chooses = 'always lists A256GCM, which our wallet prefers'

/** Group, then `[id, title, {driver: why the package cannot do it}]`. */
export const groups = [
  ['Issuance: grants and tokens', [
    ['pre_authorized', 'pre-authorized code'],
    ['tx_code', 'transaction code'],
    ['offer_by_value', 'offer by value'],
    ['offer_by_reference', 'offer by reference'],
    ['several', 'several credential configurations in one offer'],
    ['authorization_code', 'authorization code'],
    ['par', 'pushed authorization request'],
    ['pkce', 'PKCE with S256'],
    ['iss', '`iss` in the authorization response'],
    ['dpop', 'DPoP with server nonce'],
    ['refresh', 'refresh token and fresh copies', { ours: 'refreshes tokens for what it has not issued yet, never for fresh copies' }],
    ['wallet_attestation', 'wallet attestation as client authentication', {
      ours: 'as issuer it demands attestations without announcing that, and our wallet shows none unasked'
    }],
    ['signed_metadata', 'signed issuer metadata', { credo: 'takes both forms alike, and then our issuer sends the plain one' }]
  ]],
  ['Issuance: requests and answers', [
    ['configuration_id', '`credential_configuration_id`'],
    ['identifiers', '`credential_identifier`', {
      npm: 'asks by configuration only',
      credo: 'asks by configuration only',
      ours: 'names no credential identifiers as issuer'
    }],
    ['proof_jwk', 'proof `jwt`, key as `jwk`'],
    ['proof_did', 'proof `jwt`, key as DID URL', { credo: 'wants the DID instead of the key in an SD-JWT VC, and no other format of ours' }],
    ['proof_attested', 'proof `jwt` with key attestation', { credo: 'takes an attestation with a nonce for the proof itself, and appendix D demands the nonce' }],
    ['proof_attestation', 'proof `attestation`'],
    ['batch', 'batch of several proofs'],
    ['deferred', 'deferred issuance'],
    ['notification', 'notification', { ours: 'has no notification endpoint as issuer' }],
    ['request_encryption', 'encrypted credential request', { npm: noEncryption, credo: noEncryption, ours: noEncryption }],
    ['response_encryption', 'encrypted credential response', { npm: noEncryption, credo: noEncryption, ours: noEncryption }],
    ['status_list', 'token status list of the credential', { ours: 'publishes no status list as issuer' }]
  ]],
  ['Issuance: formats', [
    ['issue_dc_sd_jwt', '`dc+sd-jwt`'],
    ['issue_jwt_vc_json', '`jwt_vc_json` (`vc+jwt`, data model 2.0)', { credo: noData2, ours: noData2 }],
    ['issue_ldp_vc', '`ldp_vc` (`ecdsa-rdfc-2019`)', { credo: noData2, ours: noData2 }],
    ['issue_ldp_vc_sd', '`ldp_vc` (`ecdsa-sd-2023`)', { credo: noData2, ours: noData2 }]
  ]],
  ['Presentation: the request', [
    ['x509_hash', '`x509_hash`'],
    ['x509_san_dns', '`x509_san_dns`'],
    ['decentralized_identifier', '`decentralized_identifier`'],
    ['redirect_uri', '`redirect_uri`, unsigned'],
    ['verifier_attestation', '`verifier_attestation`', {
      npm: 'does not read the attestation in the header `jwt`',
      credo: 'does not read the attestation in the header `jwt`',
      ours: 'has no such prefix as verifier'
    }],
    ['openid_federation', '`openid_federation`', {
      npm: 'takes the trust chain from the payload only, and verifies none',
      credo: 'refuses federation signers',
      ours: 'has no such prefix as verifier'
    }],
    ['request_get', 'request object by GET'],
    ['request_post', 'request object by POST', { ours: 'offers GET only' }],
    ['wallet_nonce', '`wallet_nonce`', {
      npm: 'posts without its nonce',
      credo: 'posts without its nonce',
      ours: 'offers GET only'
    }],
    ['transaction_data', 'transaction data of a registered type']
  ]],
  ['Presentation: the answer', [
    ['direct_post', '`direct_post`'],
    ['direct_post_jwt', '`direct_post.jwt`'],
    ['fragment', '`fragment`', {
      npm: 'sends to a response URI only',
      credo: 'sends to a response URI only',
      ours: 'has no such response mode as verifier'
    }],
    ['dc_api', '`dc_api`'],
    ['dc_api_jwt', '`dc_api.jwt`'],
    ['dc_api_signed', '`dc_api`, signed request'],
    ['a128gcm', 'ECDH-ES with A128GCM', { ours: chooses }],
    ['a256gcm', 'ECDH-ES with A256GCM', { credo: 'takes A128GCM where both are listed, and both always are' }],
    ['same_device', 'same device: redirect with response code'],
    ['error', 'error answer: `access_denied`', { credo: 'has no call for it' }]
  ]],
  ['Presentation: DCQL', [
    ['dcql_claims', 'claims by path, nested ones too', { npm: queries }],
    ['dcql_null', '`null` in paths: every entry of a list', { npm: queries, credo: 'discloses a list without its entries' }],
    ['dcql_values', '`values`', { npm: queries }],
    ['dcql_claim_sets', '`claim_sets`', { npm: queries }],
    ['dcql_credential_sets', '`credential_sets`', { npm: queries }],
    ['dcql_several', 'several credentials in one answer', { npm: queries }],
    ['dcql_multiple', '`multiple`', { npm: queries }],
    ['dcql_authorities', '`trusted_authorities` (`aki`)', { npm: queries }]
  ]],
  ['Presentation: formats', [
    ['present_dc_sd_jwt', '`dc+sd-jwt` with key binding'],
    ['present_jwt_vc_json', '`jwt_vc_json` (`vp+jwt`, data model 2.0)', { npm: 'makes no presentations', credo: noData2, ours: noData2 }],
    ['present_ldp_vc', '`ldp_vc`', { npm: 'makes no presentations', credo: noData2, ours: noData2 }]
  ]]
]
