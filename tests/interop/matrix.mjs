// Renders the conformance matrix from what the tests recorded, and compares it with the manual's page. With
// CAREKEY_BLESS=1 the page is written instead. Ends with an error when the page is another, or a test failed.

import { readFile, writeFile } from 'node:fs/promises'

import { drivers, groups } from './variants.mjs'

const page = new URL('../../core/src/manual/interop.md', import.meta.url)
const results = (await readFile(process.env.INTEROP_RESULTS, 'utf8')).split('\n').filter(Boolean).map(line => JSON.parse(line))

const problems = []
const notes = []
/** The number of a reason below the table. */
const note = text => {
  if (!notes.includes(text)) notes.push(text)
  return notes.indexOf(text) + 1
}
const count = { pass: 0, 'not possible': 0, missing: 0 }

const cell = (driver, variant, reason) => {
  const own = results.filter(result => result.driver === driver && result.variant === variant)
  if (own.some(result => !result.passed)) problems.push(`${driver} ${variant}: a test failed`)
  if (own.length > 0 && reason) problems.push(`${driver} ${variant}: passed, although variants.mjs says that it cannot`)
  if (own.length > 0) {
    count.pass++
    return 'pass'
  }
  if (reason) {
    count['not possible']++
    return `no [${note(reason)}]`
  }
  count.missing++
  return 'missing'
}

const lines = []
for (const [title, variants] of groups) {
  lines.push('', `## ${title}`, '', `| variant | ${Object.values(drivers).join(' | ')} |`, '| --- | --- | --- | --- |')
  for (const [id, name, reasons = {}] of variants) {
    const cells = Object.keys(drivers).map(driver => cell(driver, id, reasons[driver]))
    lines.push(`| ${name} | ${cells.join(' | ')} |`)
  }
}
const total = Object.values(count).reduce((sum, n) => sum + n)
const text = `${[
  '<!-- Made by `cargo xtask interop` from its results; CAREKEY_BLESS=1 writes it anew. -->',
  'Which variants of OpenID4VCI 1.0 and OpenID4VP 1.0 work with software of others, and by whom they are driven: published',
  'packages as wallet against our issuer and verifier, and our wallet against Credo-TS. The tests lie in `tests/interop`; a run',
  'whose results differ from this page fails.',
  '',
  `Of ${total} cells ${count.pass} pass; ${count['not possible']} are impossible, because the package does not support the variant`,
  `(its reason below, by number); ${count.missing} are missing: no test here shows them yet.`,
  ...lines,
  '',
  '## What the packages do not support',
  '',
  ...notes.map((reason, index) => `${index + 1}. The package ${reason}.`)
].join('\n')}\n`

if (problems.length > 0) {
  for (const problem of problems) console.log(`not ok - ${problem}`)
} else if (process.env.CAREKEY_BLESS) {
  await writeFile(page, text)
} else if ((await readFile(page, 'utf8').catch(() => '')) !== text) {
  problems.push('the page differs')
  console.log('not ok - core/src/manual/interop.md is not what this run shows: see the page below, or run with CAREKEY_BLESS=1')
  console.log(text)
}
console.log(`# pass ${problems.length === 0 ? 1 : 0}\n# fail ${problems.length}`)
process.exit(problems.length === 0 ? 0 : 1)
