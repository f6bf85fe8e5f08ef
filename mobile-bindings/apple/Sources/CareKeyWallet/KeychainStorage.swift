import CareKeyWalletFFI
import Foundation
import Security

/// Records as Keychain items of this device: they are in no backup, and each is written whole or not at all.
public final class KeychainStorage: WalletStorage, @unchecked Sendable {
    private let service: String

    public init(service: String = "health.carekey.wallet") {
        self.service = service
    }

    public func get(name: String) async throws -> Data? {
        var query = item(name)
        query[kSecReturnData] = true
        var found: CFTypeRef?
        switch SecItemCopyMatching(query as CFDictionary, &found) {
        case errSecSuccess: return found as? Data
        case errSecItemNotFound: return nil
        case let status: throw failed(status)
        }
    }

    public func put(name: String, value: Data) async throws {
        let status = SecItemUpdate(item(name) as CFDictionary, [kSecValueData: value] as CFDictionary)
        if status == errSecSuccess { return }
        guard status == errSecItemNotFound else { throw failed(status) }
        var new = item(name)
        new[kSecValueData] = value
        new[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        let added = SecItemAdd(new as CFDictionary, nil)
        guard added == errSecSuccess else { throw failed(added) }
    }

    public func remove(name: String) async throws {
        let status = SecItemDelete(item(name) as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw failed(status) }
    }

    public func list(prefix: String) async throws -> [String] {
        let query: [CFString: Any] = [
            kSecClass: kSecClassGenericPassword,
            kSecAttrService: service,
            kSecMatchLimit: kSecMatchLimitAll,
            kSecReturnAttributes: true,
        ]
        var found: CFTypeRef?
        switch SecItemCopyMatching(query as CFDictionary, &found) {
        case errSecSuccess:
            let items = found as? [[CFString: Any]] ?? []
            return items.compactMap { $0[kSecAttrAccount] as? String }.filter { $0.hasPrefix(prefix) }
        case errSecItemNotFound: return []
        case let status: throw failed(status)
        }
    }

    private func item(_ name: String) -> [CFString: Any] {
        [kSecClass: kSecClassGenericPassword, kSecAttrService: service, kSecAttrAccount: name]
    }

    private func failed(_ status: OSStatus) -> StorageError {
        .Failed(reason: "OSStatus \(status)")
    }
}

/// The wallet's generation under another service name than its records.
public final class KeychainAnchor: GenerationAnchor, @unchecked Sendable {
    private let storage = KeychainStorage(service: "health.carekey.wallet.anchor")

    public init() {}

    public func load() async throws -> Data? { try await storage.get(name: "generation") }

    public func store(value: Data) async throws { try await storage.put(name: "generation", value: value) }
}
