package health.carekey.wallet.android

import android.annotation.TargetApi
import android.content.Context
import android.credentials.CreateCredentialException
import android.credentials.CreateCredentialRequest
import android.credentials.CreateCredentialResponse
import android.credentials.CredentialManager
import android.credentials.CredentialOption
import android.credentials.GetCredentialException
import android.credentials.GetCredentialRequest
import android.credentials.GetCredentialResponse
import android.os.Build
import android.os.Bundle
import android.os.CancellationSignal
import android.os.OutcomeReceiver
import health.carekey.wallet.PasskeyClient
import health.carekey.wallet.PlatformException
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException

/**
 * Passkeys and security keys of the system's Credential Manager, on Android 14 and later: JSON of WebAuthn in and out. The
 * names are those by which androidx.credentials speaks to it.
 */
class CredentialManagerPasskeys(private val activity: () -> Context) : PasskeyClient {

    override suspend fun create(optionsJson: String): String {
        val manager = manager()
        val data = Bundle().apply {
            putString("$PREFIX.BUNDLE_KEY_REQUEST_JSON", optionsJson)
            putString("$PREFIX.BUNDLE_KEY_SUBTYPE", "$PREFIX.BUNDLE_VALUE_SUBTYPE_CREATE_PUBLIC_KEY_CREDENTIAL_REQUEST")
        }
        return created(manager, data)
    }

    @TargetApi(Build.VERSION_CODES.UPSIDE_DOWN_CAKE)
    private suspend fun created(manager: CredentialManager, data: Bundle): String =
        suspendCancellableCoroutine { continuation ->
            val context = activity()
            val request = CreateCredentialRequest.Builder(TYPE, data, Bundle()).setAlwaysSendAppInfoToProvider(true).build()
            val receiver = object : OutcomeReceiver<CreateCredentialResponse, CreateCredentialException> {
                override fun onResult(result: CreateCredentialResponse) =
                    answer(continuation, result.data.getString("$PREFIX.BUNDLE_KEY_REGISTRATION_RESPONSE_JSON"))

                override fun onError(error: CreateCredentialException) =
                    refuse(continuation, error.type, CreateCredentialException.TYPE_USER_CANCELED, error)
            }
            manager.createCredential(context, request, cancellation(continuation), context.mainExecutor, receiver)
        }

    override suspend fun get(optionsJson: String): String {
        val manager = manager()
        val data = Bundle().apply {
            putString("$PREFIX.BUNDLE_KEY_REQUEST_JSON", optionsJson)
            putString("$PREFIX.BUNDLE_KEY_SUBTYPE", "$PREFIX.BUNDLE_VALUE_SUBTYPE_GET_PUBLIC_KEY_CREDENTIAL_OPTION")
        }
        return got(manager, data)
    }

    @TargetApi(Build.VERSION_CODES.UPSIDE_DOWN_CAKE)
    private suspend fun got(manager: CredentialManager, data: Bundle): String =
        suspendCancellableCoroutine { continuation ->
            val context = activity()
            val option = CredentialOption.Builder(TYPE, data, data).build()
            val request = GetCredentialRequest.Builder(Bundle()).addCredentialOption(option).build()
            val receiver = object : OutcomeReceiver<GetCredentialResponse, GetCredentialException> {
                override fun onResult(result: GetCredentialResponse) = answer(
                    continuation,
                    result.credential.data.getString("$PREFIX.BUNDLE_KEY_AUTHENTICATION_RESPONSE_JSON"),
                )

                override fun onError(error: GetCredentialException) =
                    refuse(continuation, error.type, GetCredentialException.TYPE_USER_CANCELED, error)
            }
            manager.getCredential(context, request, cancellation(continuation), context.mainExecutor, receiver)
        }

    private fun manager(): CredentialManager {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.UPSIDE_DOWN_CAKE) {
            throw PlatformException.NotAvailable("the system has no Credential Manager")
        }
        return activity().getSystemService(CredentialManager::class.java)
            ?: throw PlatformException.NotAvailable("the system has no Credential Manager")
    }

    private fun cancellation(continuation: CancellableContinuation<String>) =
        CancellationSignal().also { signal -> continuation.invokeOnCancellation { signal.cancel() } }

    private fun answer(continuation: CancellableContinuation<String>, json: String?) {
        if (!continuation.isActive) return
        if (json == null) {
            continuation.resumeWithException(PlatformException.Unexpected("an answer without JSON"))
        } else {
            continuation.resume(json)
        }
    }

    private fun refuse(continuation: CancellableContinuation<String>, type: String, cancelled: String, error: Throwable) {
        if (!continuation.isActive) return
        val reason = if (type == cancelled) PlatformException.UserCancelled() else PlatformException.Unexpected("$type: $error")
        continuation.resumeWithException(reason)
    }

    private companion object {
        const val PREFIX = "androidx.credentials"
        const val TYPE = "$PREFIX.TYPE_PUBLIC_KEY_CREDENTIAL"
    }
}
