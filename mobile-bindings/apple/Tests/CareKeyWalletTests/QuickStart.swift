// The course of a wallet app, as the guide shows it. Not compiled on Linux: see mobile-bindings/README.md.

import CareKeyWalletFFI

struct QuickStart {
    let keys: HardwareKeyStore
    let wrapper: KeyWrapper
    let storage: WalletStorage
    let http: WalletHttpClient

    // snippet: open
    func open(config: WalletConfig) async throws -> Wallet {
        let platform = WalletPlatform(keys: keys, storage: storage, http: http, wrapper: wrapper)
        let wallet = try await openWallet(config: config, platform: platform)
        switch wallet.lockState() {
        case .new: _ = try await wallet.vault().addHardwareEntry(label: "This phone")
        case .locked: try await wallet.unlock(entryId: nil, prompt: ask("Unlock", "Open your wallet"))
        case .unlocked: break
        }
        return wallet
    }
    // end of open

    // snippet: collect
    func collect(wallet: Wallet, offerLink: String, txCode: String?) async throws -> [CredentialSummary] {
        let session = try await wallet.beginIssuance(offerLink: offerLink)
        print("\(session.details().issuerName) offers \(session.details().credentials.map(\.name))")
        let outcome = try await session.accept(txCode: txCode, prompt: ask("Collect", "Bind your credentials to this phone"))
        for later in outcome.waiting { print("\(later.issuerName) will give \(later.name) later") }
        return outcome.credentials
    }
    // end of collect

    // snippet: upkeep
    func upkeep(wallet: Wallet) async throws -> [CredentialSummary] {
        let pending = try await wallet.checkPending()
        let refresh = try await wallet.refreshDue(prompt: nil)
        return pending.arrived + refresh.refreshed
    }
    // end of upkeep

    // snippet: present
    func present(wallet: Wallet, requestLink: String, agrees: (RequestDetails, [QueryChoice]) -> Bool) async throws -> Bool {
        let session = try await wallet.beginPresentation(requestLink: requestLink)
        guard let selection = session.defaultSelection(), agrees(session.details(), session.choices()) else {
            _ = try await session.decline()
            return false
        }
        let reason = session.details().purpose ?? session.details().verifierName
        return try await session.approve(selection: selection, prompt: ask("Show", reason)).accepted
    }
    // end of present

    private func ask(_ title: String, _ reason: String) -> Prompt {
        Prompt(title: title, reason: reason, cancelLabel: "Cancel")
    }
}
