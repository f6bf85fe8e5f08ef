import CareKeyWalletFFI
import CryptoKit
import DeviceCheck
import Foundation

/// Evidence that this is the genuine app on a genuine device, over a key of the authenticator.
///
/// A fresh App Attest key for each enrolment: issuers cannot recognise the device by it, and each has seen the attestation
/// of the key whose assertion it gets.
public final class AppAttest: @unchecked Sendable {
    private let service = DCAppAttestService.shared

    public init() {}

    public var isSupported: Bool { service.isSupported }

    /// `SHA-256("biometric-binding/v1/app-attest" ‖ 0x00 ‖ challenge ‖ key)`: what `carekey_core::attestation::app_attest`
    /// expects.
    static func clientDataHash(challenge: Data, publicKey: Data) -> Data {
        Data(SHA256.hash(data: Data("biometric-binding/v1/app-attest\0".utf8) + challenge + publicKey))
    }

    func evidence(challenge: Data, publicKey: Data) async throws -> KeyEvidence {
        let hash = Self.clientDataHash(challenge: challenge, publicKey: publicKey)
        do {
            let keyId = try await service.generateKey()
            let attestation = try await service.attestKey(keyId, clientDataHash: hash)
            let assertion = try await service.generateAssertion(keyId, clientDataHash: hash)
            guard let name = Data(base64Encoded: keyId) else {
                throw PlatformError.Unexpected(reason: "the key's name is not base64")
            }
            return .appleAppAttest(attestation: attestation, assertion: assertion, keyId: name)
        } catch let error as DCError where error.code == .featureUnsupported {
            return .none
        } catch let error as DCError where error.code == .serverUnavailable {
            throw PlatformError.NotAvailable(reason: "Apple's attestation service did not answer")
        } catch {
            throw translated(error)
        }
    }
}
