import AuthenticationServices
import CareKeyWalletFFI
import Foundation

/// Passkeys of the system: JSON of WebAuthn in and out. The app's associated domains must name the RP ID
/// (`webcredentials:`).
public final class Passkeys: NSObject, PasskeyClient, @unchecked Sendable {
    private let anchor: @MainActor @Sendable () -> ASPresentationAnchor

    /// - Parameter anchor: the window over which the system's sheet appears.
    public init(anchor: @escaping @MainActor @Sendable () -> ASPresentationAnchor) {
        self.anchor = anchor
    }

    private struct CreationOptions: Decodable {
        struct Entity: Decodable { let id: String }
        struct User: Decodable { let id: String; let name: String }
        struct Selection: Decodable { let userVerification: String? }
        let rp: Entity
        let user: User
        let challenge: String
        let authenticatorSelection: Selection?
    }

    private struct RequestOptions: Decodable {
        struct Key: Decodable { let id: String }
        let rpId: String
        let challenge: String
        let allowCredentials: [Key]?
        let userVerification: String?
    }

    public func create(optionsJson: String) async throws -> String {
        let options: CreationOptions = try read(optionsJson)
        let provider = ASAuthorizationPlatformPublicKeyCredentialProvider(relyingPartyIdentifier: options.rp.id)
        let request = provider.createCredentialRegistrationRequest(
            challenge: try bytes(options.challenge), name: options.user.name, userID: try bytes(options.user.id)
        )
        if let wanted = options.authenticatorSelection?.userVerification {
            request.userVerificationPreference = .init(rawValue: wanted)
        }
        let made = try await perform(request)
        guard let made = made as? ASAuthorizationPlatformPublicKeyCredentialRegistration,
              let object = made.rawAttestationObject
        else { throw PlatformError.Unexpected(reason: "an answer of another kind") }
        return try json(id: made.credentialID, response: [
            "clientDataJSON": text(made.rawClientDataJSON),
            "attestationObject": text(object),
            "transports": ["internal"],
        ])
    }

    public func get(optionsJson: String) async throws -> String {
        let options: RequestOptions = try read(optionsJson)
        let provider = ASAuthorizationPlatformPublicKeyCredentialProvider(relyingPartyIdentifier: options.rpId)
        let request = provider.createCredentialAssertionRequest(challenge: try bytes(options.challenge))
        request.allowedCredentials = try (options.allowCredentials ?? []).map {
            ASAuthorizationPlatformPublicKeyCredentialDescriptor(credentialID: try bytes($0.id))
        }
        if let wanted = options.userVerification {
            request.userVerificationPreference = .init(rawValue: wanted)
        }
        let made = try await perform(request)
        guard let made = made as? ASAuthorizationPlatformPublicKeyCredentialAssertion else {
            throw PlatformError.Unexpected(reason: "an answer of another kind")
        }
        return try json(id: made.credentialID, response: [
            "clientDataJSON": text(made.rawClientDataJSON),
            "authenticatorData": text(made.rawAuthenticatorData),
            "signature": text(made.signature),
            "userHandle": text(made.userID),
        ])
    }

    @MainActor
    private func perform(_ request: ASAuthorizationRequest) async throws -> ASAuthorizationCredential {
        let sheet = Sheet(anchor: anchor())
        do {
            return try await sheet.perform(request)
        } catch let error as ASAuthorizationError where error.code == .canceled {
            throw PlatformError.UserCancelled
        } catch {
            throw translated(error)
        }
    }

    private func read<T: Decodable>(_ json: String) throws -> T {
        do {
            return try JSONDecoder().decode(T.self, from: Data(json.utf8))
        } catch {
            throw PlatformError.Unexpected(reason: "the options cannot be read")
        }
    }

    private func json(id: Data, response: [String: Any]) throws -> String {
        let whole: [String: Any] = [
            "id": text(id), "rawId": text(id), "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": [String: Any](), "response": response,
        ]
        guard let data = try? JSONSerialization.data(withJSONObject: whole) else {
            throw PlatformError.Unexpected(reason: "the answer cannot be written")
        }
        return String(decoding: data, as: UTF8.self)
    }

    private func text(_ bytes: Data) -> String {
        bytes.base64EncodedString().replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_").replacingOccurrences(of: "=", with: "")
    }

    private func bytes(_ text: String) throws -> Data {
        var base64 = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
        guard let data = Data(base64Encoded: base64) else {
            throw PlatformError.Unexpected(reason: "the options hold something that is not base64url")
        }
        return data
    }
}

/// One sheet of the system; kept alive by the call that waits for it.
@MainActor
private final class Sheet: NSObject, ASAuthorizationControllerDelegate, ASAuthorizationControllerPresentationContextProviding {
    private let anchor: ASPresentationAnchor
    private var waiting: CheckedContinuation<ASAuthorizationCredential, Error>?

    init(anchor: ASPresentationAnchor) {
        self.anchor = anchor
    }

    func perform(_ request: ASAuthorizationRequest) async throws -> ASAuthorizationCredential {
        let controller = ASAuthorizationController(authorizationRequests: [request])
        controller.delegate = self
        controller.presentationContextProvider = self
        return try await withCheckedThrowingContinuation { continuation in
            waiting = continuation
            controller.performRequests()
        }
    }

    func presentationAnchor(for controller: ASAuthorizationController) -> ASPresentationAnchor { anchor }

    func authorizationController(
        controller: ASAuthorizationController, didCompleteWithAuthorization authorization: ASAuthorization
    ) {
        waiting?.resume(returning: authorization.credential)
        waiting = nil
    }

    func authorizationController(controller: ASAuthorizationController, didCompleteWithError error: Error) {
        waiting?.resume(throwing: error)
        waiting = nil
    }
}
