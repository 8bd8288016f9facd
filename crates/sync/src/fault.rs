//! Why a session ends, told apart by whose fault it is, since each asks for another action.

use mithaq_core::{body::BodyError, code::Code, receipt::ReceiptError, release::ReleaseError};

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The other side speaks another version.
    #[error("the peer speaks protocol version {theirs}, we speak {ours}")]
    Version {
        /// Ours.
        ours: u32,
        /// Theirs.
        theirs: u32,
    },
    /// The two sides hold different agreements.
    #[error("the peer holds agreement {theirs}, we hold {ours}")]
    Agreement {
        /// The first digits of ours.
        ours: String,
        /// The first digits of theirs.
        theirs: String,
    },
    /// The other side broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Misbehaved(&'static str),
    /// The other side does not answer.
    #[error("the peer left {0} unanswered for too long")]
    Stalled(&'static str),
    /// A release does not verify.
    #[error("a release of the peer does not verify")]
    Release(#[source] ReleaseError),
    /// A receipt does not verify.
    #[error("a receipt of the peer does not verify")]
    Receipt(#[source] ReceiptError),
    /// A body does not verify.
    #[error("an object of the peer does not verify")]
    Body(#[source] BodyError),
    /// An object is marked more strictly than the release that carries it.
    #[error("an object of the peer is marked more strictly than its release")]
    Label,
    /// Something failed here, for which the other side is not to blame.
    #[error("{0} failed on this side")]
    Internal(&'static str),
}

impl Fault {
    /// The fault's code, which is also the error code that closes the connection.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Version { .. } => Code::INCOMPATIBLE,
            Self::Agreement { .. } => Code::AGREEMENT_MISMATCH,
            Self::Misbehaved(_) | Self::Stalled(_) => Code::MISBEHAVED,
            Self::Release(_) | Self::Body(_) | Self::Label => Code::BAD_RELEASE,
            Self::Receipt(_) => Code::RECEIPT,
            Self::Internal(_) => Code::INTERNAL,
        }
    }

    /// What the other side is told: the code and a sentence, no more of what we hold than it sent itself.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}
