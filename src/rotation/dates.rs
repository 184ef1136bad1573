//! What a day from which on a provider takes less than before means for an account: by which protocols it is entered with what
//! ends then, and what there is in its place. Pure: no I/O, and it never sees a secret.

use crate::model::{Account, CredentialKind, Profile, Protocol, ProviderDate, Tenant, normalise};

/// What a provider's date ends of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impact<'d> {
    /// The date.
    pub date: &'d ProviderDate,
    /// By which protocols the account is entered with what ends.
    pub protocols: Vec<Protocol>,
    /// What there is in its place.
    pub instead: Instead,
}

/// What takes the place of a credential that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Another kind is there, and used when the first one fails.
    Next {
        /// Which.
        kind: CredentialKind,
        /// Whether it is its domain's.
        of_domain: bool,
    },
    /// Another kind is there, and nobody has said that it may be used.
    Unnamed {
        /// Which.
        kind: CredentialKind,
        /// Whether it is its domain's.
        of_domain: bool,
    },
    /// The provider takes another kind, of which there is none.
    Missing {
        /// Which.
        kind: CredentialKind,
    },
    /// The provider is not known to take anything else.
    Nothing,
}

/// What the dates of a provider end of an account. `tenant`: the credential of its domain.
pub fn impacts<'d>(account: &Account, tenant: Option<&Tenant>, profile: &'d Profile) -> Vec<Impact<'d>> {
    let of_date = |date: &'d ProviderDate| {
        let ends = date.ends?;
        let is_hit = |protocol: &Protocol| used(account, tenant, profile, *protocol) == Some(ends);
        let protocols: Vec<Protocol> = date.protocols.iter().copied().filter(is_hit).collect();
        // What is worst counts for all of them.
        let instead = protocols.iter().map(|protocol| instead(account, tenant, profile, *protocol, ends));
        let instead = instead.max_by_key(|it| it.rank())?;
        Some(Impact { date, protocols, instead })
    };
    profile.dates.iter().filter_map(of_date).collect()
}

/// The credential of the domain that an account's mailbox is in, if it is for accounts of that upstream.
pub fn tenant_of<'t>(account: &Account, tenants: &'t [Tenant]) -> Option<&'t Tenant> {
    let domain = |name: &str| name.rsplit_once('@').map(|(_, domain)| normalise(domain));
    let own = domain(account.identity(Protocol::Imap)).or_else(|| domain(&account.name))?;
    tenants.iter().find(|it| normalise(&it.domain) == own && it.upstream == account.upstream)
}

/// The kind that a login uses first.
fn used(account: &Account, tenant: Option<&Tenant>, profile: &Profile, protocol: Protocol) -> Option<CredentialKind> {
    let endpoint = profile.endpoints.get(&protocol)?;
    let preferred = account.preferred(protocol);
    let order = if preferred.is_empty() { &CredentialKind::ALL[..] } else { preferred };
    let is_there = |kind: &&CredentialKind| endpoint.takes(**kind) && has(account, tenant, **kind).is_some();
    order.iter().find(is_there).copied()
}

/// Whether there is one of that kind; if so, whether it is the domain's.
fn has(account: &Account, tenant: Option<&Tenant>, kind: CredentialKind) -> Option<bool> {
    if account.credentials.get(&kind).is_some_and(|slots| slots.current.is_some()) {
        return Some(false);
    }
    let of_domain = kind == CredentialKind::OAuth2 && tenant.is_some_and(|tenant| tenant.oauth2.current.is_some());
    of_domain.then_some(true)
}

fn instead(
    account: &Account,
    tenant: Option<&Tenant>,
    profile: &Profile,
    protocol: Protocol,
    ends: CredentialKind,
) -> Instead {
    let taken = |kind: &CredentialKind| profile.endpoints.get(&protocol).is_some_and(|it| it.takes(*kind));
    // OAuth2 without anybody who issues tokens is no way out.
    let is_offered = |kind: &CredentialKind| *kind != CredentialKind::OAuth2 || profile.authority.is_some();
    let others = CredentialKind::ALL.into_iter().filter(|kind| *kind != ends && taken(kind) && is_offered(kind));
    let ways = others.map(|kind| match has(account, tenant, kind) {
        Some(of_domain) if account.preferred(protocol).contains(&kind) => Instead::Next { kind, of_domain },
        Some(of_domain) => Instead::Unnamed { kind, of_domain },
        None => Instead::Missing { kind },
    });
    ways.min_by_key(Instead::rank).unwrap_or(Instead::Nothing)
}

impl Instead {
    /// Worse is more.
    fn rank(&self) -> u8 {
        match self {
            Self::Next { .. } => 0,
            Self::Unnamed { .. } => 1,
            Self::Missing { .. } => 2,
            Self::Nothing => 3,
        }
    }

    /// What there is, for people.
    pub fn described(&self) -> String {
        let whose = |of_domain: bool| if of_domain { " of its domain" } else { "" };
        match self {
            Self::Next { kind, of_domain } => format!("{kind}{}, used next", whose(*of_domain)),
            Self::Unnamed { kind, of_domain } => format!("{kind}{}, not preferred", whose(*of_domain)),
            Self::Missing { .. } | Self::Nothing => "none".to_owned(),
        }
    }

    /// What to do, for people.
    pub fn remedy(&self, account: &str) -> String {
        match self {
            Self::Next { .. } => "nothing: it is used when the first one fails; look with `locum probe`".to_owned(),
            Self::Unnamed { kind, .. } => format!("locum account set {account} --prefer {}", kind.name()),
            Self::Missing { kind: CredentialKind::OAuth2 } => {
                let domain = account.rsplit_once('@').map_or("DOMAIN", |(_, domain)| domain);
                format!("locum oauth add-tenant {domain}, or locum oauth login {account}")
            }
            Self::Missing { kind } => format!("give it an {kind}: locum account set {account}"),
            Self::Nothing => "ask the provider what it will take".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::model::{Identity, Material, Preference, Secret, Slots, StoredCredential, presets};

    fn stored() -> StoredCredential {
        StoredCredential {
            id: "c1".into(),
            label: String::new(),
            created: Timestamp::UNIX_EPOCH,
            verified: None,
            retries: 0,
            material: Material::of("secret", Secret::new("A")),
        }
    }

    fn account(kinds: &[CredentialKind], preferred: &[CredentialKind]) -> Account {
        Account {
            name: "scan@Contoso.test".into(),
            upstream: "exchange-online".into(),
            identity: Identity::default(),
            credentials: kinds.iter().map(|kind| (*kind, Slots::of(stored()))).collect(),
            preference: Preference { all: preferred.to_vec(), by_protocol: BTreeMap::new() },
            class: None,
        }
    }

    fn found(account: &Account, tenant: Option<&Tenant>) -> Vec<(String, Vec<Protocol>, Instead)> {
        let profile = presets::preset("exchange-online").unwrap();
        let impacts = impacts(account, tenant, &profile);
        let day = |date: &ProviderDate| date.day.map(|day| day.to_string()).unwrap_or_default();
        impacts.into_iter().map(|it| (day(it.date), it.protocols, it.instead)).collect()
    }

    #[test]
    fn an_app_password_alone_ends_with_the_year_and_tells_what_to_do() {
        use CredentialKind::{AppPassword, OAuth2};
        let one = |instead| vec![("2026-12-31".to_owned(), vec![Protocol::Submission], instead)];
        let alone = account(&[AppPassword], &[]);
        assert_eq!(found(&alone, None), one(Instead::Missing { kind: OAuth2 }));
        let tenants =
            [Tenant { domain: "contoso.test".into(), upstream: "exchange-online".into(), oauth2: Slots::of(stored()) }];
        let tenant = tenant_of(&alone, &tenants);
        assert_eq!(found(&alone, tenant), one(Instead::Unnamed { kind: OAuth2, of_domain: true }));
        let both = [AppPassword, OAuth2];
        assert_eq!(found(&account(&both, &both), None), one(Instead::Next { kind: OAuth2, of_domain: false }));
        assert_eq!(found(&account(&both, &[]), None), one(Instead::Unnamed { kind: OAuth2, of_domain: false }));
        assert_eq!(found(&account(&both, &[OAuth2]), None), [], "it has moved already");
        assert_eq!(found(&account(&[OAuth2], &[]), None), []);
        let remedy = Instead::Missing { kind: OAuth2 }.remedy("scan@contoso.test");
        assert_eq!(remedy, "locum oauth add-tenant contoso.test, or locum oauth login scan@contoso.test");
    }

    #[test]
    fn a_domain_of_another_upstream_or_name_is_no_help() {
        let of = |domain: &str, upstream: &str| {
            let tenants = [Tenant { domain: domain.into(), upstream: upstream.into(), oauth2: Slots::of(stored()) }];
            tenant_of(&account(&[], &[]), &tenants).is_some()
        };
        assert!(of("CONTOSO.test", "exchange-online"));
        assert!(!of("contoso.test", "gmail") && !of("x.contoso.test", "exchange-online"));
    }
}
