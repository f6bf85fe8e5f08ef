// The picture in the README: `CAREKEY_SCREENSHOTS=/tmp/shots node --test`, then `node picture.mjs /tmp/shots`.

import { readFile } from 'node:fs/promises'

import { startBrowser } from './demo.mjs'

const folder = process.argv[2]
const panels = [
  ['offer', '1 · The hospital offers'],
  ['wallet-request', '2 · The patient sees who asks, and confirms'],
  ['portal-verified', '3 · The portal turns green']
]
const image = async name => (await readFile(`${folder}/${name}.png`)).toString('base64')
const figures = await Promise.all(panels.map(async ([name, words]) =>
  `<figure><img src="data:image/png;base64,${await image(name)}"><figcaption>${words}</figcaption></figure>`))
const browser = await startBrowser()
const page = await browser.newPage({ viewport: { width: 1500, height: 420 } })
await page.setContent(`<style>
  body { margin: 0; padding: 16px; background: #fff; font: 600 17px system-ui, sans-serif; color: #223; }
  main { display: grid; grid-template-columns: repeat(3, 1fr); gap: 16px; }
  figure { margin: 0; } figcaption { padding-top: 8px; text-align: center; }
  img { width: 100%; border: 1px solid #ccd; border-radius: 8px; }
</style><main>${figures.join('')}</main>`)
await page.locator('main').screenshot({ path: new URL('journey.png', import.meta.url).pathname })
await browser.close()
