package health.carekey.wallet

import health.carekey.wallet.software.JavaHttpClient
import health.carekey.wallet.software.MemoryStorage
import health.carekey.wallet.software.SoftwareKeyStore
import health.carekey.wallet.software.SoftwareKeyWrapper
import java.nio.file.Files
import java.util.Base64
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** `mobile-bindings/scenario.json`, step by step, against the running demo. */
class ScenarioTest {
    @Test
    fun `the scenario`() {
        val scenario = Json.parseToJsonElement(Files.readString(Demo.REPOSITORY.resolve("mobile-bindings/scenario.json")))
        Demo().use { demo ->
            val phone = Phone(demo)
            scenario.jsonObject.getValue("steps").jsonArray.forEachIndexed { index, step ->
                try {
                    runBlocking { phone.liveThrough(step.jsonObject) }
                } catch (problem: Throwable) {
                    throw AssertionError("step ${index + 1}, $step", problem)
                }
            }
        }
    }
}

private val PROMPT = Prompt(title = "CareKey", reason = "Confirm", cancelLabel = "Cancel")

/** A wallet on a phone in memory, and the person who holds it. */
private class Phone(private val demo: Demo) {
    private var prompts = 0
    private var answer = "confirms"
    private var keys = SoftwareKeyStore(::person)
    private var wrapper = SoftwareKeyWrapper(::person)
    private var storage = MemoryStorage()
    private lateinit var wallet: Wallet
    private lateinit var recoveryCode: String
    private lateinit var lostWallet: Wallet
    private lateinit var lostCode: String
    private lateinit var backup: ByteArray
    private lateinit var offered: JsonObject
    private lateinit var returned: String
    private lateinit var requested: JsonObject
    private lateinit var issuance: IssuanceSession
    private lateinit var presentation: PresentationSession

    private fun person(prompt: Prompt) {
        assertEquals(PROMPT, prompt)
        prompts += 1
        when (answer) {
            "confirms" -> {}
            "cancels" -> throw PlatformException.UserCancelled()
            "locked_out" -> throw PlatformException.BiometryLockout()
            "not_enrolled" -> throw PlatformException.BiometryNotEnrolled()
            else -> error("nobody answers $answer")
        }
    }

    /** What a step does, and what it returns. */
    private suspend fun act(step: JsonObject): Map<String, Any?> {
        when (val name = step.text("do")) {
            // The app is killed and started again, or started for the first time.
            "open", "restart" -> wallet = open()
            "add_hardware_entry" -> wallet.vault().addHardwareEntry(step.text("label")!!)
            "create_recovery_code" -> recoveryCode = wallet.vault().createRecoveryCode(step.text("label")!!)
            "offer" -> {
                val more = step.filterKeys { it in setOf("approval", "flow") }.toMutableMap()
                if ("replaces" in step) more["replaces"] = offered.getValue("id")
                offered = demo.offer(step.getValue("kinds").jsonArray, step.getValue("tx_code").jsonPrimitive.boolean, more)
            }
            "approve_offer" -> {
                demo.approve(offered)
                // A wallet may ask again after a second.
                delay(2000)
            }
            "review_offer" -> {
                issuance = wallet.beginIssuance(offered.text("credential_offer_uri")!!)
                val details = issuance.details()
                return mapOf(
                    "issuer" to details.issuerName,
                    "offered" to details.credentials.size,
                    "needs_code" to (details.txCode != null),
                    "signs_in" to details.signsIn,
                )
            }
            "accept" -> {
                val right = offered.text("tx_code")
                val code = when (step.text("tx_code")) {
                    "right" -> right
                    "wrong" -> if (right == "000000") "111111" else "000000"
                    else -> null
                }
                val outcome = issuance.accept(code, PROMPT)
                return mapOf("collected" to outcome.credentials.size, "waiting" to outcome.waiting.size)
            }
            "sign_in" -> returned = demo.browse(issuance.signIn(), offered.text("tx_code")!!)
            "resume" ->
                issuance.resume(if ("of_somebody_else" in step) returned.replace("state=", "state=x") else returned)
            "check_pending" -> {
                val report = wallet.checkPending()
                return mapOf("arrived" to report.arrived.size, "waiting" to report.waiting.size)
            }
            "refresh" -> {
                val ofKind = wallet.credentials().filter { it.configurationId == step.text("kind") }
                return mapOf("refreshed" to ofKind.sumOf { one -> wallet.credential(one.id).use { it.refresh(PROMPT).size } })
            }
            "refresh_due" -> {
                val report = wallet.refreshDue(null)
                return mapOf("refreshed" to report.refreshed.size, "left" to report.left.size)
            }
            "refresh_status" -> wallet.refreshStatus()
            "export_backup" -> backup = wallet.vault().exportBackup()
            "lose_phone" -> {
                lostWallet = wallet
                lostCode = recoveryCode
                keys = SoftwareKeyStore(::person)
                wrapper = SoftwareKeyWrapper(::person)
                storage = MemoryStorage()
            }
            "import_backup" -> {
                val code = if (step.text("code_of") == "new phone") recoveryCode else lostCode
                val restored = wallet.vault().importBackup(backup, code)
                return mapOf("restored" to restored.reenrol.size, "known" to restored.known.toInt())
            }
            "request" -> {
                val hospital = demo.text("hospital").trimEnd('/')
                val body = step.getValue("body").toString().replace("HOSPITAL", hospital)
                requested = demo.request(Json.parseToJsonElement(body).jsonObject)
            }
            "review_request" -> {
                presentation = wallet.beginPresentation(requested.text("request_uri")!!)
                val details = presentation.details()
                return mapOf(
                    "trusted" to details.trusted,
                    "answerable" to details.answerable,
                    "purpose" to details.purpose,
                    "queries" to presentation.choices().size,
                )
            }
            "approve" -> {
                val outcome = presentation.approve(presentation.defaultSelection().orEmpty(), PROMPT)
                return mapOf("accepted" to outcome.accepted, "refusal" to outcome.code)
            }
            "decline" -> presentation.decline()
            "lock" -> wallet.lock()
            "unlock" -> wallet.unlock(null, PROMPT)
            "unlock_with_code" ->
                wallet.unlockWithCode(if (step.text("which") == "right") recoveryCode else recoveryCode.dropLast(1))
            "enrol_another_finger" -> {
                keys.enrolAnotherFinger()
                wrapper.enrolAnotherFinger()
            }
            "revoke" -> {
                demo.credentials().filter { it.text("configuration_id") == step.text("kind") }.forEach(demo::revoke)
                // The portal may use its copy of the status list for two seconds.
                delay(3000)
            }
            "delete" -> wallet.credentials().filter { it.configurationId == step.text("kind") }.forEach {
                wallet.credential(it.id).use { credential -> credential.delete() }
            }
            "list" -> return mapOf("names" to wallet.credentials().map { it.name }.sorted())
            "activity" -> {
                val text = wallet.exportActivity()
                return mapOf("names_claims" to ("Family name" in text), "holds_values" to ("Testov" in text))
            }
            else -> error("nobody can $name")
        }
        return emptyMap()
    }

    private suspend fun open(): Wallet {
        val app = demo.told.getValue("app").jsonObject
        val der = { name: String -> Base64.getUrlDecoder().decode(demo.text(name)) }
        val config = WalletConfig(
            clientId = app.text("client_id")!!,
            rpId = app.text("rp_id")!!,
            origin = app.text("origin")!!,
            name = "CareKey for the JVM",
            locale = "en",
            authenticator = AuthenticatorSource.EMBEDDED,
            redirectUri = app.text("redirect_uri"),
            issuers = listOf(TrustedIssuers(anchors = listOf(der("hospital_anchor")))),
            verifiers = TrustedVerifiers(anchors = listOf(der("portal_anchor"))),
        )
        val platform = WalletPlatform(
            keys = keys,
            storage = storage,
            http = JavaHttpClient(loopback = true),
            wrapper = wrapper,
        )
        return openWallet(config, platform)
    }

    /** What can be seen after a step. */
    private suspend fun see(what: String): Any = when (what) {
        "lock_state" -> wallet.lockState().name.lowercase()
        "entries" -> wallet.vault().entries().size
        "states" -> states(wallet.credentials())
        "states_on_the_lost_phone" -> states(lostWallet.refreshStatus())
        "portal" -> demo.state(requested)
        else -> error("nobody can see $what")
    }

    suspend fun liveThrough(step: JsonObject) {
        prompts = 0
        answer = step.text("person") ?: "confirms"
        val expected = mapOf<String, JsonElement>("error" to JsonNull, "prompts" to JsonPrimitive(0)) +
            (step["expect"]?.jsonObject ?: emptyMap())
        val seen = try {
            mapOf("error" to null) + act(step)
        } catch (error: WalletException) {
            val facts = error.explain()
            mapOf(
                "error" to error::class.simpleName,
                "code" to facts.code,
                "party" to facts.party.name.lowercase(),
                "advice" to facts.advice.name.lowercase(),
            )
        } + mapOf("prompts" to prompts)
        for ((what, wanted) in expected) {
            val found = if (what in seen) seen[what] else see(what)
            assertEquals(wanted, json(found), what)
        }
    }
}

private fun states(all: List<CredentialSummary>) = all.map { it.state.name.lowercase() }.sorted()

private fun JsonObject.text(name: String): String? = this[name]?.jsonPrimitive?.contentOrNull

private fun json(value: Any?): JsonElement = when (value) {
    null -> JsonNull
    is Boolean -> JsonPrimitive(value)
    is Int -> JsonPrimitive(value)
    is String -> JsonPrimitive(value)
    is List<*> -> JsonArray(value.map(::json))
    else -> error("no JSON for $value")
}
