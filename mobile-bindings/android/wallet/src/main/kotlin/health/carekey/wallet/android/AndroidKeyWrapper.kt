package health.carekey.wallet.android

import android.hardware.biometrics.BiometricPrompt
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import health.carekey.wallet.KeyWrapper
import health.carekey.wallet.PlatformException
import health.carekey.wallet.Prompt
import java.security.GeneralSecurityException
import java.security.KeyFactory
import java.security.KeyPairGenerator
import java.security.KeyStore
import java.security.PrivateKey
import java.security.PublicKey
import java.security.spec.MGF1ParameterSpec
import java.security.spec.X509EncodedKeySpec
import javax.crypto.Cipher
import javax.crypto.spec.OAEPParameterSpec
import javax.crypto.spec.PSource

/**
 * Wraps the wallet's data key for a key of the AndroidKeyStore that asks for a biometric at every use and dies when one is
 * added. RSA-OAEP, because its public half wraps without a prompt.
 */
class AndroidKeyWrapper(private val person: PersonPrompt) : KeyWrapper {
    private val store: KeyStore = KeyStore.getInstance(PROVIDER).apply { load(null) }

    override suspend fun wrap(slot: String, secret: ByteArray): ByteArray = told {
        val public = store.getCertificate(alias(slot))?.publicKey ?: make(slot)
        // Out of the key store: its keys may not be used as they are for encryption without authentication.
        val plain = KeyFactory.getInstance(public.algorithm).generatePublic(X509EncodedKeySpec(public.encoded))
        Cipher.getInstance(TRANSFORMATION).run {
            init(Cipher.ENCRYPT_MODE, plain, OAEP)
            doFinal(secret)
        }
    }

    override suspend fun unwrapSecret(slot: String, wrapped: ByteArray, prompt: Prompt?): ByteArray = told {
        val key = store.getKey(alias(slot), null) as? PrivateKey ?: throw PlatformException.KeyInvalidated()
        val cipher = Cipher.getInstance(TRANSFORMATION).apply { init(Cipher.DECRYPT_MODE, key, OAEP) }
        val shown = prompt ?: throw PlatformException.Unexpected("the key needs a prompt")
        person.confirm(shown, BiometricPrompt.CryptoObject(cipher))
        cipher.doFinal(wrapped)
    }

    override suspend fun forget(slot: String): Unit = told { store.deleteEntry(alias(slot)) }

    private fun make(slot: String): PublicKey {
        val parameters = KeyGenParameterSpec.Builder(alias(slot), KeyProperties.PURPOSE_DECRYPT)
            .setKeySize(2048)
            .setDigests(KeyProperties.DIGEST_SHA256, KeyProperties.DIGEST_SHA1)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_RSA_OAEP)
            .setUserAuthenticationRequired(true)
            .setUserAuthenticationParameters(0, KeyProperties.AUTH_BIOMETRIC_STRONG)
            .setInvalidatedByBiometricEnrollment(true)
            .build()
        return KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_RSA, PROVIDER).run {
            initialize(parameters)
            generateKeyPair().public
        }
    }

    private inline fun <T> told(work: () -> T): T = try {
        work()
    } catch (_: KeyPermanentlyInvalidatedException) {
        throw PlatformException.KeyInvalidated()
    } catch (problem: GeneralSecurityException) {
        throw PlatformException.Unexpected("wrapping failed: $problem")
    }

    private fun alias(slot: String) = "health.carekey.wrap.$slot"

    private companion object {
        const val PROVIDER = "AndroidKeyStore"
        const val TRANSFORMATION = "RSA/ECB/OAEPWithSHA-256AndMGF1Padding"

        // The key store knows SHA-1 only for the mask.
        val OAEP = OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA1, PSource.PSpecified.DEFAULT)
    }
}
