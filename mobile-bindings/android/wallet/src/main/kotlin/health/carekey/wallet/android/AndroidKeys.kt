package health.carekey.wallet.android

import android.content.Context
import android.content.pm.PackageManager
import android.hardware.biometrics.BiometricManager
import android.hardware.biometrics.BiometricManager.Authenticators
import android.hardware.biometrics.BiometricPrompt
import android.os.Build
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.StrongBoxUnavailableException
import android.security.keystore.UserNotAuthenticatedException
import health.carekey.wallet.AuthRequirement
import health.carekey.wallet.DeviceCapabilities
import health.carekey.wallet.HardwareKeyStore
import health.carekey.wallet.KeyEvidence
import health.carekey.wallet.KeyInfo
import health.carekey.wallet.KeySpec
import health.carekey.wallet.PlatformException
import health.carekey.wallet.Prompt
import health.carekey.wallet.SignItem
import java.math.BigInteger
import java.security.GeneralSecurityException
import java.security.KeyFactory
import java.security.KeyPairGenerator
import java.security.KeyStore
import java.security.PrivateKey
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import android.security.keystore.KeyInfo as StoredKey

/**
 * Keys in the AndroidKeyStore: StrongBox where it is there and asked for, otherwise the processor's secure environment.
 *
 * One prompt serves a whole presentation: the authenticator's key asks for a biometric at every use, which a
 * `CryptoObject` authorises for exactly one signature; holder keys only ask that the phone is unlocked, and sign after it.
 */
class AndroidKeys(private val context: Context, private val person: PersonPrompt) : HardwareKeyStore {
    private val store: KeyStore = KeyStore.getInstance(PROVIDER).apply { load(null) }

    override suspend fun capabilities(): DeviceCapabilities {
        val strongbox = context.packageManager.hasSystemFeature(PackageManager.FEATURE_STRONGBOX_KEYSTORE)
        return DeviceCapabilities(
            hardwareBacked = true,
            strongbox = strongbox,
            biometryEnrolled = biometryEnrolled(),
            attestation = true,
        )
    }

    private fun biometryEnrolled(): Boolean =
        context.getSystemService(BiometricManager::class.java)
            ?.canAuthenticate(Authenticators.BIOMETRIC_STRONG) == BiometricManager.BIOMETRIC_SUCCESS

    override suspend fun generate(spec: KeySpec): KeyInfo {
        if (spec.auth is AuthRequirement.BiometricEveryUse && !biometryEnrolled()) {
            throw PlatformException.BiometryNotEnrolled()
        }
        try {
            try {
                generatePair(spec, spec.preferStrongbox)
            } catch (_: StrongBoxUnavailableException) {
                generatePair(spec, strongbox = false)
            }
            val chain = store.getCertificateChain(spec.alias).map { it.encoded }
            val attested = spec.attestationChallenge.isNotEmpty()
            val public = store.getCertificate(spec.alias).publicKey as ECPublicKey
            return KeyInfo(
                alias = spec.alias,
                publicKey = uncompressed(public),
                evidence = if (attested) KeyEvidence.AndroidKey(chain) else KeyEvidence.None,
                hardwareBacked = inHardware(stored(privateKey(spec.alias))),
            )
        } catch (problem: GeneralSecurityException) {
            delete(spec.alias)
            throw PlatformException.NotAvailable("the key could not be made: $problem")
        }
    }

    private fun generatePair(spec: KeySpec, strongbox: Boolean) {
        val parameters = KeyGenParameterSpec.Builder(spec.alias, KeyProperties.PURPOSE_SIGN)
            .setAlgorithmParameterSpec(ECGenParameterSpec("secp256r1"))
            .setDigests(KeyProperties.DIGEST_SHA256)
            .setIsStrongBoxBacked(strongbox)
        when (val auth = spec.auth) {
            is AuthRequirement.DeviceUnlocked -> parameters.setUnlockedDeviceRequired(true)
            is AuthRequirement.BiometricOrPasscode ->
                parameters.setUserAuthenticationRequired(true).setUserAuthenticationParameters(
                    auth.validForSecs.toInt().coerceAtLeast(1),
                    KeyProperties.AUTH_BIOMETRIC_STRONG or KeyProperties.AUTH_DEVICE_CREDENTIAL,
                )
            is AuthRequirement.BiometricEveryUse ->
                parameters.setUserAuthenticationRequired(true)
                    .setUserAuthenticationParameters(0, KeyProperties.AUTH_BIOMETRIC_STRONG)
                    .setInvalidatedByBiometricEnrollment(auth.currentSetOnly)
        }
        if (spec.attestationChallenge.isNotEmpty()) {
            parameters.setAttestationChallenge(spec.attestationChallenge)
        }
        KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_EC, PROVIDER).run {
            initialize(parameters.build())
            generateKeyPair()
        }
    }

    override suspend fun sign(items: List<SignItem>, prompt: Prompt?): List<ByteArray> {
        try {
            val keys = items.map { privateKey(it.alias) }
            val guarded = keys.indices.filter { everyUse(stored(keys[it])) }
            if (guarded.size > 1) {
                throw PlatformException.NotAvailable("one prompt authorises one use of a key that asks at every use")
            }
            val signatures = arrayOfNulls<ByteArray>(items.size)
            // Asked first: on refusal nothing at all is signed.
            val asked = guarded.singleOrNull()
            if (asked != null) {
                val signature = started(keys[asked])
                val shown = prompt ?: throw PlatformException.Unexpected("the key needs a prompt")
                person.confirm(shown, BiometricPrompt.CryptoObject(signature))
                signatures[asked] = finished(signature, items[asked].message)
            } else if (prompt != null && keys.any { stored(it).isUserAuthenticationRequired }) {
                person.confirm(prompt, crypto = null, passcode = true)
            }
            for (index in items.indices) {
                if (index != asked) signatures[index] = finished(started(keys[index]), items[index].message)
            }
            return signatures.map { checkNotNull(it) }
        } catch (_: KeyPermanentlyInvalidatedException) {
            throw PlatformException.KeyInvalidated()
        } catch (problem: UserNotAuthenticatedException) {
            throw PlatformException.Unexpected("the time window of the key is over: $problem")
        } catch (problem: GeneralSecurityException) {
            throw PlatformException.Unexpected("signing failed: $problem")
        }
    }

    override suspend fun delete(alias: String) {
        try {
            store.deleteEntry(alias)
        } catch (problem: GeneralSecurityException) {
            throw PlatformException.Unexpected("the key could not be deleted: $problem")
        }
    }

    /** A key that is gone was invalidated: the system removes such keys, or keeps a name without a key. */
    private fun privateKey(alias: String): PrivateKey =
        store.getKey(alias, null) as? PrivateKey ?: throw PlatformException.KeyInvalidated()

    private fun started(key: PrivateKey): Signature =
        Signature.getInstance("SHA256withECDSA").apply { initSign(key) }

    private fun finished(signature: Signature, message: ByteArray): ByteArray = signature.run {
        update(message)
        sign()
    }

    private fun stored(key: PrivateKey): StoredKey =
        KeyFactory.getInstance(key.algorithm, PROVIDER).getKeySpec(key, StoredKey::class.java)

    private fun everyUse(key: StoredKey): Boolean =
        key.isUserAuthenticationRequired && key.userAuthenticationValidityDurationSeconds <= 0

    @Suppress("DEPRECATION") // what there was before Android 12
    private fun inHardware(key: StoredKey): Boolean =
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
            key.securityLevel == KeyProperties.SECURITY_LEVEL_STRONGBOX ||
                key.securityLevel == KeyProperties.SECURITY_LEVEL_TRUSTED_ENVIRONMENT
        } else {
            key.isInsideSecureHardware
        }

    private fun uncompressed(key: ECPublicKey): ByteArray =
        byteArrayOf(4) + coordinate(key.w.affineX) + coordinate(key.w.affineY)

    private fun coordinate(value: BigInteger): ByteArray {
        val bytes = value.toByteArray()
        val start = (bytes.size - COORDINATE).coerceAtLeast(0)
        return ByteArray(COORDINATE).also { bytes.copyInto(it, COORDINATE - (bytes.size - start), start) }
    }

    private companion object {
        const val PROVIDER = "AndroidKeyStore"
        const val COORDINATE = 32
    }
}
