import CareKeyWalletFFI
import Foundation
import LocalAuthentication
import Security

/// Wraps the wallet's data key for a key of the Secure Enclave that opens by a biometric of the enrolled set only (ECIES):
/// its public half wraps without a prompt.
public final class KeychainWrapper: KeyWrapper, @unchecked Sendable {
    private static let algorithm = SecKeyAlgorithm.eciesEncryptionCofactorVariableIVX963SHA256AESGCM

    public init() {}

    public func wrap(slot: String, secret: Data) async throws -> Data {
        let key = try find(slot, context: nil) ?? make(slot)
        guard let publicKey = SecKeyCopyPublicKey(key) else {
            throw PlatformError.Unexpected(reason: "the public key cannot be read")
        }
        var problem: Unmanaged<CFError>?
        guard let wrapped = SecKeyCreateEncryptedData(publicKey, Self.algorithm, secret as CFData, &problem) else {
            throw translated(problem)
        }
        return wrapped as Data
    }

    public func unwrapSecret(slot: String, wrapped: Data, prompt: Prompt?) async throws -> Data {
        let context = LAContext()
        if let prompt {
            context.localizedCancelTitle = prompt.cancelLabel
            context.localizedFallbackTitle = ""
            do {
                try await context.evaluatePolicy(
                    .deviceOwnerAuthenticationWithBiometrics, localizedReason: prompt.reason
                )
            } catch {
                throw translated(error)
            }
        }
        context.interactionNotAllowed = true
        guard let key = try find(slot, context: context) else { throw PlatformError.KeyInvalidated }
        var problem: Unmanaged<CFError>?
        guard let secret = SecKeyCreateDecryptedData(key, Self.algorithm, wrapped as CFData, &problem) else {
            throw translated(problem)
        }
        return secret as Data
    }

    public func forget(slot: String) async throws {
        let query: [CFString: Any] = [kSecClass: kSecClassKey, kSecAttrApplicationTag: tag(slot)]
        let status = SecItemDelete(query as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw translated(status) }
    }

    private func make(_ slot: String) throws -> SecKey {
        var problem: Unmanaged<CFError>?
        guard let access = SecAccessControlCreateWithFlags(
            nil, kSecAttrAccessibleWhenUnlockedThisDeviceOnly, [.privateKeyUsage, .biometryCurrentSet], &problem
        ) else { throw translated(problem) }
        let attributes: [CFString: Any] = [
            kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom,
            kSecAttrKeySizeInBits: 256,
            kSecAttrTokenID: kSecAttrTokenIDSecureEnclave,
            kSecPrivateKeyAttrs: [
                kSecAttrIsPermanent: true,
                kSecAttrApplicationTag: tag(slot),
                kSecAttrAccessControl: access,
            ] as [CFString: Any],
        ]
        guard let key = SecKeyCreateRandomKey(attributes as CFDictionary, &problem) else { throw translated(problem) }
        return key
    }

    private func find(_ slot: String, context: LAContext?) throws -> SecKey? {
        var query: [CFString: Any] = [
            kSecClass: kSecClassKey, kSecAttrApplicationTag: tag(slot), kSecReturnRef: true,
        ]
        if let context { query[kSecUseAuthenticationContext] = context }
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        if status == errSecItemNotFound { return nil }
        guard status == errSecSuccess, let found, CFGetTypeID(found) == SecKeyGetTypeID() else {
            throw translated(status)
        }
        // swiftlint:disable:next force_cast
        return (found as! SecKey)
    }

    private func tag(_ slot: String) -> Data { Data("health.carekey.wrap.\(slot)".utf8) }
}
