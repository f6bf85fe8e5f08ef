// Credo-TS 0.6.3 as issuer and verifier, driven by lines of JSON on standard input, one answer for each:
//
//   {"offer": {"tx_code": true}}        an offer of a synthetic credential, pre-authorized
//   {"request": "direct_post.jwt"}      a request for it
//   {"state": "<id of a request>"}      what became of it, with the claims that were shown

import { createInterface } from 'node:readline'

import { X509Certificate } from '@credo-ts/core'
import express from 'express'

import { credoAgent, newCredoKey } from './credo.mjs'

const VCT = 'https://clinic.example/vct/patient-identity'
const claims = { given_name: 'Žofie', family_name: 'Testová', birthdate: '1985-02-28' }

const app = express()
const server = app.listen(0, '127.0.0.1')
await new Promise(resolve => server.once('listening', resolve))
const base = `http://localhost:${server.address().port}`

let signer
const credential = ({ holderBinding }) => ({
  type: 'credentials',
  format: 'dc+sd-jwt',
  credentials: holderBinding.keys.map(binding => ({
    payload: { vct: VCT, ...claims },
    disclosureFrame: { _sd: Object.keys(claims) },
    holder: { method: 'jwk', jwk: binding.jwk },
    issuer: { ...signer, issuer: `${base}/oid4vci/clinic` }
  }))
})
const agent = await credoAgent({
  app,
  issuer: { baseUrl: `${base}/oid4vci`, credentialRequestToCredentialMapper: credential },
  verifier: { baseUrl: `${base}/oid4vp` }
})
const { holder: _, issuer, verifier } = agent.openid4vc

// One certificate of its own for both roles: its names are the issuer's address and the verifier's host.
const authorityKey = await newCredoKey(agent)
const certificate = await agent.x509.createCertificate({
  authorityKey,
  issuer: 'CN=Clinic,C=CZ',
  validity: { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 86_400_000) },
  extensions: {
    subjectAlternativeName: {
      name: [{ type: 'url', value: `${base}/oid4vci/clinic` }, { type: 'dns', value: 'localhost' }]
    }
  }
})
const known = X509Certificate.fromEncodedCertificate(certificate.toString('base64'))
known.publicJwk.keyId = authorityKey.keyId
signer = { method: 'x5c', x5c: [known] }
agent.x509.config.setTrustedCertificates([certificate.toString('pem')])

await issuer.createIssuer({
  issuerId: 'clinic',
  display: [{ name: 'Clinic', locale: 'en' }],
  credentialConfigurationsSupported: {
    identity: {
      format: 'dc+sd-jwt',
      vct: VCT,
      scope: 'identity',
      cryptographic_binding_methods_supported: ['jwk'],
      credential_signing_alg_values_supported: ['ES256'],
      proof_types_supported: { jwt: { proof_signing_alg_values_supported: ['ES256'] } },
      credential_metadata: { display: [{ name: 'Identity', locale: 'en' }] }
    }
  }
})
await verifier.createVerifier({ verifierId: 'pharmacy' })

const commands = {
  offer: async ({ tx_code }) => {
    const { credentialOffer, issuanceSession } = await issuer.createCredentialOffer({
      issuerId: 'clinic',
      credentialConfigurationIds: ['identity'],
      preAuthorizedCodeFlowConfig: tx_code ? { txCode: { input_mode: 'numeric', length: 4 } } : {}
    })
    return { link: credentialOffer, tx_code: issuanceSession.userPin }
  },
  request: async responseMode => {
    const { authorizationRequest, verificationSession } = await verifier.createAuthorizationRequest({
      verifierId: 'pharmacy',
      requestSigner: { ...signer, clientIdPrefix: 'x509_san_dns' },
      responseMode,
      dcql: {
        query: {
          credentials: [{
            id: 'identity',
            format: 'dc+sd-jwt',
            meta: { vct_values: [VCT] },
            claims: [{ path: ['given_name'] }, { path: ['family_name'] }]
          }]
        }
      }
    })
    return { link: authorizationRequest, id: verificationSession.id }
  },
  state: async id => {
    const session = await verifier.getVerificationSessionById(id)
    if (session.state !== 'ResponseVerified') return { state: session.state, error: session.errorMessage }
    const { dcql } = await verifier.getVerifiedAuthorizationResponse(id)
    return { state: session.state, claims: dcql.presentations.identity[0].prettyClaims }
  }
}

const tell = answer => process.stdout.write(`${JSON.stringify(answer)}\n`)
tell({ ready: true, certificate: certificate.toString('base64') })
for await (const line of createInterface({ input: process.stdin })) {
  const [[name, argument]] = Object.entries(JSON.parse(line))
  tell(await commands[name](argument).catch(error => ({ failed: `${error.message} ${error.cause ?? ''}` })))
}
process.exit(0)
