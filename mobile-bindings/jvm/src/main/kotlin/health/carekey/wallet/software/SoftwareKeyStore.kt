package health.carekey.wallet.software

import health.carekey.wallet.AuthRequirement
import health.carekey.wallet.DeviceCapabilities
import health.carekey.wallet.HardwareKeyStore
import health.carekey.wallet.KeyEvidence
import health.carekey.wallet.KeyInfo
import health.carekey.wallet.KeySpec
import health.carekey.wallet.KeyWrapper
import health.carekey.wallet.PlatformException
import health.carekey.wallet.Prompt
import health.carekey.wallet.SignItem
import java.math.BigInteger
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicBoolean
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * The person in front of the device: answers a prompt by returning, refuses it by throwing a [PlatformException].
 */
fun interface Person {
    suspend fun confirm(prompt: Prompt)
}

/**
 * Keys in memory for demonstrations and tests of your app: nothing protects them.
 *
 * It keeps the rules of a phone: a key that wants the person signs only under a prompt, or in the call right after one.
 */
class SoftwareKeyStore(private val person: Person) : HardwareKeyStore {
    private class Entry(val pair: KeyPair, val auth: AuthRequirement)

    private val keys = ConcurrentHashMap<String, Entry>()
    private val invalidated = ConcurrentHashMap.newKeySet<String>()
    private val confirmed = AtomicBoolean(false)

    /** What happens when a finger is added on a phone: keys bound to the enrolled set are gone. */
    fun enrolAnotherFinger() {
        for ((alias, entry) in keys) {
            if ((entry.auth as? AuthRequirement.BiometricEveryUse)?.currentSetOnly == true) {
                keys.remove(alias)
                invalidated.add(alias)
            }
        }
    }

    override suspend fun capabilities() =
        DeviceCapabilities(hardwareBacked = false, strongbox = false, biometryEnrolled = true, attestation = false)

    override suspend fun generate(spec: KeySpec): KeyInfo {
        val generator = KeyPairGenerator.getInstance("EC")
        generator.initialize(ECGenParameterSpec("secp256r1"))
        val pair = generator.generateKeyPair()
        keys[spec.alias] = Entry(pair, spec.auth)
        val public = uncompressed(pair.public as ECPublicKey)
        return KeyInfo(spec.alias, public, KeyEvidence.None, hardwareBacked = false)
    }

    override suspend fun sign(items: List<SignItem>, prompt: Prompt?): List<ByteArray> {
        val entries = items.map { item ->
            if (item.alias in invalidated) throw PlatformException.KeyInvalidated()
            keys[item.alias] ?: throw PlatformException.Unexpected("there is no key ${item.alias}")
        }
        val before = confirmed.getAndSet(false)
        if (prompt != null) {
            person.confirm(prompt)
            confirmed.set(true)
        } else if (!before && entries.any { it.auth !is AuthRequirement.DeviceUnlocked }) {
            throw PlatformException.Unexpected("a key that wants the person was to be used without a prompt")
        }
        return entries.zip(items) { entry, item ->
            Signature.getInstance("SHA256withECDSA").run {
                initSign(entry.pair.private)
                update(item.message)
                sign()
            }
        }
    }

    override suspend fun delete(alias: String) {
        keys.remove(alias)
    }
}

/** Wrapping keys in memory, each use under a prompt: for demonstrations and tests of your app. */
class SoftwareKeyWrapper(private val person: Person) : KeyWrapper {
    private val keys = ConcurrentHashMap<String, SecretKey>()

    /** What happens when a finger is added on a phone: the wrapping keys are gone. */
    fun enrolAnotherFinger() = keys.clear()

    override suspend fun wrap(slot: String, secret: ByteArray): ByteArray {
        val key = keys.getOrPut(slot) { KeyGenerator.getInstance("AES").apply { init(256) }.generateKey() }
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.ENCRYPT_MODE, key)
        return cipher.iv + cipher.doFinal(secret)
    }

    override suspend fun unwrapSecret(slot: String, wrapped: ByteArray, prompt: Prompt?): ByteArray {
        val key = keys[slot] ?: throw PlatformException.KeyInvalidated()
        prompt?.let { person.confirm(it) }
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(128, wrapped, 0, 12))
        return cipher.doFinal(wrapped, 12, wrapped.size - 12)
    }

    override suspend fun forget(slot: String) {
        keys.remove(slot)
    }
}

/** SEC 1: 04, x, y. */
private fun uncompressed(key: ECPublicKey): ByteArray = byteArrayOf(4) + fixed(key.w.affineX) + fixed(key.w.affineY)

private fun fixed(number: BigInteger): ByteArray {
    val bytes = number.toByteArray().takeLast(32).toByteArray()
    return ByteArray(32 - bytes.size) + bytes
}
