import CareKeyWalletFFI
import Foundation
import LocalAuthentication
import Security

/// What the library understands of an error of the system.
func translated(_ error: Error) -> PlatformError {
    if let known = error as? PlatformError { return known }
    let error = error as NSError
    switch (error.domain, error.code) {
    case (LAErrorDomain, LAError.userCancel.rawValue), (LAErrorDomain, LAError.appCancel.rawValue),
         (LAErrorDomain, LAError.systemCancel.rawValue), (LAErrorDomain, LAError.userFallback.rawValue):
        return .UserCancelled
    case (LAErrorDomain, LAError.biometryLockout.rawValue):
        return .BiometryLockout
    case (LAErrorDomain, LAError.biometryNotEnrolled.rawValue), (LAErrorDomain, LAError.passcodeNotSet.rawValue):
        return .BiometryNotEnrolled
    case (LAErrorDomain, LAError.biometryNotAvailable.rawValue):
        return .NotAvailable(reason: "biometric hardware")
    case (NSOSStatusErrorDomain, let status):
        return translated(OSStatus(truncatingIfNeeded: status))
    default:
        return .Unexpected(reason: "\(error.domain) \(error.code)")
    }
}

func translated(_ problem: Unmanaged<CFError>?) -> PlatformError {
    guard let problem else { return .Unexpected(reason: "no reason was given") }
    return translated(problem.takeRetainedValue() as Error)
}

/// A key bound to the enrolled set is not found, or no longer opens, once the set has changed.
func translated(_ status: OSStatus) -> PlatformError {
    switch status {
    case errSecUserCanceled: return .UserCancelled
    case errSecItemNotFound, errSecAuthFailed: return .KeyInvalidated
    default: return .Unexpected(reason: "OSStatus \(status)")
    }
}
