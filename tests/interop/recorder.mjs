// A test that proves cells of the conformance matrix. Each test file runs in a process of its own: results are lines
// appended to the file that INTEROP_RESULTS names.

import { appendFileSync } from 'node:fs'
import { test } from 'node:test'

import { drivers, groups } from './variants.mjs'

const known = new Set(groups.flatMap(([, variants]) => variants.map(([id]) => id)))

const record = (driver, variants, passed) => {
  const file = process.env.INTEROP_RESULTS
  if (!file) return
  for (const variant of variants) appendFileSync(file, `${JSON.stringify({ driver, variant, passed })}\n`)
}

/** `test`, whose success proves that `driver` works in these variants. */
export const proves = (driver, ...variants) => (name, body) => {
  if (!(driver in drivers)) throw new Error(`no driver ${driver}`)
  for (const variant of variants) if (!known.has(variant)) throw new Error(`no variant ${variant}`)
  test(name, async context => {
    let passed = false
    try {
      await body(context)
      passed = true
    } finally {
      record(driver, variants, passed)
    }
  })
}
