// The Data Integrity suites of Digital Bazaar's libraries, one name and one set of calls for all of them.

import { readFileSync } from 'node:fs'

import * as bbs from '@digitalbazaar/bbs-2023-cryptosuite'
import * as Bls12381Multikey from '@digitalbazaar/bls12-381-multikey'
import { DataIntegrityProof } from '@digitalbazaar/data-integrity'
import * as ecdsaJcs from '@digitalbazaar/ecdsa-jcs-2019-cryptosuite'
import * as EcdsaMultikey from '@digitalbazaar/ecdsa-multikey'
import { cryptosuite as ecdsaRdfc } from '@digitalbazaar/ecdsa-rdfc-2019-cryptosuite'
import * as ecdsaSd from '@digitalbazaar/ecdsa-sd-2023-cryptosuite'
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey'
import * as eddsaJcs from '@digitalbazaar/eddsa-jcs-2022-cryptosuite'
import { cryptosuite as eddsaRdfc } from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite'
import * as vc from '@digitalbazaar/vc'

const ed25519 = () => Ed25519Multikey.generate()
const ecdsa = curve => () => EcdsaMultikey.generate({ curve })
const bls = () => Bls12381Multikey.generateBbsKeyPair({ algorithm: Bls12381Multikey.ALGORITHMS.BBS_BLS12381_SHA256 })
const whole = cryptosuite => ({ sign: () => cryptosuite, verify: () => cryptosuite })
const jcs = library => ({ sign: library.createSignCryptosuite, verify: library.createVerifyCryptosuite })
const selective = library => ({
  sign: () => library.createSignCryptosuite({ mandatoryPointers: ['/issuer'] }),
  disclose: selectivePointers => library.createDiscloseCryptosuite({ selectivePointers }),
  verify: () => library.createVerifyCryptosuite()
})

/** Every suite with every kind of key: `alg` is ours, for the same kind. */
export const suites = [
  { name: 'eddsa-rdfc-2022', alg: 'EdDSA', generate: ed25519, ...whole(eddsaRdfc) },
  { name: 'eddsa-jcs-2022', alg: 'EdDSA', generate: ed25519, ...jcs(eddsaJcs) },
  { name: 'ecdsa-rdfc-2019', alg: 'ES256', generate: ecdsa('P-256'), ...whole(ecdsaRdfc) },
  { name: 'ecdsa-rdfc-2019', alg: 'ES384', generate: ecdsa('P-384'), ...whole(ecdsaRdfc) },
  { name: 'ecdsa-jcs-2019', alg: 'ES256', generate: ecdsa('P-256'), ...jcs(ecdsaJcs) },
  { name: 'ecdsa-jcs-2019', alg: 'ES384', generate: ecdsa('P-384'), ...jcs(ecdsaJcs) },
  { name: 'ecdsa-sd-2023', alg: 'ES256', generate: ecdsa('P-256'), ...selective(ecdsaSd) },
  { name: 'bbs-2023', alg: 'BBS', generate: bls, ...selective(bbs) }
]

const examples = 'https://www.w3.org/ns/credentials/examples/v2'
const contexts = new URL('../../core/src/format/data_integrity/contexts/', import.meta.url)
const examplesContext = JSON.parse(readFileSync(new URL('credentials-examples-v2.jsonld', contexts), 'utf8'))

/** The documents of did:key, the contexts that the library brings, and the one of examples. Nothing is fetched. */
export const documentLoader = async url => {
  if (url === examples) return { contextUrl: null, documentUrl: url, document: examplesContext }
  if (!url.startsWith('did:key:')) return vc.defaultDocumentLoader(url)
  const [did, fragment] = url.split('#')
  const publicKeyMultibase = did.slice('did:key:'.length)
  const id = `${did}#${publicKeyMultibase}`
  const method = { id, type: 'Multikey', controller: did, publicKeyMultibase }
  const document = fragment
    ? { '@context': 'https://w3id.org/security/multikey/v1', ...method }
    : {
        '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
        id: did,
        verificationMethod: [method],
        assertionMethod: [id],
        authentication: [id]
      }
  return { contextUrl: null, documentUrl: url, document }
}

/** A fresh key under its own did:key. */
export const newKey = async suite => {
  const key = await suite.generate()
  const { publicKeyMultibase } = await key.export({ publicKey: true })
  key.controller = `did:key:${publicKeyMultibase}`
  key.id = `${key.controller}#${publicKeyMultibase}`
  return key
}

/** A credential of the key's DID; a base proof with suites that disclose selectively. */
export const issue = (suite, key, credential) => {
  const proof = new DataIntegrityProof({ signer: key.signer(), cryptosuite: suite.sign() })
  return vc.issue({ credential: { ...credential, issuer: key.controller }, suite: proof, documentLoader })
}

/** What a holder shows. */
export const derive = (suite, verifiableCredential, pointers) => {
  const proof = new DataIntegrityProof({ cryptosuite: suite.disclose(pointers) })
  return vc.derive({ verifiableCredential, suite: proof, documentLoader })
}

/** Whether the library accepts the credential. */
export const verify = async (suite, credential) => {
  const proof = new DataIntegrityProof({ cryptosuite: suite.verify() })
  return (await vc.verifyCredential({ credential, suite: proof, documentLoader })).verified
}
