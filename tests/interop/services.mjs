// Issuer and verifier as an operator would start them: `carekey issuer --config` and `carekey verifier --config`, each
// with a configuration file and a data folder of its own.

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const program = process.env.CAREKEY ?? new URL('../../target/debug/carekey', import.meta.url).pathname

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

/** Starts a service and waits until it is ready. */
const start = async (name, url, config, folder) => {
  const file = join(folder, `${name}.toml`)
  await writeFile(file, config)
  const child = spawn(program, [name, '--config', file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (log += text))
  const ended = new Promise(resolve => child.once('exit', resolve))
  for (let tries = 0; tries < 300; tries++) {
    const ready = await fetch(`${url}/readyz`).then(r => r.ok).catch(() => false)
    if (ready) return { child, ended, log: () => log }
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}:\n${log}`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`${name} is not ready:\n${log}`)
}

/** Where the wallets, known to the hospital as `wallet.example`, get their authorization codes. */
export const redirectUri = 'https://wallet.example/cb'

/** The person's browser at the hospital's sign-in page, with the code of the desk: where it is sent in the end. */
export const signIn = async (address, code) => {
  let cookie = ''
  const go = async (url, body) => {
    const response = await fetch(url, {
      method: body ? 'POST' : 'GET',
      redirect: 'manual',
      headers: { cookie, ...(body && { origin: new URL(url).origin }) },
      body: body && new URLSearchParams(body)
    })
    cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie
    return response
  }
  const login = new URL((await go(address)).headers.get('location'), address)
  await go(login)
  const page = await (await go(new URL('/oid4vci/login/code', login), { code })).text()
  const link = page.match(/href="(https:\/\/wallet\.example[^"]*)"/)?.[1]
  if (!link) throw new Error(`no way back to the wallet:\n${page}`)
  return link.replaceAll('&#38;', '&').replaceAll('&amp;', '&')
}

/** Both services, and their management APIs; `more` is added to the issuer's configuration. */
export const services = async (more = '') => {
  const folder = await mkdtemp(join(tmpdir(), 'carekey-interop-'))
  const [hospitalPort, portalPort] = [await freePort(), await freePort()]
  const hospital = `http://localhost:${hospitalPort}`
  const portal = `http://localhost:${portalPort}`
  const issuer = await start('issuer', hospital, `
data_dir = "hospital"

[server]
listen = "127.0.0.1:${hospitalPort}"
public_url = "${hospital}"

[issuer]
name = "Interop hospital"
batch_size = 4

[lifetimes]
refresh = 86400

[limit]
per_minute = 0

[[clients]]
client_id = "wallet.example"
name = "Interop wallet"
redirect_uris = ["${redirectUri}"]

${more}
`, folder)
  const verifier = await start('verifier', portal, `
data_dir = "portal"
name = "Interop portal"

[server]
listen = "127.0.0.1:${portalPort}"
public_url = "${portal}"

[fetch]
loopback = true

[limit]
per_minute = 0

[types]
patient_identity = ["${hospital}/vct/patient-identity"]

[[trust]]
anchors = ["hospital/ca.pem"]

[[transaction_types]]
type = "urn:example:consent:1"
title = "Consent"
fields = [{ name = "text", label = "What for", kind = "text" }]
`, folder)
  const api = (base, token) => async (method, path, body) => {
    const response = await fetch(base + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body)
    })
    const answer = await response.json()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`)
    return answer
  }
  const token = async path => (await readFile(join(folder, path), 'utf8')).trim()
  return {
    hospital,
    portal,
    /** The certificate authorities of both, as PEM files. */
    authorities: [join(folder, 'hospital/ca.pem'), join(folder, 'portal/keys/ca.pem')],
    desk: api(hospital, await token('hospital/management.token')),
    staff: api(portal, await token('portal/management.token')),
    stop: async () => {
      for (const { child, ended } of [issuer, verifier]) {
        child.kill('SIGTERM')
        await ended
      }
      await rm(folder, { recursive: true })
    },
    logs: () => issuer.log() + verifier.log()
  }
}

/** A synthetic patient of the desk. */
export const patient = JSON.parse(
  await readFile(new URL('../../issuer/patients/zofie-testova.json', import.meta.url), 'utf8')
)
