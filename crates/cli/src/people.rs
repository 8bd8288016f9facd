//! Who is who: the CERTs whose cards lie in a home.

use mithaq_api::home::Home;
use mithaq_core::{card::VerifiedCard, id::CertId};

/// The CERTs that a home knows. What cannot be read is not known: names are for people, and nothing is decided here.
#[derive(Debug, Default)]
pub(crate) struct People {
    us: Option<VerifiedCard>,
    peers: Vec<(String, VerifiedCard)>,
}

impl People {
    /// Reads the cards of a home, which need not be there.
    pub(crate) fn of(home: &Home) -> Self {
        let names = home.peer_names().unwrap_or_default();
        let card = |name: &String| VerifiedCard::verify(home.peer_file(name).ok()?.card).ok();
        let peers = names.into_iter().filter_map(|name| Some((name.clone(), card(&name)?))).collect();
        Self { us: home.card().ok(), peers }
    }

    /// Whether this is our own CERT.
    pub(crate) fn is_us(&self, cert: CertId) -> bool {
        self.us.as_ref().is_some_and(|card| card.cert_id() == cert)
    }

    /// Our name for a peer.
    pub(crate) fn peer_name(&self, cert: CertId) -> Option<&str> {
        self.peers.iter().find(|(_, card)| card.cert_id() == cert).map(|(name, _)| name.as_str())
    }

    /// The CERT that we call so.
    pub(crate) fn named(&self, name: &str) -> Option<CertId> {
        self.peers.iter().find(|(known, _)| known == name).map(|(_, card)| card.cert_id())
    }

    /// The card of a CERT.
    pub(crate) fn card(&self, cert: CertId) -> Option<&VerifiedCard> {
        let peers = self.peers.iter().map(|(_, card)| card);
        self.us.iter().chain(peers).find(|card| card.cert_id() == cert)
    }

    /// A short name: `us`, our name for a peer, or the first digits of the id.
    pub(crate) fn short(&self, cert: CertId) -> String {
        match self.peer_name(cert) {
            _ if self.is_us(cert) => "us".to_owned(),
            Some(name) => name.to_owned(),
            None => cert.fmt_short(),
        }
    }

    /// A name as its card gives it, with ours for it: `CNCERT/CC (cn)`.
    pub(crate) fn long(&self, cert: CertId) -> String {
        match self.card(cert) {
            Some(card) => format!("{} ({})", card.card().name, self.short(cert)),
            None => format!("unknown CERT {}", cert.fmt_short()),
        }
    }
}

/// A fingerprint in groups of eight digits, as people compare it.
pub(crate) fn fingerprint(cert: CertId) -> String {
    let digits = cert.to_string();
    let groups: Vec<&str> = (0..8).filter_map(|group| digits.get(8 * group..8 * group + 8)).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_is_not_there_knows_nobody() {
        let people = People::of(&Home::at("/nonexistent"));
        let cert = CertId::from_bytes([0xab; 32]);
        assert_eq!(people.short(cert), "abababab");
        assert_eq!(people.long(cert), "unknown CERT abababab");
        assert_eq!(fingerprint(cert), ["abababab"; 8].join(" "));
    }
}
