package health.carekey.wallet.android

import android.content.Context
import android.hardware.biometrics.BiometricManager.Authenticators
import android.hardware.biometrics.BiometricPrompt
import android.os.CancellationSignal
import health.carekey.wallet.PlatformException
import health.carekey.wallet.Prompt
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException

/**
 * Asks the person for a biometric of class 3, on the main thread. [activity] gives the context of the activity in front.
 */
class PersonPrompt(private val activity: () -> Context) {

    /**
     * One prompt. With [crypto], exactly the one operation in it is authorised; without, keys with a time window are.
     *
     * @throws PlatformException saying why there was no confirmation.
     */
    suspend fun confirm(prompt: Prompt, crypto: BiometricPrompt.CryptoObject?, passcode: Boolean = false) {
        val context = activity()
        suspendCancellableCoroutine { continuation ->
            val cancellation = CancellationSignal()
            continuation.invokeOnCancellation { cancellation.cancel() }
            context.mainExecutor.execute {
                val callback = object : BiometricPrompt.AuthenticationCallback() {
                    override fun onAuthenticationSucceeded(result: BiometricPrompt.AuthenticationResult) {
                        if (continuation.isActive) continuation.resume(Unit)
                    }

                    override fun onAuthenticationError(code: Int, message: CharSequence) {
                        if (continuation.isActive) continuation.resumeWithException(reason(code, message))
                    }
                }
                try {
                    val shown = built(context, prompt, passcode) {
                        if (continuation.isActive) {
                            continuation.resumeWithException(PlatformException.UserCancelled())
                        }
                    }
                    if (crypto == null) {
                        shown.authenticate(cancellation, context.mainExecutor, callback)
                    } else {
                        shown.authenticate(crypto, cancellation, context.mainExecutor, callback)
                    }
                } catch (problem: RuntimeException) {
                    val unexpected = PlatformException.Unexpected("the prompt could not be shown: $problem")
                    if (continuation.isActive) continuation.resumeWithException(unexpected)
                }
            }
        }
    }

    private fun built(context: Context, prompt: Prompt, passcode: Boolean, declined: () -> Unit): BiometricPrompt {
        val builder = BiometricPrompt.Builder(context).setTitle(prompt.title).setDescription(prompt.reason)
        if (passcode) {
            builder.setAllowedAuthenticators(Authenticators.BIOMETRIC_STRONG or Authenticators.DEVICE_CREDENTIAL)
        } else {
            builder.setAllowedAuthenticators(Authenticators.BIOMETRIC_STRONG)
            builder.setNegativeButton(prompt.cancelLabel, context.mainExecutor) { _, _ -> declined() }
        }
        return builder.build()
    }

    private fun reason(code: Int, message: CharSequence): PlatformException = when (code) {
        BiometricPrompt.BIOMETRIC_ERROR_USER_CANCELED, BiometricPrompt.BIOMETRIC_ERROR_CANCELED ->
            PlatformException.UserCancelled()
        BiometricPrompt.BIOMETRIC_ERROR_LOCKOUT, BiometricPrompt.BIOMETRIC_ERROR_LOCKOUT_PERMANENT ->
            PlatformException.BiometryLockout()
        BiometricPrompt.BIOMETRIC_ERROR_NO_BIOMETRICS, BiometricPrompt.BIOMETRIC_ERROR_NO_DEVICE_CREDENTIAL ->
            PlatformException.BiometryNotEnrolled()
        BiometricPrompt.BIOMETRIC_ERROR_HW_NOT_PRESENT, BiometricPrompt.BIOMETRIC_ERROR_HW_UNAVAILABLE,
        BiometricPrompt.BIOMETRIC_ERROR_SECURITY_UPDATE_REQUIRED ->
            PlatformException.NotAvailable("biometric hardware: $message")
        else -> PlatformException.Unexpected("prompt error $code: $message")
    }
}
