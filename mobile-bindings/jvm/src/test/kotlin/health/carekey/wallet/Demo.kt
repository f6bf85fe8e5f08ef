package health.carekey.wallet

import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.file.Files
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** The running demo: a hospital and a portal, and what their staff does. */
class Demo : AutoCloseable {
    /** Its data folder. */
    val folder: Path = Files.createTempDirectory("carekey-jvm")
    private val process: Process
    private val client = HttpClient.newHttpClient()

    /** What the demo says about itself. */
    val told: JsonObject

    init {
        val program = System.getenv("CAREKEY") ?: REPOSITORY.resolve("target/debug/carekey").toString()
        process = ProcessBuilder(program, "demo", "--json", "--data", folder.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start()
        told = Json.parseToJsonElement(process.inputReader().readLine()).jsonObject
    }

    override fun close() {
        process.destroy()
        process.waitFor(20, TimeUnit.SECONDS)
        folder.toFile().deleteRecursively()
    }

    fun text(name: String): String = told.getValue(name).jsonPrimitive.content

    private fun call(party: String, path: String, body: JsonElement? = null): JsonObject {
        val request = HttpRequest.newBuilder(URI(text(party) + path))
            .header("authorization", "Bearer ${text("${party}_token")}")
            .header("content-type", "application/json")
        if (body != null) request.POST(HttpRequest.BodyPublishers.ofString(body.toString()))
        val response = client.send(request.build(), HttpResponse.BodyHandlers.ofString())
        check(response.statusCode() < 300) { "$path: ${response.statusCode()} ${response.body()}" }
        return Json.parseToJsonElement(response.body()).jsonObject
    }

    fun offer(kinds: JsonArray, txCode: Boolean, more: Map<String, JsonElement> = emptyMap()): JsonObject = call(
        "hospital", "api/offers",
        buildJsonObject {
            put("credential_configuration_ids", kinds)
            put("fhir", PATIENT)
            put("tx_code", JsonPrimitive(txCode))
            more.forEach { (name, value) -> put(name, value) }
        },
    )

    fun approve(offer: JsonObject) {
        call("hospital", "api/offers/${offer.getValue("id").jsonPrimitive.content}/approve", JsonObject(emptyMap()))
    }

    /** What the person does in the system's browser: the hospital's page, the desk's code, and back to the app. */
    fun browse(url: String, code: String): String {
        val hospital = text("hospital").trimEnd('/')
        val opened = client.send(HttpRequest.newBuilder(URI(url)).build(), HttpResponse.BodyHandlers.ofString())
        val cookie = opened.headers().firstValue("set-cookie").get().substringBefore(';')
        val form = HttpRequest.newBuilder(URI("$hospital/oid4vci/login/code"))
            .header("cookie", cookie)
            .header("origin", hospital)
            .header("content-type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString("code=$code"))
        val page = client.send(form.build(), HttpResponse.BodyHandlers.ofString()).body()
        val back = told.getValue("app").jsonObject.getValue("redirect_uri").jsonPrimitive.content
        val link = page.split("href=\"").first { it.startsWith(back) }.substringBefore('"')
        return link.replace("&#38;", "&").replace("&amp;", "&")
    }

    fun request(body: JsonObject): JsonObject = call("portal", "api/requests", body)

    fun state(request: JsonObject): String =
        call("portal", "api/requests/${request.getValue("id").jsonPrimitive.content}").getValue("state").jsonPrimitive.content

    fun credentials(): List<JsonObject> =
        call("hospital", "api/credentials").getValue("credentials").jsonArray.map { it.jsonObject }

    fun revoke(credential: JsonObject) {
        call("hospital", "api/credentials/${credential.getValue("id").jsonPrimitive.content}/revoke", JsonObject(emptyMap()))
    }

    companion object {
        /** The repository: surefire runs in the module's folder. */
        val REPOSITORY: Path = Path.of("").toAbsolutePath().parent.parent

        private val PATIENT = Json.parseToJsonElement(Files.readString(REPOSITORY.resolve("issuer/patients/zofie-testova.json")))
    }
}
