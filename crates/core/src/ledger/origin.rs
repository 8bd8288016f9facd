//! Which tree a checkpoint is of.

use std::{fmt, str::FromStr};

use crate::id::{CertId, StoreId};

/// What every origin line begins with.
const PREFIX: &str = "mithaq.ledger/";

/// What stands in place of a CERT in the origin line of a local ledger.
const LOCAL: &str = "local";

/// Whose ledger it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tree {
    /// What was disclosed to this CERT.
    Pair(CertId),
    /// The heads of all pairs of one CERT.
    Local,
}

/// Names a tree for good: the CERT that writes it, whom it concerns, and the store that it lies in. A restored store has
/// another id, so its ledger is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The CERT that discloses and signs.
    pub from: CertId,
    /// Whose ledger it is.
    pub tree: Tree,
    /// The store that it lies in.
    pub store: StoreId,
}

/// A text is not an origin line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected mithaq.ledger/CERT/CERT/STORE, found {found:?}")]
pub struct OriginError {
    /// What stood there, cut to 240 characters.
    pub found: String,
}

impl Origin {
    /// The ledger of what `from` discloses to `to`.
    #[must_use]
    pub const fn pair(from: CertId, to: CertId, store: StoreId) -> Self {
        Self { from, tree: Tree::Pair(to), store }
    }

    /// The local ledger of `from`.
    #[must_use]
    pub const fn local(from: CertId, store: StoreId) -> Self {
        Self { from, tree: Tree::Local, store }
    }

    /// The CERT that is disclosed to; `None` for a local ledger.
    #[must_use]
    pub const fn to(&self) -> Option<CertId> {
        match self.tree {
            Tree::Pair(to) => Some(to),
            Tree::Local => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tree {
            Tree::Pair(to) => write!(f, "{PREFIX}{}/{to}/{}", self.from, self.store),
            Tree::Local => write!(f, "{PREFIX}{}/{LOCAL}/{}", self.from, self.store),
        }
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        parse(text).ok_or_else(|| OriginError { found: text.chars().take(240).collect() })
    }
}

fn parse(text: &str) -> Option<Origin> {
    let mut parts = text.strip_prefix(PREFIX)?.split('/');
    let (from, to, store) = (parts.next()?, parts.next()?, parts.next()?);
    let tree = if to == LOCAL { Tree::Local } else { Tree::Pair(to.parse().ok()?) };
    let origin = Origin { from: from.parse().ok()?, tree, store: store.parse().ok()? };
    (parts.next().is_none() && origin.to() != Some(origin.from)).then_some(origin)
}
