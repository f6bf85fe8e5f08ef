// Credo-TS 0.6.3 as issuer and verifier, driven by lines of JSON on standard input, one answer for each:
//
//   {"offer": {"tx_code": true}}        an offer of a synthetic credential, pre-authorized
//   {"request": "direct_post.jwt"}      a request for it
//   {"state": "<id of a request>"}      what became of it, with the claims that were shown

import { createInterface } from 'node:readline'

import { credoService } from './credo-service.mjs'

const service = await credoService()
const commands = {
  offer: ({ tx_code }) => service.offer({ tx_code }),
  request: mode => service.request({ mode }),
  state: async id => {
    const { claims, ...state } = await service.state(id)
    return { ...state, claims: claims?.identity[0] }
  }
}

const tell = answer => process.stdout.write(`${JSON.stringify(answer)}\n`)
tell({ ready: true, certificate: service.certificate })
for await (const line of createInterface({ input: process.stdin })) {
  const [[name, argument]] = Object.entries(JSON.parse(line))
  tell(await commands[name](argument).catch(error => ({ failed: `${error.message} ${error.cause ?? ''}` })))
}
process.exit(0)
