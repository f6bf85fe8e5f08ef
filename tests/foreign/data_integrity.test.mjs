// Data Integrity proofs of ours verify with Digital Bazaar's libraries, and theirs with us; one changed claim is refused
// on both sides.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { derive, issue, newKey, suites, verify } from './digitalbazaar.mjs'
import { done, ours } from './securing.mjs'

const claims = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`claim${n}`, `value ${n}`]))
const documents = {
  small: { given_name: 'Žofie', height: 1.75, visits: 3, active: true, address: { city: 'Brno', country: 'CZ' } },
  'many objects': {
    id: 'did:example:patient',
    given_name: 'Žofie "Z" Testová\n',
    note: [{ '@value': 'alergie', '@language': 'cs' }, { '@value': 'allergy', '@language': 'en' }],
    plans: [{ label: 'Bronze', limit: 10 }, { label: 'Silver', limit: 20 }, { label: 'Golden', limit: 1.5e21 }],
    address: { city: 'Brno', geo: { lat: 49.2, lon: -16.6 } }
  },
  '100 claims': { id: 'did:example:patient', given_name: 'Žofie', ...claims, address: { city: 'Brno' } }
}
const credential = credentialSubject => ({
  '@context': ['https://www.w3.org/ns/credentials/v2', 'https://www.w3.org/ns/credentials/examples/v2'],
  id: 'urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33',
  type: ['VerifiableCredential', 'TestCredential'],
  validFrom: '2026-01-01T00:00:00Z',
  credentialSubject
})
const changed = document => {
  const copy = structuredClone(document)
  copy.credentialSubject.address.city = 'Praha'
  return copy
}

for (const suite of suites) {
  for (const [name, subject] of Object.entries(documents)) {
    const pointers = ['/credentialSubject/address/city', '/credentialSubject/given_name']
    test(`${suite.name} with ${suite.alg}, ${name}: ours with theirs`, async () => {
      const { name: format, alg } = suite
      let signed = done({ do: 'issue', format, ...(alg !== 'BBS' && { alg }), document: credential(subject) })
      if (suite.disclose) {
        const base = signed
        signed = done({ do: 'derive', format, document: base, pointers })
        // Their holder derives from our base proof.
        const theirs = await derive(suite, base, pointers)
        assert.ok(await verify(suite, theirs))
        done({ do: 'verify', format, document: theirs })
      }
      assert.ok(await verify(suite, signed))
      assert.ok(!(await verify(suite, changed(signed))))
      assert.ok(ours({ do: 'verify', format, document: changed(signed) }).refused)
    })
    test(`${suite.name} with ${suite.alg}, ${name}: theirs with ours`, async () => {
      const format = suite.name
      let signed = await issue(suite, await newKey(suite), credential(subject))
      if (suite.disclose) {
        const base = signed
        done({ do: 'verify', format, base: true, document: base })
        signed = await derive(suite, base, pointers)
        // Our holder derives from their base proof.
        assert.ok(await verify(suite, done({ do: 'derive', format, document: base, pointers })))
      }
      done({ do: 'verify', format, document: signed })
      assert.equal(ours({ do: 'verify', format, document: changed(signed) }).refused, 'proof_signature')
    })
  }
}
