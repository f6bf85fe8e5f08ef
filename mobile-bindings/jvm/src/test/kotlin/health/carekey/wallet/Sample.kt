package health.carekey.wallet

import health.carekey.wallet.software.JavaHttpClient
import health.carekey.wallet.software.MemoryStorage
import health.carekey.wallet.software.Person
import health.carekey.wallet.software.SoftwareKeyStore
import health.carekey.wallet.software.SoftwareKeyWrapper
import java.nio.file.Files
import java.nio.file.Path
import java.security.cert.CertificateFactory
import kotlinx.coroutines.runBlocking

/** A small wallet app without a screen: what an Android app does, with a phone in memory. */
class Sample(person: Person) {
    // snippet: platform
    // On Android: the classes of mobile-bindings/android. They show the system's prompts.
    val platform = WalletPlatform(
        keys = SoftwareKeyStore(person),
        wrapper = SoftwareKeyWrapper(person),
        storage = MemoryStorage(),
        http = JavaHttpClient(loopback = true),
    )
    // end of platform

    // snippet: open
    suspend fun open(config: WalletConfig): Wallet {
        val wallet = openWallet(config, platform)
        when (wallet.lockState()) {
            LockState.NEW -> wallet.vault().addHardwareEntry("This phone")
            LockState.LOCKED -> wallet.unlock(null, Prompt("Unlock", "Open your wallet", "Cancel"))
            LockState.UNLOCKED -> {}
        }
        return wallet
    }
    // end of open

    // snippet: collect
    suspend fun collect(wallet: Wallet, offerLink: String, askForCode: suspend () -> String): List<CredentialSummary> =
        wallet.beginIssuance(offerLink).use { session ->
            val offer = session.details()
            println("${offer.issuerName} (${offer.issuerHost}) offers ${offer.credentials.map { it.name }}")
            val code = offer.txCode?.let { askForCode() }
            val outcome = session.accept(code, Prompt("Collect", "Bind your credentials to this phone", "Cancel"))
            outcome.waiting.forEach { println("${it.issuerName} will give ${it.name} later") }
            outcome.credentials
        }
    // end of collect

    // snippet: present
    suspend fun present(wallet: Wallet, requestLink: String, agrees: (RequestDetails, List<QueryChoice>) -> Boolean): Boolean =
        wallet.beginPresentation(requestLink).use { session ->
            val selection = session.defaultSelection()
            if (selection == null || !agrees(session.details(), session.choices())) {
                session.decline()
                return false
            }
            val reason = session.details().purpose ?: session.details().verifierName
            session.approve(selection, Prompt("Show", reason, "Cancel")).accepted
        }
    // end of present

    // snippet: signin
    /** Where the offer's details say `signsIn`: out to the system's browser, and back by the app's link. */
    suspend fun signIn(session: IssuanceSession, browser: suspend (String) -> String) = session.resume(browser(session.signIn()))
    // end of signin

    // snippet: upkeep
    /** When the wallet was unlocked, and after a presentation that used up the last copy: what came, what is fresh. */
    suspend fun upkeep(wallet: Wallet): List<CredentialSummary> {
        val pending = wallet.checkPending()
        pending.refused.forEach { println("${it.credential.issuerName} does not give ${it.credential.name}") }
        val refresh = wallet.refreshDue(null)
        refresh.left.forEach { println("No fresh copy: ${it.reason.advice}") }
        return pending.arrived + refresh.refreshed
    }
    // end of upkeep

    // snippet: warnings
    fun warn(request: RequestDetails): List<String> = request.warnings.map { warning ->
        when (warning) {
            RequestWarning.VERIFIER_NOT_TRUSTED -> "Nobody you trust knows ${request.verifierName}."
            RequestWarning.ASKS_BEYOND_REGISTRATION -> "It has not registered to ask for ${request.beyondRegistration}."
            RequestWarning.NOT_REGISTERED -> "It shows no registration."
            RequestWarning.COPY_SHOWN_BEFORE -> "Those who see it can tell that it was you again."
            else -> warning.name.lowercase().replace('_', ' ')
        }
    }
    // end of warnings

    // snippet: errors
    fun message(error: WalletException): String = when (error.explain().advice) {
        Advice.TRY_AGAIN -> "Nothing was sent. You can try again."
        Advice.UNLOCK_DEVICE -> "The sensor is locked. Unlock your phone with its code first."
        Advice.REENROL -> "Your fingerprints have changed. Collect this credential again."
        Advice.CHECK_CONNECTION -> "There is no connection."
        else -> "This did not work (${error.explain().code})."
    }
    // end of errors
}

/** `Sample DATA_FOLDER OFFER_LINK REQUEST_LINK`: the demo's data folder, the links of the hospital's desk and the portal. */
fun main(arguments: Array<String>) = runBlocking {
    val (folder, offerLink, requestLink) = arguments
    val ask = { question: String -> print("$question "); readln() }
    val sample = Sample { prompt -> if (ask("${prompt.reason}? [y/n]") != "y") throw PlatformException.UserCancelled() }
    try {
        val wallet = sample.open(configuration(Path.of(folder)))
        println("Write this down: ${wallet.vault().createRecoveryCode("Paper")}")
        sample.collect(wallet, offerLink) { ask("Transaction code?") }
        val taken = sample.present(wallet, requestLink) { request, choices ->
            val claims = choices.flatMap { query -> query.candidates.flatMap { it.claims } }.map { it.label }
            sample.warn(request).forEach(::println)
            ask("${request.verifierName} asks for $claims. Show them? [y/n]") == "y"
        }
        println(if (taken) "The portal took it." else "The portal did not take it.")
        println("${sample.upkeep(wallet).size} credentials are new or fresh.")
    } catch (error: WalletException) {
        println(sample.message(error))
    }
}

/** The app that the demo's hospital knows. */
private fun configuration(folder: Path): WalletConfig {
    val anchor = { file: String ->
        Files.newInputStream(folder.resolve(file)).use { pem ->
            listOf(CertificateFactory.getInstance("X.509").generateCertificate(pem).encoded)
        }
    }
    // snippet: config
    return WalletConfig(
        clientId = "carekey-demo-app",
        rpId = "app.wallet.example",
        origin = "https://app.wallet.example",
        name = "My wallet",
        locale = "en",
        authenticator = AuthenticatorSource.EMBEDDED,
        issuers = listOf(TrustedIssuers(anchors = anchor("hospital/ca.pem"))),
        verifiers = TrustedVerifiers(anchors = anchor("portal/keys/ca.pem")),
    )
    // end of config
}
