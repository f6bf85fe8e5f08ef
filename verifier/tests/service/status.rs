//! Revocation, and how long a status list is believed.

use std::sync::atomic::Ordering;

use carekey_core::status::token_status_list::Status;
use serde_json::{Value, json};

use crate::portal::Verifier;
use crate::world::Wanted;

impl Verifier {
    fn publish(&self, ttl: Option<u64>, lifetime: i64) {
        *self.hospital.token.lock().unwrap() = Some(self.world.status_token(ttl, lifetime));
    }

    fn fetches(&self) -> usize {
        self.hospital.fetches.load(Ordering::SeqCst)
    }

    /// One more presentation; the state and outcome of its request.
    async fn once_more(&self) -> Value {
        let credentials = [self.credential().await];
        let (id, link) = self.create(json!({})).await;
        let delivery = self.present(&link, &credentials).await;
        let view = self.state(&id).await;
        assert_eq!(delivery.accepted, view["state"] == json!("verified"));
        assert_eq!(delivery.code.as_deref(), view["outcome"]["code"].as_str());
        view
    }
}

#[tokio::test]
async fn a_revoked_credential_is_refused_with_that_reason() {
    let verifier = Verifier::start().await;
    assert_eq!(verifier.once_more().await["state"], "verified");
    for (status, code) in [
        (Status::Suspended, "credential_suspended"),
        (Status::Other(3), "credential_status_other"),
        (Status::Revoked, "credential_revoked"),
    ] {
        verifier.world.set_status(7, status);
        verifier.later(300);
        verifier.publish(None, 3600);
        let view = verifier.once_more().await;
        assert_eq!((&view["state"], &view["outcome"]["result"]), (&json!("refused"), &json!("refused")));
        assert_eq!(view["outcome"]["code"], code);
        let checks = view["outcome"]["checks"].as_array().unwrap();
        let last = checks.last().unwrap();
        assert_eq!(
            (&last["id"], &last["passed"], &last["code"]),
            (&json!("status"), &json!(false), &json!(code))
        );
    }
}

#[tokio::test]
async fn a_list_is_kept_no_longer_than_anybody_allows() {
    let verifier = Verifier::start().await;
    // The verifier's own bound: 300 seconds.
    for (wait, fetches) in [(0, 1), (299, 1), (1, 2), (299, 2), (1, 3)] {
        verifier.later(wait);
        if wait == 1 {
            verifier.publish(None, 3600);
        }
        assert_eq!(verifier.once_more().await["state"], "verified");
        assert_eq!(verifier.fetches(), fetches);
    }
    // A bound of zero asks each time, and so sees a revocation at once.
    let verifier = Verifier::start_with(|config| config.policy.status_seconds = 0).await;
    for fetches in [1, 2] {
        assert_eq!(verifier.once_more().await["state"], "verified");
        assert_eq!(verifier.fetches(), fetches);
    }
    verifier.world.set_status(7, Status::Revoked);
    verifier.publish(None, 3600);
    assert_eq!(verifier.once_more().await["outcome"]["code"], "credential_revoked");
    // `ttl` is shorter.
    let verifier = Verifier::start().await;
    verifier.publish(Some(60), 3600);
    for (wait, fetches) in [(0, 1), (59, 1), (1, 2)] {
        verifier.later(wait);
        assert_eq!(verifier.once_more().await["state"], "verified");
        assert_eq!(verifier.fetches(), fetches);
    }
    // `exp` is shorter, and what comes after it is refused although it was fetched just now.
    let verifier = Verifier::start().await;
    verifier.publish(None, 100);
    for wait in [0, 99] {
        verifier.later(wait);
        assert_eq!(verifier.once_more().await["state"], "verified");
    }
    assert_eq!(verifier.fetches(), 1);
    verifier.later(1);
    assert_eq!(verifier.once_more().await["outcome"]["code"], "status_unavailable");
    assert_eq!(verifier.fetches(), 2);
}

#[tokio::test]
async fn without_a_current_list_nothing_is_accepted() {
    let verifier = Verifier::start().await;
    assert_eq!(verifier.once_more().await["state"], "verified");
    *verifier.hospital.token.lock().unwrap() = None;
    // The copy is still good for a while …
    verifier.later(299);
    assert_eq!(verifier.once_more().await["state"], "verified");
    // … and then it is not.
    verifier.later(1);
    assert_eq!(verifier.once_more().await["outcome"]["code"], "status_unavailable");
    let asked = verifier.fetches();
    assert_eq!(verifier.once_more().await["outcome"]["code"], "status_unavailable");
    assert_eq!(verifier.fetches(), asked, "a host that does not answer gets a pause");
    for rubbish in ["", "rubbish", "a.b.c"] {
        verifier.later(5);
        *verifier.hospital.token.lock().unwrap() = Some(rubbish.into());
        assert_eq!(verifier.once_more().await["outcome"]["code"], "status_unavailable");
    }
    // A list of somebody else.
    let stranger = crate::world::World::new();
    verifier.later(5);
    stranger.clock.set(carekey_core::Clock::now(&*verifier.world.clock));
    *verifier.hospital.token.lock().unwrap() = Some(stranger.status_token(None, 3600));
    assert_eq!(verifier.once_more().await["outcome"]["code"], "status_unavailable");
    // Unless the policy says otherwise.
    let lenient = Verifier::start_with(|config| config.policy.accept_unknown_status = true).await;
    *lenient.hospital.token.lock().unwrap() = None;
    let view = lenient.once_more().await;
    assert_eq!(view["state"], "verified");
    assert_eq!(view["outcome"]["presentation"]["credentials"][0]["status_checked"], false);
}

#[tokio::test]
async fn credentials_without_status_are_a_matter_of_policy() {
    for (require, state) in [(false, "verified"), (true, "refused")] {
        let verifier = Verifier::start_with(|config| config.policy.require_status = require).await;
        let credentials = [verifier.world.credential(Wanted { status: None, ..Wanted::default() }).await];
        let (id, link) = verifier.create(json!({})).await;
        verifier.present(&link, &credentials).await;
        let view = verifier.state(&id).await;
        assert_eq!(view["state"], state);
        assert_eq!(verifier.fetches(), 0);
        if require {
            assert_eq!(view["outcome"]["code"], "status_missing");
        }
    }
}

#[tokio::test]
async fn strangers_are_not_asked_and_not_believed() {
    let verifier = Verifier::start().await;
    // A credential of an issuer whom no rule names: nothing is fetched, and the request stays open.
    let stranger = crate::world::World::new();
    let (id, link) = verifier.create(json!({"response_mode": "direct_post"})).await;
    let credential = stranger.credential(Wanted::default()).await;
    let key = stranger.keys.0.lock().unwrap().drain().next().unwrap();
    verifier.world.keys.0.lock().unwrap().insert(key.0, key.1);
    let ak = carekey_core::key::SoftwareKey::from_pkcs8(stranger.ak.to_pkcs8().unwrap().expose()).unwrap();
    verifier.world.authenticator.insert_key(crate::world::AK_ID, crate::world::RP_ID, ak);
    let delivery = verifier.present(&link, &[credential]).await;
    assert_eq!((delivery.accepted, delivery.code.as_deref()), (false, Some("issuer_certificate")));
    assert_eq!((verifier.fetches(), &verifier.state(&id).await["state"]), (0, &json!("opened")));
}
