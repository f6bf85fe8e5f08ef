// Credo-TS 0.6.3 as its users run it, with records in memory: wallet, issuer or verifier.

import { readFile } from 'node:fs/promises'

import {
  Agent,
  DidDocument,
  DidsModule,
  InjectionSymbols,
  JsonTransformer,
  JwkDidRegistrar,
  JwkDidResolver,
  KeyDidResolver,
  Kms,
  RecordDuplicateError,
  RecordNotFoundError,
  StorageVersionRecord,
  UpdateAssistant
} from '@credo-ts/core'
import { agentDependencies, NodeInMemoryKeyManagementStorage, NodeKeyManagementService } from '@credo-ts/node'
import { OpenId4VcModule } from '@credo-ts/openid4vc'

/** Whether the tags of a record match a query of Credo's storage. */
const matches = (tags, { $and = [], $or, $not, ...simple }) =>
  $and.every(query => matches(tags, query)) &&
  (!$or || $or.some(query => matches(tags, query))) &&
  (!$not || !matches(tags, $not)) &&
  Object.entries(simple).every(([name, value]) =>
    value === undefined || (Array.isArray(value) ? value.every(one => tags[name]?.includes(one)) : tags[name] === value))

/** Credo's StorageService in memory: its published ones need a native library or a database. */
class MemoryStorage {
  #records = new Map()

  async save(_context, record) {
    if (this.#records.has(`${record.type}/${record.id}`)) {
      throw new RecordDuplicateError(`there is a ${record.type} ${record.id}`, { recordType: record.type })
    }
    await this.update(_context, record)
  }

  async update(_context, record) {
    record.updatedAt = new Date()
    const kept = { type: record.type, value: JsonTransformer.toJSON(record), tags: record.getTags() }
    this.#records.set(`${record.type}/${record.id}`, kept)
  }

  async delete(_context, record) {
    this.#records.delete(`${record.type}/${record.id}`)
  }

  async deleteById(_context, type, id) {
    this.#records.delete(`${type.type}/${id}`)
  }

  async getById(_context, type, id) {
    const found = this.#records.get(`${type.type}/${id}`)
    if (!found) throw new RecordNotFoundError(`there is no ${type.type} ${id}`, { recordType: type.type })
    return this.#load(type, found)
  }

  async getAll(_context, type) {
    return [...this.#records.values()].filter(kept => kept.type === type.type).map(kept => this.#load(type, kept))
  }

  async findByQuery(context, type, query) {
    return (await this.getAll(context, type)).filter(record => matches(record.getTags(), query))
  }

  #load(type, { value, tags }) {
    const record = JsonTransformer.fromJSON(value, type)
    record.replaceTags(tags)
    return record
  }
}

/** did:web of a server on loopback, which answers without TLS. */
class LoopbackDidResolver {
  supportedMethods = ['web']
  allowsCaching = false
  allowsLocalDidRecord = false

  async resolve(_context, did) {
    const host = decodeURIComponent(did.slice('did:web:'.length))
    const document = await (await fetch(`http://${host}/.well-known/did.json`)).json()
    return {
      didDocument: JsonTransformer.fromJSON(document, DidDocument),
      didDocumentMetadata: {},
      didResolutionMetadata: { contentType: 'application/did+json' }
    }
  }
}

/** An agent; `options` are those of Credo's OpenID4VC module, `trusted` are PEM files of certificate authorities. */
export const credoAgent = async (options = {}, trusted = []) => {
  const storage = new MemoryStorage()
  await storage.save(null, new StorageVersionRecord({ storageVersion: UpdateAssistant.frameworkStorageVersion }))
  const keys = new NodeKeyManagementService(new NodeInMemoryKeyManagementStorage())
  const agent = new Agent({
    config: { allowInsecureHttpUrls: true },
    dependencies: agentDependencies,
    modules: {
      storage: { register: manager => manager.registerInstance(InjectionSymbols.StorageService, storage) },
      keys: new Kms.KeyManagementModule({ backends: [keys] }),
      dids: new DidsModule({
        registrars: [new JwkDidRegistrar()],
        resolvers: [new LoopbackDidResolver(), new JwkDidResolver(), new KeyDidResolver()]
      }),
      openid4vc: new OpenId4VcModule(options)
    }
  })
  await agent.initialize()
  const certificates = await Promise.all(trusted.map(file => readFile(file, 'utf8')))
  agent.x509.config.setTrustedCertificates(certificates)
  return agent
}

/** A fresh P-256 key of the agent. */
export const newCredoKey = async agent => {
  const { publicJwk } = await agent.kms.createKey({ type: { kty: 'EC', crv: 'P-256' } })
  return Kms.PublicJwk.fromPublicJwk(publicJwk)
}
