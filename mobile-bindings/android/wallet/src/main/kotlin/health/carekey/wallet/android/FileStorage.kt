package health.carekey.wallet.android

import android.content.Context
import android.util.AtomicFile
import health.carekey.wallet.GenerationAnchor
import health.carekey.wallet.StorageException
import health.carekey.wallet.WalletStorage
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.util.Base64

/**
 * One file per name in the app's private folder, outside of backups: what may move to another phone goes through the
 * wallet's own backup. Each write is whole or not at all, and synchronised before it returns.
 */
class FileStorage(context: Context, folder: String = "carekey") : WalletStorage {
    private val folder = File(context.noBackupFilesDir, folder)
    private val lock = Mutex()

    override suspend fun get(name: String): ByteArray? = told {
        try {
            file(name).readFully()
        } catch (_: FileNotFoundException) {
            null
        }
    }

    override suspend fun put(name: String, value: ByteArray): Unit = told {
        if (!folder.isDirectory && !folder.mkdirs()) throw IOException("the folder cannot be made")
        val file = file(name)
        val stream = file.startWrite()
        try {
            stream.write(value)
            file.finishWrite(stream)
        } catch (problem: IOException) {
            file.failWrite(stream)
            throw problem
        }
    }

    override suspend fun remove(name: String): Unit = told { file(name).delete() }

    override suspend fun list(prefix: String): List<String> = told {
        folder.list().orEmpty().mapNotNull { name(it) }.filter { it.startsWith(prefix) }
    }

    private fun file(name: String) =
        AtomicFile(File(folder, Base64.getUrlEncoder().withoutPadding().encodeToString(name.encodeToByteArray())))

    /** The name behind a file; `null` for leftovers of writes. */
    private fun name(file: String): String? = try {
        Base64.getUrlDecoder().decode(file).decodeToString()
    } catch (_: IllegalArgumentException) {
        null
    }

    private suspend fun <T> told(work: () -> T): T = withContext(Dispatchers.IO) {
        lock.withLock {
            try {
                work()
            } catch (problem: IOException) {
                throw StorageException.Failed(problem.toString())
            }
        }
    }
}

/** The wallet's generation in a folder of its own, which neither backups nor the storage's own restore reach. */
class FileAnchor(context: Context) : GenerationAnchor {
    private val storage = FileStorage(context, "carekey-anchor")

    override suspend fun load(): ByteArray? = storage.get("generation")

    override suspend fun store(value: ByteArray) = storage.put("generation", value)
}
