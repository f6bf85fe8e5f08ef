// Our wallet (tests/examples/wallet.rs, WALLET) with Credo-TS as issuer and verifier.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe } from 'node:test'

import { credoService, VCT } from './credo-service.mjs'
import { proves } from './recorder.mjs'

const program = process.env.WALLET ?? new URL('../../target/debug/examples/wallet', import.meta.url).pathname

let credo
let wallet
let folder

/** The wallet in a process of its own. */
const start = async settings => {
  const file = join(folder, 'wallet.json')
  await writeFile(file, JSON.stringify(settings))
  const child = spawn(program, [file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    ask: async command => {
      child.stdin.write(`${JSON.stringify(command)}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error('the wallet ended')
      const { ok, ...failure } = JSON.parse(value)
      if (ok === undefined) throw new Error(`${failure.failed}: ${failure.detail}`)
      return ok
    },
    stop: () => child.stdin.end()
  }
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'carekey-wallet-'))
  credo = await credoService()
  wallet = await start({
    anchors: [credo.certificate],
    transaction_types: [{
      type: 'urn:example:consent:1', title: 'Consent', fields: [{ name: 'text', label: 'What for', kind: 'text' }]
    }]
  })
})
after(async () => {
  wallet?.stop()
  await credo?.stop()
  await rm(folder, { recursive: true })
})

const collect = async (options, more) => {
  const { link, tx_code } = await credo.offer(options)
  return wallet.ask({ do: 'collect', link, tx_code, ...more })
}

describe('Credo-TS issues to our wallet', () => {
  proves('ours', 'pre_authorized', 'tx_code', 'offer_by_reference', 'configuration_id', 'proof_jwk', 'issue_dc_sd_jwt')(
    'a dc+sd-jwt with a transaction code', async () => {
      const { credentials: [credential, ...others] } = await collect({ tx_code: true })
      assert.equal(others.length, 0)
      assert.deepEqual([credential.format, credential.vct, credential.trusted], ['dc+sd-jwt', VCT, true])
      assert.equal(credential.issuer, `${credo.base}/oid4vci/clinic`)
    })

  proves('ours', 'offer_by_value', 'several')('two kinds of an offer by value', async () => {
    const { credentials } = await collect({ by_value: true, configurations: ['identity', 'coverage'] })
    assert.deepEqual(credentials.map(({ vct }) => vct.split('/').pop()).toSorted(), ['insurance-coverage', 'patient-identity'])
  })

  proves('ours', 'signed_metadata')('only where the metadata is signed', async () => {
    const { credentials } = await collect({}, { signed_metadata: true })
    assert.equal(credentials.length, 1)
  })

  proves('ours', 'dpop')('with a token bound by DPoP', async () => {
    const { credentials } = await collect({ dpop: true })
    assert.equal(credentials.length, 1)
  })

  proves('ours', 'batch')('several copies', async () => {
    const { credentials } = await collect({}, { copies: 3 })
    assert.equal(new Set(credentials.map(({ holder_key }) => holder_key)).size, 3)
  })

  for (const [variant, configuration, title] of [
    ['proof_attested', 'attested', 'for attested keys that prove themselves'],
    ['proof_attestation', 'attested_only', 'for keys that are attested only']
  ]) {
    proves('ours', variant)(title, async () => {
      const { certificate } = await wallet.ask({ do: 'provider' })
      credo.trust(certificate)
      const { credentials } = await collect({ configurations: [configuration] })
      assert.equal(credentials.length, 1)
    })
  }

  proves('ours', 'deferred')('what the clinic approves first', async () => {
    const begun = await collect({ approval: true })
    assert.deepEqual([begun.credentials.length, begun.pending], [0, 1])
    assert.equal((await wallet.ask({ do: 'resume' })).later, 1)
    credo.approve(true)
    // Sooner it is not asked.
    await new Promise(resolve => setTimeout(resolve, 1_100))
    assert.equal((await wallet.ask({ do: 'resume' })).credentials.length, 1)
  })

  proves('ours', 'authorization_code', 'par', 'pkce', 'iss')('after the person signed in', async () => {
    const { link } = await credo.offer({ code: true })
    const { url } = await wallet.ask({ do: 'authorize', link })
    assert.ok(new URL(url).searchParams.get('request_uri'), 'pushed')
    let at = url
    while (!at.startsWith('https://wallet.example/')) {
      const response = await fetch(at, { redirect: 'manual' })
      const location = response.headers.get('location')
      assert.ok(location, `${at}: ${response.status} ${await response.text()}`)
      at = new URL(location, at).href
    }
    const { credentials } = await wallet.ask({ do: 'authorized', returned: at })
    assert.equal(credentials.length, 1)
  })
})

/** Asks, lets the wallet answer, and tells what the verifier saw. */
const present = async request => {
  const { link, id } = await credo.request(request)
  const answer = await wallet.ask({ do: 'present', link })
  const { state, claims, error, transactionData } = await credo.state(id)
  assert.equal(state, 'ResponseVerified', error)
  assert.equal(answer.delivery.accepted, true)
  return { ...answer, claims, transactionData }
}

const identity = (members = {}) => ({
  id: 'identity', format: 'dc+sd-jwt', meta: { vct_values: [VCT] }, claims: [{ path: ['given_name'] }], ...members
})
const coverage = { id: 'coverage', format: 'dc+sd-jwt', meta: { vct_values: [VCT.replace('patient-identity', 'insurance-coverage')] }, claims: [{ path: ['member_id'] }] }

describe('our wallet presents to Credo-TS', () => {
  for (const mode of ['direct_post', 'direct_post.jwt']) {
    for (const [prefix, authentication, ...variants] of [
      ['x509_san_dns', 'certificate', 'request_get'],
      ['x509_hash', 'certificate', 'request_get'],
      ['decentralized_identifier', 'did', 'request_get'],
      ['redirect_uri', 'none']
    ]) {
      proves('ours', mode.replace('.', '_'), prefix, 'present_dc_sd_jwt', 'dcql_claims', ...variants)(
        `by ${mode} to a verifier known by ${prefix}`, async () => {
          const { verifier, claims } = await present({ mode, prefix })
          assert.equal(verifier.authentication, authentication)
          const [{ given_name, family_name, birthdate }] = claims.identity
          assert.deepEqual([given_name, family_name, birthdate], ['Žofie', 'Testová', undefined])
        })
    }
  }

  for (const [mode, prefix, protocol, ...variants] of [
    ['dc_api', 'redirect_uri', 'openid4vp-v1-unsigned', 'dc_api'],
    ['dc_api.jwt', 'redirect_uri', 'openid4vp-v1-unsigned', 'dc_api_jwt', 'a256gcm'],
    ['dc_api.jwt', 'x509_hash', 'openid4vp-v1-signed', 'dc_api_signed']
  ]) {
    proves('ours', ...variants)(`by ${mode} to a page of ${prefix}`, async () => {
      const origin = 'https://pharmacy.example'
      const { object: data, id } = await credo.request({ mode, prefix, expectedOrigins: [origin] })
      const { data: answer } = await wallet.ask({ do: 'digital', origin, requests: [{ protocol, data }] })
      const [header] = answer.response?.split('.') ?? []
      if (header) assert.equal(JSON.parse(Buffer.from(header, 'base64url')).enc, 'A256GCM', 'which it prefers')
      assert.equal(Boolean(header), mode === 'dc_api.jwt')
      await credo.receive(id, answer, origin)
      assert.equal((await credo.state(id)).state, 'ResponseVerified')
    })
  }

  proves('ours', 'same_device')('and goes back to the page that asked', async () => {
    const back = 'https://pharmacy.example/back?code=1234567890'
    const { delivery } = await present({ mode: 'direct_post', authorizationResponseRedirectUri: back })
    assert.equal(delivery.redirect_uri, back)
  })

  proves('ours', 'error')('that the person declined', async () => {
    const { link, id } = await credo.request({ mode: 'direct_post' })
    await wallet.ask({ do: 'decline', link })
    assert.equal((await credo.state(id)).state, 'Error')
  })

  proves('ours', 'transaction_data')('and approves a transaction', async () => {
    const transactionData = [{ type: 'urn:example:consent:1', credential_ids: ['identity'], text: 'Send my record' }]
    const { transactionData: approved } = await present({ mode: 'direct_post', transactionData })
    assert.equal(approved.length, 1)
  })
})

describe('DCQL in our wallet', () => {
  const shown = async query => (await present({ mode: 'direct_post', query })).claims
  const refuses = async query => {
    const { link } = await credo.request({ mode: 'direct_post', query })
    await assert.rejects(wallet.ask({ do: 'present', link }), /no_answer/)
  }

  proves('ours', 'dcql_null')('nested claims, and all entries of a list', async () => {
    const claims = [{ path: ['address', 'locality'] }, { path: ['nationalities', null] }]
    const { identity: [seen] } = await shown({ credentials: [identity({ claims })] })
    assert.equal(seen.address.locality, 'Brno')
    assert.deepEqual([seen.nationalities, seen.given_name], [['CZ', 'DE'], undefined])
  })

  proves('ours', 'dcql_values')('one of several values', async () => {
    const claims = values => [{ path: ['family_name'], values }]
    await shown({ credentials: [identity({ claims: claims(['Nobody', 'Testová']) })] })
    await refuses({ credentials: [identity({ claims: claims(['Nobody']) })] })
  })

  proves('ours', 'dcql_claim_sets')('the first set that it can fill', async () => {
    const claims = [{ id: 'a', path: ['no_such_claim'] }, { id: 'b', path: ['birthdate'] }]
    const { identity: [seen] } = await shown({ credentials: [identity({ claims, claim_sets: [['a'], ['b']] })] })
    assert.deepEqual([seen.birthdate, seen.given_name], ['1985-02-28', undefined])
  })

  proves('ours', 'dcql_several')('two credentials in one answer', async () => {
    const seen = await shown({ credentials: [identity(), coverage] })
    assert.deepEqual([seen.identity[0].given_name, seen.coverage[0].member_id], ['Žofie', '123'])
  })

  proves('ours', 'dcql_credential_sets')('the set that it can fill', async () => {
    const absent = identity({ id: 'absent', meta: { vct_values: ['urn:absent'] } })
    const seen = await shown({ credentials: [absent, coverage], credential_sets: [{ options: [['absent'], ['coverage']] }] })
    assert.deepEqual(Object.keys(seen), ['coverage'])
  })

  proves('ours', 'dcql_multiple')('credentials for a query that takes several', async () => {
    const seen = await shown({ credentials: [identity({ multiple: true })] })
    assert.ok(seen.identity.length >= 1)
  })

  proves('ours', 'dcql_authorities')('credentials under an authority', async () => {
    const by = value => identity({ trusted_authorities: [{ type: 'aki', values: [value] }] })
    await shown({ credentials: [by(credo.keyId)] })
    await refuses({ credentials: [by('AAAA')] })
  })
})
