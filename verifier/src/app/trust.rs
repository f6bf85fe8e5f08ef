//! The trust rules in force: those of the configuration and what their trusted lists add to them.

use std::path::Path;

use carekey_core::clock::UnixTime;
use carekey_core::trust::{IssuerRule, IssuerTrust};
use carekey_core::verifier::Policy;
use carekey_service::trust_snapshot::{Addition, TrustSnapshot};

use crate::config::{self, Config};

/// Whom the verifier trusts at a time, and what it accepts.
pub(super) struct Trust {
    pub(super) issuers: IssuerTrust,
    /// With every list and federation of the rules among its authorities.
    pub(super) policy: Policy,
}

/// Reads files, relative to the working folder; lists that are fetched are kept in `kept`.
pub(super) fn open(
    config: &Config,
    kept: &Path,
    now: UnixTime,
) -> std::io::Result<TrustSnapshot<IssuerRule, Trust>> {
    let folder = Path::new("");
    let policy =
        Policy { authorities: config::authorities(&config.authorities, folder)?, ..config.policy.policy() };
    let lists = config.trust.iter().map(|rule| rule.lists.clone());
    let rules = config::trust(&config.trust, folder)?.into_iter().zip(lists).collect();
    TrustSnapshot::open(rules, (folder, kept), now, move |rules| in_force(rules, &policy))
}

fn in_force(rules: Vec<(IssuerRule, Vec<Addition>)>, policy: &Policy) -> Trust {
    let mut authorities = policy.authorities.clone();
    let mut all = Vec::new();
    for (mut rule, additions) in rules {
        for Addition { list_id, anchors } in additions {
            if let Some(id) = list_id {
                authorities = authorities.with_etsi_list(&id, anchors.iter().map(|listed| &listed.anchor));
            }
            rule.listed.extend(anchors);
        }
        authorities = authorities.with_federation_anchors(rule.federations.iter().cloned());
        all.push(rule);
    }
    Trust { issuers: IssuerTrust::new(all), policy: Policy { authorities, ..policy.clone() } }
}
