// The journey as a person sees it: desk, wallet, portal, in headless Chromium with a virtual authenticator; with user
// verification, and without, which must be refused; with PRF, and without.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { authenticator, id, startBrowser, startDemo, tooWide, watchedPage } from './demo.mjs'

let browser
before(async () => {
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
})

/** The three pages of one demo, the wallet's with an authenticator. */
const openPages = async (demo, { prf, viewport = { width: 1280, height: 900 }, colorScheme = 'light' }) => {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' })
  const complaints = []
  const [desk, wallet, portal] = [
    await watchedPage(context, complaints),
    await watchedPage(context, complaints),
    await watchedPage(context, complaints)
  ]
  const device = await authenticator(wallet, { prf })
  await desk.goto(demo.links.desk)
  await wallet.goto(demo.links.wallet)
  await portal.goto(demo.links.portal)
  return { context, desk, wallet, portal, device, complaints }
}

/** The desk offers a patient's identity, in the format of that ending: link and transaction code. */
const offer = async (desk, format = '') => {
  await id(desk, 'patient-zofie-testova').click()
  assert.match(await desk.locator('main').innerText(), /Testová-Müllerová/)
  await id(desk, 'format').selectOption(format)
  await id(desk, 'create-offer').click()
  await id(desk, 'offer').waitFor()
  assert.ok(await id(desk, 'qr').isVisible())
  const code = id(desk, 'tx-code')
  return {
    link: await id(desk, 'offer-link').getAttribute('href'),
    code: (await code.count()) ? (await code.innerText()).replaceAll(/\s/g, '') : null
  }
}

/** Opens a link in the wallet, which comes to the front: authenticators serve only the page that one looks at. */
const open = async (wallet, link) => {
  await wallet.bringToFront()
  await wallet.goto(link)
}

/** The wallet accepts the offer. */
const accept = async (wallet, { link, code }) => {
  await open(wallet, link)
  await id(wallet, 'offered').first().waitFor()
  if (code) await id(wallet, 'tx-code').fill(code)
  await id(wallet, 'accept').click()
}

/** The portal asks; the link for the wallet. */
const ask = async (portal, mode = 'jwt', format = 'sd-jwt') => {
  await portal.goto(new URL('/', portal.url()).href)
  if (mode !== 'jwt' || format !== 'sd-jwt') {
    await portal.locator('summary').filter({ hasText: 'For developers' }).click()
    await id(portal, `mode-${mode}`).check()
    await id(portal, `format-${format}`).check()
  }
  await id(portal, 'create-request').click()
  await id(portal, 'request').waitFor()
  return id(portal, 'request-link').getAttribute('href')
}

const verdict = async (page, state) => {
  const found = page.locator(`[data-test="verdict"][data-state="${state}"]`)
  await found.waitFor({ timeout: 15_000 })
  return found
}

/** Screenshots go where somebody asked for them. */
const picture = async (page, name) => {
  const folder = process.env.CAREKEY_SCREENSHOTS
  if (!folder) return
  await page.evaluate(() => window.scrollTo(0, 0))
  await page.screenshot({ path: `${folder}/${name}.png` })
}

const journey = prf => async () => {
  const demo = await startDemo()
  let code
  try {
    const { desk, wallet, portal, device, complaints, context } = await openPages(demo, { prf })
    await picture(desk, 'desk')

    // The hospital offers; the patient accepts with one prompt.
    const offered = await offer(desk)
    await picture(desk, 'offer')
    assert.match(offered.code ?? '', /^\d{4,10}$/)
    await open(wallet, offered.link)
    await id(wallet, 'offered').first().waitFor()
    await picture(wallet, 'wallet-offer')
    await accept(wallet, offered)
    await id(wallet, 'verdict').waitFor()
    await picture(wallet, 'wallet-stored')
    assert.equal(await id(wallet, 'verdict').getAttribute('data-tone'), 'good', await wallet.locator('main').innerText())
    assert.deepEqual(device.prompts, { created: 1, asserted: 0 })
    assert.equal((await device.credentials()).length, 1)
    await id(wallet, 'home').click()
    await id(wallet, 'credential').first().waitFor()
    const protection = await id(wallet, 'protection').getAttribute('data-protection')
    await picture(wallet, 'wallet-home')

    // The desk's page noticed.
    await desk.locator('[data-test="offer-state"]', { hasText: /issued|collected/i }).waitFor({ timeout: 15_000 })

    // The portal asks, the wallet shows everything, one prompt, and the portal turns green by itself.
    const link = await ask(portal)
    await picture(portal, 'portal-request')
    await open(wallet, link)
    await id(wallet, 'verifier').waitFor()
    assert.equal(await id(wallet, 'verifier').getAttribute('data-trusted'), 'true')
    assert.ok((await id(wallet, 'purpose').innerText()).length > 5)
    const boxes = await id(wallet, 'claim-box').evaluateAll(boxes => boxes.map(box => JSON.parse(box.dataset.path)[0]))
    for (const claim of ['given_name', 'family_name', 'birthdate']) assert.ok(boxes.includes(claim), `${claim} in ${boxes}`)
    await picture(wallet, 'wallet-request')
    let reloads = 0
    portal.on('framenavigated', frame => frame === portal.mainFrame() && reloads++)
    await id(wallet, 'send').click()
    await verdict(portal, 'verified')
    assert.equal(reloads, 0, 'the portal reloaded')
    assert.deepEqual(device.prompts, { created: 1, asserted: 1 })
    await picture(portal, 'portal-verified')
    assert.match(await id(portal, 'disclosed').innerText(), /Testová-Müllerová/)
    assert.equal(await id(portal, 'level').getAttribute('data-level'), 'uv')
    const checks = await id(portal, 'check').evaluateAll(checks => checks.map(check => check.dataset.passed))
    assert.ok(checks.length >= 10 && checks.every(passed => passed === 'true'), checks.join())
    await id(wallet, 'verdict').waitFor()
    await picture(wallet, 'wallet-sent')

    // The same without encryption beyond the transport.
    await open(wallet, await ask(portal, 'plain'))
    await id(wallet, 'send').click()
    await verdict(portal, 'verified')
    assert.deepEqual(device.prompts, { created: 1, asserted: 2 })

    // The patient may decline; nobody is asked for a finger.
    await open(wallet, await ask(portal))
    await id(wallet, 'decline').click()
    await verdict(portal, 'declined')
    assert.deepEqual(device.prompts, { created: 1, asserted: 2 })

    // Locked, the wallet shows nothing; its own passkey opens it.
    if (prf) {
      await open(wallet, demo.links.wallet)
      await id(wallet, 'lock').click()
      await id(wallet, 'unlock').waitFor()
      assert.equal(await id(wallet, 'credential').count(), 0)
      await picture(wallet, 'wallet-locked')
      await id(wallet, 'unlock').click()
      await id(wallet, 'credential').first().waitFor()
    }

    // The desk revokes; the portal refuses for that reason.
    await desk.goto(new URL('/', desk.url()).href)
    desk.on('dialog', dialog => dialog.accept())
    const row = id(desk, 'credential').filter({ hasText: 'Patient identity' })
    await row.locator('[data-test="revoke"]').click()
    await desk.locator('[data-test="credential"][data-status="revoked"]', { hasText: 'Patient identity' }).waitFor()
    await picture(desk, 'desk-revoked')
    await new Promise(resolve => setTimeout(resolve, 3_000))
    await open(wallet, await ask(portal))
    await id(wallet, 'send').click()
    const refused = await verdict(portal, 'refused')
    assert.equal(await refused.getAttribute('data-code'), 'credential_revoked')
    await picture(portal, 'portal-revoked')

    assert.deepEqual(complaints, [])
    await context.close()
    return protection
  } finally {
    code = await demo.stop()
    assert.equal(code, 0, demo.output())
  }
}

describe('with user verification', () => {
  let withPrf
  test('the whole journey, PRF on', { timeout: 120_000 }, async () => {
    withPrf = await journey(true)()
  })
  test('the whole journey, PRF off', { timeout: 120_000 }, async () => {
    const without = await journey(false)()
    assert.notEqual(without, withPrf, 'the wallet says the same of both')
  })
})

describe('W3C credentials', () => {
  /** Ending of the desk's choice, the portal's choice, identifier, whether claims can be kept back. */
  const formats = [
    ['_ldp', 'ldp', 'ldp_vc', false],
    ['_ldp_sd', 'ldp', 'ldp_vc', true],
    ['_jwt', 'jwt', 'jwt_vc_json', false]
  ]

  for (const [ending, choice, format, selective] of formats) {
    test(`the same journey with patient_identity${ending}`, { timeout: 120_000 }, async () => {
      const demo = await startDemo()
      try {
        const { desk, wallet, portal, device, complaints, context } = await openPages(demo, { prf: true })
        await accept(wallet, await offer(desk, ending))
        await id(wallet, 'verdict').waitFor()
        assert.equal(await id(wallet, 'verdict').getAttribute('data-tone'), 'good', await wallet.locator('main').innerText())
        await id(wallet, 'home').click()
        const card = id(wallet, 'credential').filter({ hasText: 'Patient identity' })
        await card.waitFor()
        assert.equal(await card.locator('[data-test="format"]').getAttribute('data-format'), format)
        assert.match(await card.innerText(), /Testová-Müllerová[^]*W3C credential/)
        assert.match(await card.locator('[data-test="credential-level"]').innerText(), /needs you/)
        await picture(wallet, `wallet-home${ending}`)
        assert.deepEqual(await tooWide(wallet), [])

        await open(wallet, await ask(portal, 'jwt', choice))
        await id(wallet, 'verifier').waitFor()
        assert.equal(await id(wallet, 'candidate-format').getAttribute('data-format'), format)
        // What cannot be kept back is shown, and said.
        assert.equal(await id(wallet, 'leaves-whole').count(), selective ? 0 : 1)
        const boxes = await id(wallet, 'claim-box').evaluateAll(boxes => boxes.map(box => JSON.parse(box.dataset.path).join('.')))
        assert.ok(boxes.includes('credentialSubject.given_name'), boxes.join())
        assert.equal(boxes.includes('credentialSubject.email'), !selective)
        await picture(wallet, `wallet-request${ending}`)
        await id(wallet, 'send').click()
        await verdict(portal, 'verified')
        assert.deepEqual(device.prompts, { created: 1, asserted: 1 })
        assert.match(await id(portal, 'disclosed').innerText(), /Testová-Müllerová/)
        assert.equal(await id(portal, 'format').innerText(), format)
        assert.equal(await id(portal, 'level').getAttribute('data-level'), 'uv')
        await picture(portal, `portal-verified${ending}`)

        // A credential of another format does not answer.
        await open(wallet, await ask(portal))
        await id(wallet, 'no-match').waitFor()
        await id(wallet, 'decline').click()
        await verdict(portal, 'declined')
        assert.deepEqual(complaints, [])
        await context.close()
      } finally {
        await demo.stop()
      }
    })
  }
})

describe('without user verification', { timeout: 120_000 }, () => {
  /** What a dishonest page would do: not ask for user verification. */
  const dontAsk = page =>
    page.addInitScript(() => {
      const soften = options => {
        if (options?.publicKey?.authenticatorSelection) {
          options.publicKey.authenticatorSelection.userVerification = 'discouraged'
        }
        if (options?.publicKey) options.publicKey.userVerification = 'discouraged'
        // PRF implies user verification.
        if (options?.publicKey?.extensions) delete options.publicKey.extensions.prf
        return options
      }
      const container = navigator.credentials
      const [create, get] = [container.create.bind(container), container.get.bind(container)]
      container.create = options => create(soften(options))
      container.get = options => get(soften(options))
    })

  test('the browser asks in vain: nothing is stored, nothing is sent', async () => {
    const demo = await startDemo()
    try {
      const { desk, wallet, portal, device, context } = await openPages(demo, { prf: false })
      await device.userVerified(false)
      const offered = await offer(desk)
      await accept(wallet, offered)
      await id(wallet, 'problem').waitFor({ timeout: 90_000 })
      assert.match(await id(wallet, 'problem').getAttribute('data-code'), /^webauthn_/)
      await picture(wallet, 'wallet-uv-refused')

      await device.userVerified(true)
      await desk.goto(new URL('/', desk.url()).href)
      await accept(wallet, await offer(desk))
      await id(wallet, 'verdict').waitFor()
      await device.userVerified(false)
      await open(wallet, await ask(portal))
      await id(wallet, 'send').click()
      await id(wallet, 'problem').waitFor({ timeout: 90_000 })
      assert.equal(await portal.locator('[data-test="verdict"][data-state="verified"]').count(), 0)
      assert.equal(device.prompts.asserted, 0)
      await context.close()
    } finally {
      await demo.stop()
    }
  })

  test('a page that does not ask for it is refused', async () => {
    const demo = await startDemo()
    try {
      const { desk, wallet, portal, device, context } = await openPages(demo, { prf: false })
      await accept(wallet, await offer(desk))
      await id(wallet, 'verdict').waitFor()
      await dontAsk(wallet)
      await device.userVerified(false)

      // At presentation the assertion has no UV flag.
      await open(wallet, await ask(portal))
      await id(wallet, 'send').click()
      await id(wallet, 'problem').waitFor({ timeout: 60_000 })
      assert.equal(await portal.locator('[data-test="verdict"][data-state="verified"]').count(), 0)
      assert.equal(await id(wallet, 'problem').getAttribute('data-code'), 'user_not_verified')

      // At enrolment neither: a security key that knows no user verification.
      const other = await watchedPage(context, [])
      await authenticator(other, { prf: false, userVerification: false })
      await dontAsk(other)
      await desk.goto(new URL('/', desk.url()).href)
      await accept(other, await offer(desk))
      await id(other, 'problem').waitFor({ timeout: 60_000 })
      assert.equal(await id(other, 'problem').getAttribute('data-code'), 'user_not_verified')
      await context.close()
    } finally {
      await demo.stop()
    }
  })
})

describe('on a telephone', () => {
  test('no page is wider than its window, in the dark too', { timeout: 120_000 }, async () => {
    const demo = await startDemo()
    try {
      const viewport = { width: 360, height: 740 }
      const { desk, wallet, portal, context } = await openPages(demo, { prf: true, viewport, colorScheme: 'dark' })
      for (const [name, page] of Object.entries({ desk, wallet, portal })) {
        assert.deepEqual(await tooWide(page), [], `${name} is too wide`)
        await picture(page, `phone-${name}`)
      }
      const offered = await offer(desk)
      assert.deepEqual(await tooWide(desk), [], 'the offer is too wide')
      await accept(wallet, offered)
      await id(wallet, 'verdict').waitFor()
      await open(wallet, await ask(portal))
      await id(wallet, 'verifier').waitFor()
      for (const [name, page] of Object.entries({ wallet, portal })) {
        await picture(page, `phone-${name}-request`)
        assert.deepEqual(await tooWide(page), [], `the request of ${name} is too wide`)
      }
      await id(wallet, 'send').click()
      await verdict(portal, 'verified')
      assert.deepEqual(await tooWide(portal), [], 'the outcome is too wide')
      await picture(portal, 'phone-portal-verified')
      await context.close()
    } finally {
      await demo.stop()
    }
  })

  test('the keyboard reaches everything', { timeout: 60_000 }, async () => {
    const demo = await startDemo()
    try {
      const { desk, portal, context } = await openPages(demo, { prf: true })
      for (const [page, target] of [[desk, 'patient-zofie-testova'], [portal, 'create-request']]) {
        let reached = false
        for (let step = 0; step < 60 && !reached; step++) {
          await page.keyboard.press('Tab')
          reached = await page.evaluate(name => document.activeElement?.dataset.test === name, target)
        }
        assert.ok(reached, `${target} cannot be reached with Tab`)
      }
      await desk.keyboard.press('Enter')
      await id(desk, 'create-offer').waitFor()
      await context.close()
    } finally {
      await demo.stop()
    }
  })
})
