//! What the wallet shows, as plain data: the records of core.

use carekey_core::UnixTime;
use carekey_core::attestation::level::AssuranceLevel;
use carekey_core::holder::wallet::{
    Activity, ActivityKind, CandidateChoice, ClaimChoice, ClaimText, CredentialDetails, CredentialGroup,
    CredentialState, CredentialSummary, EntrySummary, GroupBy, IssuanceOutcome, LockState, OfferDetails,
    OfferedDetails, PendingCredential, PresentationOutcome, QueryChoice, RegistrationDetails, RequestDetails,
    RequestWarning, TransactionDetails, TransactionLine, TxCodeDetails, UsedUp, WhenUsedUp,
};
use carekey_core::protocol::openid4vp::signed_request::VerifierAuthentication;
use carekey_core::vault::UnlockKind;
use url::Url;

// Seconds since 1970-01-01T00:00:00Z.
uniffi::custom_type!(UnixTime, i64, {
    remote,
    lower: |time| time.as_secs(),
    try_lift: |secs| Ok(UnixTime::from_secs(secs)),
});

// An absolute URL.
uniffi::custom_type!(Url, String, {
    remote,
    lower: |url| url.into(),
    try_lift: |text| Ok(Url::parse(&text)?),
});

/// Whether the wallet can be used.
#[uniffi::remote(Enum)]
pub enum LockState {
    /// There is no vault yet: add a way to unlock.
    New,
    /// There is one, and its key is not in memory.
    Locked,
    /// It is open.
    Unlocked,
}

/// How sure the issuer is that every use of the second key needs its user.
#[uniffi::remote(Enum)]
pub enum AssuranceLevel {
    /// No second key.
    None,
    /// Some user verification at each use: may be a PIN, the key may be synced.
    Uv,
    /// The authenticator has a biometric alternative; a PIN stays possible.
    BiometricCapable,
    /// A genuine app on a genuine device says that it made a biometric-only key; the rule itself is not attested.
    BiometricAppAsserted,
    /// The hardware says that every use needs a biometric.
    BiometricAttested,
}

/// What can be done with a credential now.
#[uniffi::remote(Enum)]
pub enum CredentialState {
    /// It can be shown.
    Usable,
    /// It can be shown, and will expire soon: refresh it.
    ExpiresSoon,
    /// Its time is over.
    Expired,
    /// Every single-use copy was shown: see `when_used_up`.
    NoCopyLeft,
    /// Its keys are gone: collect it again from the issuer.
    ReenrolmentNeeded,
    /// The issuer has suspended it.
    Suspended,
    /// The issuer has revoked it.
    Revoked,
}

/// A credential as lists show it: no claim about the person. All texts are safe to show.
#[uniffi::remote(Record)]
pub struct CredentialSummary {
    /// The wallet's identifier of it.
    pub id: String,
    /// Name of the kind of credential.
    pub name: String,
    /// One sentence about it.
    pub description: Option<String>,
    /// The issuer's name, as it says itself.
    pub issuer_name: String,
    /// The issuer's identifier: `iss`, or the W3C `issuer`.
    pub issuer: String,
    /// Where it was collected.
    pub credential_issuer: String,
    /// Whether a trust rule of this wallet vouches for the issuer.
    pub issuer_trusted: bool,
    /// Credential type: `vct`, or the type of a W3C credential.
    pub kind: String,
    /// The issuer's name of the configuration.
    pub configuration_id: String,
    /// Format identifier, as in `dc+sd-jwt`.
    pub format: String,
    /// CSS colour of the card.
    pub background_color: Option<String>,
    /// CSS colour of the text on it.
    pub text_color: Option<String>,
    /// When the wallet got it.
    pub issued_at: UnixTime,
    /// When its time is over.
    pub expires_at: Option<UnixTime>,
    /// How strongly it is bound to the person, as the issuer says.
    pub level: AssuranceLevel,
    /// Whether each presentation uses up one copy.
    pub single_use: bool,
    /// How many presentations the copies are good for; without single use, 1 while it can be shown.
    pub copies_left: u32,
    /// What can be done with it now.
    pub state: CredentialState,
    /// Whether `logo` has a picture.
    pub has_logo: bool,
    /// Whether the issuer gave the right to fetch fresh copies.
    pub renewable: bool,
    /// What comes after the last single-use copy.
    pub when_used_up: WhenUsedUp,
}

/// What comes after the last single-use copy of a credential.
#[uniffi::remote(Enum)]
pub enum WhenUsedUp {
    /// It has no single-use copies: it can be shown as often as the person wants.
    NotSingleUse,
    /// The wallet fetches fresh copies: `refresh_due`.
    Refill,
    /// The last copy is shown again: those who see it can tell that it was the same person.
    Reuse,
    /// It cannot be shown any more: the issuer has to make a new offer.
    NewOffer,
}

/// A credential that comes later. All texts are safe to show.
#[uniffi::remote(Record)]
pub struct PendingCredential {
    /// The wallet's identifier of it.
    pub id: String,
    /// Name of the kind of credential.
    pub name: String,
    /// The issuer's name, as it says itself.
    pub issuer_name: String,
    /// Where it was asked for.
    pub credential_issuer: String,
    /// Since when it waits.
    pub since: UnixTime,
    /// Before this time the issuer does not want to be asked again.
    pub ask_at: UnixTime,
}

/// What came of accepting an offer.
#[uniffi::remote(Record)]
pub struct IssuanceOutcome {
    /// What is in the wallet now.
    pub credentials: Vec<CredentialSummary>,
    /// What the issuer gives later.
    pub waiting: Vec<PendingCredential>,
}

/// Credentials that belong together on a screen.
#[uniffi::remote(Record)]
pub struct CredentialGroup {
    /// What they share: issuer name, or the name of the kind.
    pub title: String,
    /// They, newest first.
    pub credentials: Vec<CredentialSummary>,
}

/// By what credentials are grouped.
#[uniffi::remote(Enum)]
pub enum GroupBy {
    /// Who issued them.
    Issuer,
    /// What they are.
    Kind,
}

/// One claim as a person reads it.
#[uniffi::remote(Record)]
pub struct ClaimText {
    /// The issuer's name for it, or its own made readable.
    pub label: String,
    /// One line per value.
    pub values: Vec<String>,
}

/// A credential with its claims.
#[uniffi::remote(Record)]
pub struct CredentialDetails {
    /// What lists show of it.
    pub summary: CredentialSummary,
    /// What is in it about the person, in the issuer's order.
    pub claims: Vec<ClaimText>,
}

/// A picture that an issuer's metadata names.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct CredentialLogo {
    /// `image/png`, `image/jpeg` or `image/webp`; never a format that can hold scripts.
    pub media_type: String,
    /// The picture.
    pub data: Vec<u8>,
    /// What it shows, for people who do not see it.
    pub alt_text: Option<String>,
}

/// What unlocks.
#[uniffi::remote(Enum)]
pub enum UnlockKind {
    /// The output of a passkey's PRF extension.
    Prf,
    /// A key in a file of this device.
    Device,
    /// A secret that a key of the device's hardware wraps.
    Hardware,
    /// A recovery code.
    Recovery,
}

/// A way to unlock, for a list.
#[uniffi::remote(Record)]
pub struct EntrySummary {
    /// Its id.
    pub id: String,
    /// What unlocks.
    pub kind: UnlockKind,
    /// Its name for the person.
    pub label: String,
    /// When it was added.
    pub created_at: UnixTime,
}

/// What happened.
#[uniffi::remote(Enum)]
pub enum ActivityKind {
    /// A credential came in.
    Received,
    /// A credential was collected anew: refreshed, refilled or enrolled again.
    Renewed,
    /// An issuer did not give what was asked for, or the person waits for it no more.
    NotIssued,
    /// Claims went to a verifier, who took them.
    Sent,
    /// Claims went to a verifier, who refused the presentation. They left the device all the same.
    Refused,
    /// The answer was sent and nobody knows whether it arrived.
    Unconfirmed,
    /// The person said no.
    Declined,
    /// The person deleted a credential.
    Deleted,
    /// A key of the device was destroyed, or is not on this device.
    KeysLost,
    /// A backup was read.
    Restored,
    /// A way to unlock was added or removed.
    UnlockChanged,
}

/// One line of the log: names of claims, never their values.
#[uniffi::remote(Record)]
pub struct Activity {
    /// When.
    pub at: UnixTime,
    /// What.
    pub kind: ActivityKind,
    /// The other side's name; empty for what concerns this device only.
    pub party: String,
    /// The other side's identifier: issuer URL or `client_id`.
    pub party_id: String,
    /// Whether a trust rule of this wallet named the other side then.
    pub trusted: bool,
    /// What for, as the verifier said.
    pub purpose: Option<String>,
    /// Names of the credentials.
    pub credentials: Vec<String>,
    /// Names of the claims that left.
    pub claims: Vec<String>,
    /// The code of a refusal.
    pub code: Option<String>,
}

/// What is offered, for a person. All texts are safe to show.
#[uniffi::remote(Record)]
pub struct OfferDetails {
    /// Credential issuer identifier.
    pub credential_issuer: String,
    /// Its host: what the person should compare with where they are.
    pub issuer_host: String,
    /// The name that the issuer gives itself; nobody has verified it.
    pub issuer_name: String,
    /// What can be collected.
    pub credentials: Vec<OfferedDetails>,
    /// Names of what the offer has besides, which this wallet cannot hold.
    pub unsupported: Vec<String>,
    /// Whether the person must enter a transaction code.
    pub tx_code: Option<TxCodeDetails>,
    /// Whether the person has to sign in with the issuer, in the system's browser: `sign_in`.
    pub signs_in: bool,
}

/// The transaction code that the issuer gave the person by another way.
#[uniffi::remote(Record)]
pub struct TxCodeDetails {
    /// Whether it is made of digits only.
    pub digits_only: bool,
    /// How long it is, if the issuer says.
    pub length: Option<u32>,
    /// Where it comes from, in the issuer's words.
    pub description: Option<String>,
}

/// One credential of an offer.
#[uniffi::remote(Record)]
pub struct OfferedDetails {
    /// Credential configuration.
    pub configuration_id: String,
    /// Credential type.
    pub kind: String,
    /// Format identifier, as in `dc+sd-jwt`.
    pub format: String,
    /// Name of the kind of credential.
    pub name: String,
    /// One sentence about it.
    pub description: Option<String>,
    /// Names of the claims that it can hold.
    pub claims: Vec<String>,
    /// Whether a key is bound that needs the person's own confirmation for every use.
    pub binds_second_key: bool,
    /// The assurance level without which the issuer does not issue it.
    pub required_level: Option<String>,
}

/// What the person should know before they agree.
#[uniffi::remote(Enum)]
pub enum RequestWarning {
    /// No trust rule of this wallet names the verifier.
    VerifierNotTrusted,
    /// Nobody has checked who asks: only the address of the answer is known.
    VerifierNotAuthenticated,
    /// The verifier does not say what for.
    NoPurpose,
    /// A required claim that a fitting credential holds is a key that lets verifiers recognise the person.
    Recognisable,
    /// The verifier wants a stronger binding than any fitting credential has: it will refuse.
    LevelTooLow,
    /// The verifier shows no registration, though this wallet knows registrars.
    NotRegistered,
    /// The verifier shows a registration that does not count: of an unknown registrar, out of date, or of somebody else.
    RegistrationInvalid,
    /// The verifier asks for more than its registration says: see `beyond_registration`.
    AsksBeyondRegistration,
    /// A fitting credential has only a copy that was shown before: those who see it can tell that it was the same person.
    CopyShownBefore,
}

/// What a registrar wrote down about the verifier. All texts are safe to show.
#[uniffi::remote(Record)]
pub struct RegistrationDetails {
    /// The verifier's registered name.
    pub name: String,
    /// The registrar, by its certificate.
    pub registrar: String,
    /// For what it registered, in the person's language where there is one.
    pub purpose: Option<String>,
    /// Address of its privacy policy.
    pub privacy_policy: Option<String>,
    /// When the registration ends.
    pub expires_at: Option<UnixTime>,
}

/// Something that the answer approves beside what it shows: to be shown in full. All texts are safe to show.
#[uniffi::remote(Record)]
pub struct TransactionDetails {
    /// What it is.
    pub title: String,
    /// Label and value of each of its parts.
    pub lines: Vec<TransactionLine>,
}

/// One part of a transaction.
#[uniffi::remote(Record)]
pub struct TransactionLine {
    /// Its name.
    pub label: String,
    /// Its value.
    pub value: String,
}

/// How the verifier was authenticated.
#[uniffi::remote(Enum)]
pub enum VerifierAuthentication {
    /// A certificate under one of the wallet's anchors.
    Certificate,
    /// A key of its DID.
    Did,
    /// An attestation of somebody whom the wallet trusts for it.
    Attestation,
    /// A trust chain to the anchor of a federation that the wallet knows.
    Federation,
    /// Only by the platform, which says from which web origin or app the request came.
    Origin,
    /// Not at all: only the address of the response is known.
    None,
}

/// A request, for a person. All texts are safe to show.
#[uniffi::remote(Record)]
pub struct RequestDetails {
    /// Who asks.
    pub verifier_name: String,
    /// Its client identifier.
    pub client_id: String,
    /// How it was authenticated.
    pub authentication: VerifierAuthentication,
    /// Whether a trust rule of this wallet names it.
    pub trusted: bool,
    /// What for, in the verifier's words, in full.
    pub purpose: Option<String>,
    /// The binding level that the verifier wants confirmed now, where it wants one.
    pub step_up: Option<AssuranceLevel>,
    /// Whether the answer travels encrypted to the verifier beyond the transport.
    pub encrypted: bool,
    /// Whether what the wallet holds can answer.
    pub answerable: bool,
    /// What the answer approves: of the types that the app registered. A request with any other is refused.
    pub transactions: Vec<TransactionDetails>,
    /// What a registrar wrote down about the verifier, where one that the wallet knows did.
    pub registration: Option<RegistrationDetails>,
    /// What is asked for beyond the registration, claim by claim, whether or not the wallet holds it.
    pub beyond_registration: Vec<String>,
    /// What the person should know.
    pub warnings: Vec<RequestWarning>,
}

/// One query of the request, with what can answer it.
#[uniffi::remote(Record)]
pub struct QueryChoice {
    /// Its id.
    pub query_id: String,
    /// Whether every answer has it; otherwise it depends on what else is chosen.
    pub required: bool,
    /// Whether several credentials may answer it.
    pub multiple: bool,
    /// What fits; empty where the wallet holds nothing that does.
    pub candidates: Vec<CandidateChoice>,
}

/// A credential that fits.
#[uniffi::remote(Record)]
pub struct CandidateChoice {
    /// The wallet's id of the credential.
    pub credential_id: String,
    /// Name of the kind of credential.
    pub name: String,
    /// Who issued it.
    pub issuer_name: String,
    /// Whether the wallet knows the issuer.
    pub issuer_trusted: bool,
    /// Whether its binding is as strong as the verifier wants.
    pub level_suffices: bool,
    /// Whether its only copy was shown before: those who see it can tell that it was the same person.
    pub shown_before: bool,
    /// Exactly the claims that would leave.
    pub claims: Vec<ClaimChoice>,
}

/// One claim that would leave.
#[uniffi::remote(Record)]
pub struct ClaimChoice {
    /// Where it is, a JSON array: for `leave_out`.
    pub path: String,
    /// Its name.
    pub label: String,
    /// Its values, one line each.
    pub values: Vec<String>,
    /// Whether the person may keep it.
    pub optional: bool,
    /// Whether it says something about keys, not about the person.
    pub technical: bool,
    /// Whether the verifier asks for it without having registered that.
    pub beyond_registration: bool,
}

/// What the verifier said to the answer.
#[uniffi::remote(Record)]
pub struct PresentationOutcome {
    /// Whether it took it.
    pub accepted: bool,
    /// Its error code, where it refused and named one.
    pub code: Option<String>,
    /// Where the person's browser goes next. It holds a one-time code: open it at once, keep it nowhere.
    pub redirect_uri: Option<Url>,
    /// Of a request that came over the Digital Credentials API: what to hand to the platform, JSON with `protocol` and
    /// `data`.
    pub platform_response: Option<String>,
    /// Credentials whose last single-use copy went with this answer.
    pub used_up: Vec<UsedUp>,
}

/// A credential whose last single-use copy was shown.
#[uniffi::remote(Record)]
pub struct UsedUp {
    /// The wallet's id of the credential.
    pub credential_id: String,
    /// Name of the kind of credential.
    pub name: String,
    /// What comes now.
    pub then: WhenUsedUp,
}
