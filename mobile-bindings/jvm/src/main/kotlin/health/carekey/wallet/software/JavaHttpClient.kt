package health.carekey.wallet.software

import health.carekey.wallet.HttpException
import health.carekey.wallet.HttpHeader
import health.carekey.wallet.WalletHttpClient
import health.carekey.wallet.WalletHttpRequest
import health.carekey.wallet.WalletHttpResponse
import java.io.IOException
import java.net.InetAddress
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.time.Duration
import kotlinx.coroutines.future.await

/**
 * HTTP with the JDK's client: `https` only, or `http` to this computer when [loopback] allows it; no redirects, no
 * cookies, thirty seconds, four MiB.
 */
class JavaHttpClient(private val loopback: Boolean = false) : WalletHttpClient {
    private val client = HttpClient.newBuilder()
        .followRedirects(HttpClient.Redirect.NEVER)
        .connectTimeout(Duration.ofSeconds(10))
        .build()

    override suspend fun send(request: WalletHttpRequest): WalletHttpResponse {
        val uri = URI(request.url)
        val local = loopback && InetAddress.getByName(uri.host).isLoopbackAddress
        if (uri.scheme != "https" && !local) throw HttpException.Unreachable("not https")
        val body = if (request.method == "GET") {
            HttpRequest.BodyPublishers.noBody()
        } else {
            HttpRequest.BodyPublishers.ofByteArray(request.body)
        }
        val built = HttpRequest.newBuilder(uri).timeout(Duration.ofSeconds(30)).method(request.method, body)
        request.headers.forEach { built.header(it.name, it.value) }
        val response = try {
            client.sendAsync(built.build(), HttpResponse.BodyHandlers.ofInputStream()).await()
        } catch (problem: IOException) {
            throw HttpException.Unreachable(problem.javaClass.simpleName)
        }
        val bytes = response.body().use { it.readNBytes(MAX_BYTES + 1) }
        if (bytes.size > MAX_BYTES) throw HttpException.Unreachable("the answer is too large")
        val headers = response.headers().map().flatMap { (name, values) -> values.map { HttpHeader(name, it) } }
        return WalletHttpResponse(response.statusCode().toUShort(), headers, bytes)
    }

    private companion object {
        const val MAX_BYTES = 4 * 1024 * 1024
    }
}
