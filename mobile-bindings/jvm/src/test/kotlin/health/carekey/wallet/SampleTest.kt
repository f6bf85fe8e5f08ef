package health.carekey.wallet

import health.carekey.wallet.software.MemoryStorage
import health.carekey.wallet.software.SoftwareKeyStore
import java.io.ByteArrayOutputStream
import java.io.PrintStream
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

class SampleTest {
    @Test
    fun `the sample collects and shows`() {
        Demo().use { demo ->
            val offer = demo.offer(JsonArray(listOf(JsonPrimitive("patient_identity"))), txCode = true)
            val request = demo.request(
                buildJsonObject {
                    put("template", JsonPrimitive("patient_identity"))
                    put("purpose", JsonPrimitive("Open your record"))
                    put("min_level", JsonPrimitive("uv"))
                },
            )
            val text = { name: String -> offer.getValue(name).jsonPrimitive.content }
            val answers = "${text("tx_code")}\ny\ny\ny\n"
            val (stdin, stdout, said) = Triple(System.`in`, System.out, ByteArrayOutputStream())
            try {
                System.setIn(answers.byteInputStream())
                System.setOut(PrintStream(said, true))
                val link = request.getValue("request_uri").jsonPrimitive.content
                main(arrayOf(demo.folder.toString(), text("credential_offer_uri"), link))
            } finally {
                System.setIn(stdin)
                System.setOut(stdout)
            }
            assertTrue(said.toString().contains("The portal took it."), said.toString())
            assertEquals("verified", demo.state(request))
        }
    }

    private val config = WalletConfig(
        clientId = "app", rpId = "app.example", origin = "https://app.example", name = "App", locale = "en",
        verifiers = TrustedVerifiers(), authenticator = AuthenticatorSource.EMBEDDED,
    )

    private fun platform(http: WalletHttpClient) =
        WalletPlatform(keys = SoftwareKeyStore {}, storage = MemoryStorage(), http = http, wrapper = health.carekey.wallet.software.SoftwareKeyWrapper {})

    private suspend fun ready(http: WalletHttpClient): Wallet {
        val wallet = openWallet(config, platform(http))
        wallet.vault().addHardwareEntry("This phone")
        wallet.vault().createRecoveryCode("Paper")
        return wallet
    }

    private val link = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fhospital.example%2Foffer"

    @Test
    fun `cancelling the coroutine cancels the app's own call`() = runBlocking {
        val (begun, ended) = CompletableDeferred<Unit>() to CompletableDeferred<Unit>()
        val wallet = ready(object : WalletHttpClient {
            override suspend fun send(request: WalletHttpRequest): WalletHttpResponse {
                begun.complete(Unit)
                try {
                    awaitCancellation()
                } finally {
                    ended.complete(Unit)
                }
            }
        })
        val call = launch { wallet.beginIssuance(link) }
        withTimeout(10_000) { begun.await() }
        call.cancel()
        withTimeout(10_000) { ended.await() }
        assertEquals(LockState.UNLOCKED, wallet.lockState())
    }

    @Test
    fun `an exception of the app is an error and no crash`() = runBlocking {
        val wallet = ready(object : WalletHttpClient {
            override suspend fun send(request: WalletHttpRequest): WalletHttpResponse = error("a fault of the app")
        })
        val facts = assertThrows<WalletException.Network> { runBlocking { wallet.beginIssuance(link) } }.explain()
        assertEquals(Party.NETWORK to Advice.CHECK_CONNECTION, facts.party to facts.advice)
    }

    @Test
    fun `certificates that are none are named`() = runBlocking<Unit> {
        val wrong = config.copy(verifiers = TrustedVerifiers(anchors = listOf(byteArrayOf(1))))
        val http = object : WalletHttpClient {
            override suspend fun send(request: WalletHttpRequest): WalletHttpResponse = error("not asked")
        }
        val error = assertThrows<WalletException.Internal> { runBlocking { openWallet(wrong, platform(http)) } }
        assertEquals("wallet_config" to Party.APP, error.explain().code to error.explain().party)
    }
}
