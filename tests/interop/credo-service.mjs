// Credo-TS 0.6.3 as issuer ("clinic") and verifier ("pharmacy") on a port of its own.

import { randomBytes } from 'node:crypto'

import { ClaimFormat, W3cCredential, W3cCredentialSubject, w3cDate, X509Certificate } from '@credo-ts/core'
import express from 'express'

import { credoAgent, newCredoKey } from './credo.mjs'

export const VCT = 'https://clinic.example/vct/patient-identity'
const COVERAGE = 'https://clinic.example/vct/insurance-coverage'
const identity = { given_name: 'Žofie', family_name: 'Testová', birthdate: '1985-02-28', address: { locality: 'Brno' }, nationalities: ['CZ', 'DE'] }
const coverage = { member_id: '123', payer: 'VZP' }

/** Another authorization server, behind the issuer: whoever comes is signed in. */
const loginServer = (app, base) => {
  const codes = new Set()
  app.get('/.well-known/oauth-authorization-server/login', (_, response) => response.json({
    issuer: `${base}/login`,
    authorization_endpoint: `${base}/login/authorize`,
    token_endpoint: `${base}/login/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post'],
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256']
  }))
  app.get('/login/authorize', ({ query }, response) => {
    const code = randomBytes(16).toString('hex')
    codes.add(code)
    const back = new URL(query.redirect_uri)
    for (const [name, value] of Object.entries({ code, state: query.state, iss: `${base}/login` })) back.searchParams.set(name, value)
    response.redirect(back.href)
  })
  app.post('/login/token', express.urlencoded(), ({ body }, response) => {
    const known = body.client_secret === 'clinic secret' && codes.delete(body.code)
    if (known) response.json({ access_token: randomBytes(16).toString('hex'), token_type: 'Bearer', expires_in: 60 })
    else response.status(400).json({ error: 'invalid_grant' })
  })
}

/** Starts both. */
export const credoService = async () => {
  const app = express()
  const server = app.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const base = `http://localhost:${server.address().port}`
  loginServer(app, base)

  let signer
  let ready = false
  let w3cIssuer
  const sdJwt = (vct, claims, holderBinding) => ({
    type: 'credentials',
    format: 'dc+sd-jwt',
    credentials: holderBinding.keys.map(binding => ({
      payload: { vct, ...claims },
      disclosureFrame: { _sd: Object.keys(claims) },
      holder: binding.method === 'did' ? { method: 'did', didUrl: binding.didUrl } : { method: 'jwk', jwk: binding.jwk },
      issuer: { ...signer, issuer: `${base}/oid4vci/clinic` }
    }))
  })
  const w3c = holderBinding => ({
    type: 'credentials',
    format: ClaimFormat.JwtVc,
    credentials: holderBinding.keys.map(binding => ({
      verificationMethod: w3cIssuer,
      credential: new W3cCredential({
        type: ['VerifiableCredential', 'PatientIdentity'],
        issuer: w3cIssuer.split('#')[0],
        issuanceDate: w3cDate(Date.now()),
        credentialSubject: new W3cCredentialSubject({ id: binding.didUrl.split('#')[0], claims: { family_name: 'Testová' } })
      })
    }))
  })
  const credentials = ({ holderBinding, credentialConfigurationId: id }) => {
    if (id === 'identity_jwt') return w3c(holderBinding)
    return id === 'coverage' ? sdJwt(COVERAGE, coverage, holderBinding) : sdJwt(VCT, identity, holderBinding)
  }
  const waiting = new Map()
  const agent = await credoAgent({
    app,
    issuer: {
      baseUrl: `${base}/oid4vci`,
      credentialRequestToCredentialMapper: options => {
        if (!options.issuanceSession.issuanceMetadata?.approval) return credentials(options)
        const transactionId = randomBytes(16).toString('hex')
        waiting.set(transactionId, options)
        return { type: 'deferral', transactionId, interval: 1 }
      },
      deferredCredentialRequestToCredentialMapper: ({ deferredCredentialRequest: { transaction_id: transactionId } }) =>
        ready ? credentials(waiting.get(transactionId)) : { type: 'deferral', transactionId, interval: 1 }
    },
    verifier: { baseUrl: `${base}/oid4vp` }
  })
  const { issuer, verifier } = agent.openid4vc

  // One certificate of its own for both roles: its names are the issuer's address and the verifier's host.
  const authorityKey = await newCredoKey(agent)
  const certificate = await agent.x509.createCertificate({
    authorityKey,
    issuer: 'CN=Clinic,C=CZ',
    validity: { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 86_400_000) },
    extensions: {
      subjectAlternativeName: {
        name: [{ type: 'url', value: `${base}/oid4vci/clinic` }, { type: 'dns', value: 'localhost' }]
      },
      authorityKeyIdentifier: { include: true },
      subjectKeyIdentifier: { include: true }
    }
  })
  const known = X509Certificate.fromEncodedCertificate(certificate.toString('base64'))
  known.publicJwk.keyId = authorityKey.keyId
  signer = { method: 'x5c', x5c: [known] }
  agent.x509.config.setTrustedCertificates([certificate.toString('pem')])
  const { didState } = await agent.dids.create({ method: 'jwk', options: { createKey: { type: { kty: 'EC', crv: 'P-256' } } } })
  if (didState.state !== 'finished') throw new Error(didState.reason)
  w3cIssuer = `${didState.did}#0`

  const attested = {
    proof_signing_alg_values_supported: ['ES256'], key_attestations_required: { key_storage: ['iso_18045_high'] }
  }
  const configuration = (scope, more) => ({
    scope,
    cryptographic_binding_methods_supported: ['jwk', 'did:jwk', 'did:key'],
    credential_signing_alg_values_supported: ['ES256'],
    proof_types_supported: { jwt: { proof_signing_alg_values_supported: ['ES256'] } },
    credential_metadata: { display: [{ name: 'Identity', locale: 'en' }] },
    ...more
  })
  await issuer.createIssuer({
    issuerId: 'clinic',
    display: [{ name: 'Clinic', locale: 'en' }],
    batchCredentialIssuance: { batchSize: 4 },
    dpopSigningAlgValuesSupported: ['ES256'],
    metadataSigner: signer,
    authorizationServerConfigs: [{
      type: 'chained',
      issuer: `${base}/login`,
      clientAuthentication: { type: 'clientSecret', clientId: 'clinic', clientSecret: 'clinic secret' },
      scopesMapping: { identity: [], coverage: [], identity_jwt: [] }
    }],
    credentialConfigurationsSupported: {
      identity: configuration('identity', { format: 'dc+sd-jwt', vct: VCT }),
      coverage: configuration('coverage', { format: 'dc+sd-jwt', vct: COVERAGE }),
      attested: configuration('attested', { format: 'dc+sd-jwt', vct: VCT, proof_types_supported: { jwt: attested } }),
      attested_only: configuration('attested_only', { format: 'dc+sd-jwt', vct: VCT, proof_types_supported: { attestation: attested } }),
      identity_jwt: configuration('identity_jwt', {
        format: 'jwt_vc_json', credential_definition: { type: ['VerifiableCredential', 'PatientIdentity'] }
      })
    }
  })
  await verifier.createVerifier({ verifierId: 'pharmacy' })

  return {
    base,
    /** The certificate of both roles, base64 DER. */
    certificate: certificate.toString('base64'),
    /** The identifier of its key, base64url. */
    keyId: Buffer.from(known.subjectKeyIdentifier, 'hex').toString('base64url'),
    /** Believes the wallet provider with this certificate, base64 DER. */
    trust: provider => agent.x509.config.setTrustedCertificates([certificate.toString('base64'), provider]),
    /** An offer; `code`: of the authorization code flow. */
    offer: async ({ tx_code, configurations = ['identity'], by_value, approval, code, dpop = false } = {}) => {
      const { credentialOffer, issuanceSession } = await issuer.createCredentialOffer({
        issuerId: 'clinic',
        credentialConfigurationIds: configurations,
        issuanceMetadata: { approval },
        authorization: { requireDpop: dpop, requireWalletAttestation: false },
        ...(code
          ? { authorizationCodeFlowConfig: { authorizationServerUrl: `${base}/login` } }
          : { preAuthorizedCodeFlowConfig: tx_code ? { txCode: { input_mode: 'numeric', length: 4 } } : {} })
      })
      const payload = encodeURIComponent(JSON.stringify(issuanceSession.credentialOfferPayload))
      return {
        link: by_value ? `openid-credential-offer://?credential_offer=${payload}` : credentialOffer,
        tx_code: issuanceSession.userPin,
        id: issuanceSession.id
      }
    },
    /** Whether what waits for approval has it. */
    approve: yes => { ready = yes },
    /** A request; `prefix` names the verifier. */
    request: async ({ mode, prefix = 'x509_san_dns', query, ...more }) => {
      const requestSigner = {
        redirect_uri: { method: 'none' },
        decentralized_identifier: { method: 'did', didUrl: w3cIssuer }
      }[prefix] ?? { ...signer, clientIdPrefix: prefix }
      const { authorizationRequest, authorizationRequestObject, verificationSession } = await verifier.createAuthorizationRequest({
        verifierId: 'pharmacy',
        requestSigner,
        responseMode: mode,
        dcql: {
          query: query ?? {
            credentials: [{
              id: 'identity',
              format: 'dc+sd-jwt',
              meta: { vct_values: [VCT] },
              claims: [{ path: ['given_name'] }, { path: ['family_name'] }]
            }]
          }
        },
        ...more
      })
      return { link: authorizationRequest, object: authorizationRequestObject, id: verificationSession.id }
    },
    /** What came over the Digital Credentials API. */
    receive: (id, authorizationResponse, origin) =>
      verifier.verifyAuthorizationResponse({ verificationSessionId: id, authorizationResponse, origin }),
    /** What became of a request, with the claims that were shown. */
    state: async id => {
      const session = await verifier.getVerificationSessionById(id)
      if (session.state !== 'ResponseVerified') return { state: session.state, error: session.errorMessage }
      const { dcql, transactionData } = await verifier.getVerifiedAuthorizationResponse(id)
      const claims = Object.fromEntries(Object.entries(dcql.presentations)
        .map(([id, [...presentations]]) => [id, presentations.map(one => one.prettyClaims)]))
      return { state: session.state, claims, transactionData }
    },
    stop: async () => {
      await agent.shutdown()
      server.close()
      server.closeAllConnections()
    }
  }
}
