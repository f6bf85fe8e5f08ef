package health.carekey.wallet.software

import health.carekey.wallet.WalletStorage
import java.util.concurrent.ConcurrentHashMap

/** Storage that is gone with the process: for demonstrations and tests of your app. */
class MemoryStorage : WalletStorage {
    private val values = ConcurrentHashMap<String, ByteArray>()

    override suspend fun get(name: String): ByteArray? = values[name]

    override suspend fun put(name: String, value: ByteArray) {
        values[name] = value
    }

    override suspend fun remove(name: String) {
        values.remove(name)
    }

    override suspend fun list(prefix: String): List<String> = values.keys.filter { it.startsWith(prefix) }
}
