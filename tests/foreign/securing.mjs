// Our side: the program tests/examples/securing.rs, one request a call.

import { spawnSync } from 'node:child_process'

const program = process.env.SECURING
if (!program) throw new Error('SECURING names no program: run `cargo xtask interop`')

/** The answer: `{ok}` or `{refused}`. */
export const ours = request => {
  const child = spawnSync(program, { input: JSON.stringify(request), encoding: 'utf8', maxBuffer: 1 << 24 })
  if (child.status !== 0) throw new Error(`${program}: ${child.error ?? child.stderr}`)
  return JSON.parse(child.stdout)
}

/** The answer to a request that must succeed. */
export const done = request => {
  const answer = ours(request)
  if (answer.refused) throw new Error(`${request.do} ${request.format}: ${answer.refused}`)
  return answer.ok
}
