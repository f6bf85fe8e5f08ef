// What Digital Bazaar's libraries need on the credentials of the benchmark: {"": small, "_100": with 100 claims} as the
// argument, and {"<suite>/<operation><size>": microseconds} on standard output.

import { derive, issue, newKey, suites, verify } from './digitalbazaar.mjs'

const credentials = JSON.parse(process.argv[2])

/** Mean microseconds of a call: half a second of warming up, two seconds of measuring. */
const measure = async call => {
  const during = async milliseconds => {
    const start = performance.now()
    let count = 0
    while (performance.now() - start < milliseconds || count < 3) {
      await call()
      count++
    }
    return ((performance.now() - start) * 1000) / count
  }
  await during(500)
  return during(2000)
}

const results = {}
for (const suite of suites.filter(({ alg }) => alg !== 'ES384')) {
  const name = suite.name.replace(/-\d+$/, '').replaceAll('-', '_')
  const key = await newKey(suite)
  for (const [size, credential] of Object.entries(credentials)) {
    results[`${name}/issue${size}`] = await measure(() => issue(suite, key, credential))
    let signed = await issue(suite, key, credential)
    if (suite.disclose) {
      const base = signed
      results[`${name}/derive${size}`] = await measure(() => derive(suite, base, ['/credentialSubject']))
      signed = await derive(suite, base, ['/credentialSubject'])
    }
    if (!(await verify(suite, signed))) throw new Error(`${name}: not verified`)
    results[`${name}/verify${size}`] = await measure(() => verify(suite, signed))
  }
}
console.log(JSON.stringify(results))
