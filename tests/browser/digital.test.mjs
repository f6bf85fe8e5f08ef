// The portal's button for the Digital Credentials API, in a real browser. There is no wallet behind the browser here:
// `navigator.credentials.get` is replaced, and answers with what our wallet (tests/examples/wallet.rs) makes of the very
// argument that the page hands over.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'

import { id, startBrowser, startDemo, watchedPage } from './demo.mjs'

const program = process.env.WALLET ?? new URL('../../target/debug/examples/wallet', import.meta.url).pathname

let browser
let demo
let wallet
before(async () => {
  browser = await startBrowser()
  demo = await startDemo()
  wallet = await startWallet(demo.folder)
})
after(async () => {
  wallet?.stop()
  await browser?.close()
  await demo?.stop()
})

/** The wallet, which knows the authorities of the demo's services. */
const startWallet = async folder => {
  const der = async path => (await readFile(join(folder, path), 'utf8')).replace(/-----[^-]+-----|\s/g, '')
  const settings = {
    // The app that the demo's hospital knows.
    client_id: 'carekey-demo-app',
    rp_id: 'app.wallet.example',
    origin: 'https://app.wallet.example',
    transaction_types: [],
    anchors: [await der('hospital/ca.pem'), await der('portal/keys/ca.pem')]
  }
  const file = join(folder, 'test-wallet.json')
  await writeFile(file, JSON.stringify(settings))
  const child = spawn(program, [file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    ask: async command => {
      child.stdin.write(`${JSON.stringify(command)}\n`)
      const { ok, ...failure } = JSON.parse((await lines.next()).value)
      if (ok === undefined) throw new Error(`${failure.failed}: ${failure.detail}`)
      return ok
    },
    stop: () => child.stdin.end()
  }
}

const picture = async (page, name) => {
  const folder = process.env.CAREKEY_SCREENSHOTS
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` })
}

/** A page of the portal whose browser has wallets; `choose` is what they do with the page's argument. */
const openPortal = async (context, complaints, choose) => {
  const page = await watchedPage(context, complaints)
  await page.exposeFunction('chosenWallet', choose)
  await page.addInitScript(() => {
    window.DigitalCredential = class {}
    navigator.credentials.get = async options => {
      const { refused, ...answer } = JSON.parse(await window.chosenWallet(JSON.stringify(options)))
      if (refused) throw new DOMException(refused, 'NotAllowedError')
      return answer
    }
  })
  await page.goto(demo.links.portal)
  return page
}

/** The portal asks in that response mode. */
const ask = async (page, mode) => {
  await page.goto(new URL('/', page.url()).href)
  await page.locator('summary').filter({ hasText: 'For developers' }).click()
  await id(page, mode).check()
  await id(page, 'create-request').click()
  await id(page, 'digital').waitFor()
}

const state = (page, name) => page.locator(`[data-test="verdict"][data-state="${name}"]`).waitFor({ timeout: 15_000 })

describe('the Digital Credentials API', () => {
  test('the wallets of this device answer the page, once, and only what was asked', { timeout: 120_000 }, async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' })
    const complaints = []
    const desk = await watchedPage(context, complaints)
    await desk.goto(demo.links.desk)
    await id(desk, 'patient-zofie-testova').click()
    await id(desk, 'create-offer').click()
    await id(desk, 'offer').waitFor()
    const link = await id(desk, 'offer-link').getAttribute('href')
    const txCode = (await id(desk, 'tx-code').innerText()).replaceAll(/\s/g, '')
    const { credentials } = await wallet.ask({ do: 'collect', link, tx_code: txCode })
    assert.ok(credentials.length >= 1)

    const origin = new URL(demo.links.portal).origin
    const seen = []
    let next
    const answered = async text => {
      const { mediation, digital } = JSON.parse(text)
      seen.push({ mediation, protocols: digital.requests.map(({ protocol }) => protocol) })
      return next(digital.requests)
    }
    const honest = async requests => {
      const { verifier, data } = await wallet.ask({ do: 'digital', requests, origin })
      assert.deepEqual([verifier.authentication, verifier.trusted], ['certificate', true])
      return JSON.stringify({ protocol: requests[0].protocol, data })
    }
    const portal = await openPortal(context, complaints, answered)

    // Nobody answers: the page says so, and the button works again.
    await ask(portal, 'mode-dc-jwt')
    assert.equal(await id(portal, 'qr').count(), 0)
    await picture(portal, 'digital-request')
    next = async () => JSON.stringify({ refused: 'The operation was aborted' })
    await id(portal, 'digital').click()
    await id(portal, 'digital-trouble').filter({ hasText: 'No wallet answered' }).waitFor()
    await picture(portal, 'digital-nobody')
    let first
    next = async requests => (first = await honest(requests))
    await id(portal, 'digital').click()
    await state(portal, 'verified')
    await picture(portal, 'digital-verified')
    assert.match(await id(portal, 'disclosed').innerText(), /Testová-Müllerová/)
    assert.ok(await id(portal, 'invitation').isHidden())
    assert.match(JSON.parse(first).data.response, /^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/, 'encrypted')

    // The answer to another request is not taken, and the right one still is.
    await ask(portal, 'mode-dc')
    next = async () => first
    await id(portal, 'digital').click()
    await id(portal, 'digital-trouble').filter({ hasText: 'The answer was not taken' }).waitFor()
    await picture(portal, 'digital-refused')
    next = honest
    await id(portal, 'digital').click()
    await state(portal, 'verified')

    // The person says no in the wallet.
    await ask(portal, 'mode-dc-jwt')
    next = async ([{ protocol }]) => JSON.stringify({ protocol, data: { error: 'access_denied' } })
    await id(portal, 'digital').click()
    await state(portal, 'declined')
    for (const { mediation, protocols } of seen) {
      assert.deepEqual([mediation, protocols], ['required', ['openid4vp-v1-signed']])
    }
    assert.deepEqual(complaints, [])
    await context.close()
  })

  test('a browser without it says so', { timeout: 60_000 }, async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
    const page = await watchedPage(context, [])
    await page.addInitScript(() => { delete window.DigitalCredential })
    await page.goto(demo.links.portal)
    await page.locator('summary').filter({ hasText: 'For developers' }).click()
    assert.ok(await id(page, 'mode-jwt').isVisible())
    assert.equal(await id(page, 'mode-dc').isVisible(), false)
    await context.close()
  })
})
