import CareKeyWalletFFI
import Foundation
import LocalAuthentication
import Security

/// Keys in the Secure Enclave. The authenticator's key asks for a biometric of the set that was enrolled when it was made.
///
/// One `LAContext`, evaluated once, serves both signatures of a presentation: it stays for the call without a prompt that
/// follows the call with one.
public final class SecureEnclaveKeys: HardwareKeyStore, @unchecked Sendable {
    private let attest: AppAttest?
    private let lock = NSLock()
    private var confirmed: LAContext?

    /// - Parameter attest: whether keys of the authenticator come with App Attest evidence.
    public init(attest: AppAttest? = AppAttest()) {
        self.attest = attest
    }

    public func capabilities() async throws -> DeviceCapabilities {
        var problem: NSError?
        let enrolled = LAContext().canEvaluatePolicy(.deviceOwnerAuthenticationWithBiometrics, error: &problem)
        return DeviceCapabilities(
            hardwareBacked: true,
            strongbox: false,
            biometryEnrolled: enrolled,
            attestation: attest?.isSupported ?? false
        )
    }

    public func generate(spec: KeySpec) async throws -> KeyInfo {
        let flags: SecAccessControlCreateFlags
        switch spec.auth {
        case .deviceUnlocked: flags = [.privateKeyUsage]
        case .biometricOrPasscode: flags = [.privateKeyUsage, .userPresence]
        case .biometricEveryUse(let currentSetOnly):
            flags = currentSetOnly ? [.privateKeyUsage, .biometryCurrentSet] : [.privateKeyUsage, .biometryAny]
        }
        if case .biometricEveryUse = spec.auth, try await !capabilities().biometryEnrolled {
            throw PlatformError.BiometryNotEnrolled
        }
        var problem: Unmanaged<CFError>?
        guard let access = SecAccessControlCreateWithFlags(
            nil, kSecAttrAccessibleWhenUnlockedThisDeviceOnly, flags, &problem
        ) else { throw translated(problem) }
        let attributes: [CFString: Any] = [
            kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom,
            kSecAttrKeySizeInBits: 256,
            kSecAttrTokenID: kSecAttrTokenIDSecureEnclave,
            kSecPrivateKeyAttrs: [
                kSecAttrIsPermanent: true,
                kSecAttrApplicationTag: tag(spec.alias),
                kSecAttrAccessControl: access,
            ] as [CFString: Any],
        ]
        guard let key = SecKeyCreateRandomKey(attributes as CFDictionary, &problem) else { throw translated(problem) }
        guard let point = SecKeyCopyPublicKey(key).flatMap({ SecKeyCopyExternalRepresentation($0, nil) }) as Data? else {
            throw PlatformError.Unexpected(reason: "the public key cannot be read")
        }
        var evidence = KeyEvidence.none
        if case .authenticatorKey = spec.purpose, !spec.attestationChallenge.isEmpty, let attest, attest.isSupported {
            evidence = try await attest.evidence(challenge: spec.attestationChallenge, publicKey: point)
        }
        return KeyInfo(alias: spec.alias, publicKey: point, evidence: evidence, hardwareBacked: true)
    }

    public func sign(items: [SignItem], prompt: Prompt?) async throws -> [Data] {
        let context: LAContext
        if let prompt {
            context = LAContext()
            context.localizedCancelTitle = prompt.cancelLabel
            context.localizedFallbackTitle = ""
            do {
                try await context.evaluatePolicy(
                    .deviceOwnerAuthenticationWithBiometrics, localizedReason: prompt.reason
                )
            } catch {
                throw translated(error)
            }
            keep(context)
        } else {
            context = take() ?? LAContext()
            // A key that wants more than this context has must fail, not prompt.
            context.interactionNotAllowed = true
        }
        return try items.map { try signature(of: $0, in: context) }
    }

    public func delete(alias: String) async throws {
        let query: [CFString: Any] = [kSecClass: kSecClassKey, kSecAttrApplicationTag: tag(alias)]
        let status = SecItemDelete(query as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw translated(status) }
    }

    private func signature(of item: SignItem, in context: LAContext) throws -> Data {
        let query: [CFString: Any] = [
            kSecClass: kSecClassKey,
            kSecAttrApplicationTag: tag(item.alias),
            kSecReturnRef: true,
            kSecUseAuthenticationContext: context,
        ]
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        guard status == errSecSuccess, let found, CFGetTypeID(found) == SecKeyGetTypeID() else {
            throw translated(status)
        }
        // swiftlint:disable:next force_cast
        let key = found as! SecKey
        var problem: Unmanaged<CFError>?
        let algorithm = SecKeyAlgorithm.ecdsaSignatureMessageX962SHA256
        guard let signature = SecKeyCreateSignature(key, algorithm, item.message as CFData, &problem) else {
            throw translated(problem)
        }
        return signature as Data
    }

    private func tag(_ alias: String) -> Data { Data("health.carekey.key.\(alias)".utf8) }

    private func keep(_ context: LAContext) {
        lock.withLock { confirmed = context }
    }

    private func take() -> LAContext? {
        lock.withLock {
            defer { confirmed = nil }
            return confirmed
        }
    }
}
