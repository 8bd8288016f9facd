//! Exit statuses: what scripts may rely on, and the one place that says which code ends in which status.

use std::process::ExitCode;

use mithaq_core::code::Code;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Ok = 0,
    /// It failed, or a part of it was refused.
    Failure = 1,
    /// The command line was not understood.
    Usage = 2,
    /// It works, but not all of it.
    Degraded = 3,
    /// The release rule withholds.
    Withheld = 4,
    /// A signature or an identity is wrong.
    Identity = 5,
    /// There is no such thing here.
    NotFound = 6,
    /// The daemon does not answer.
    Unreachable = 7,
    /// The configuration is wrong.
    Config = 64,
    /// It may work later.
    TryAgain = 75,
}

impl Exit {
    /// The status in which an error with `code` ends.
    #[must_use]
    pub fn of(code: Code) -> Self {
        match code {
            Code::BAD_REQUEST => Self::Usage,
            Code::NO_SUCH_PEER | Code::NO_SUCH_KEY | Code::NOT_FOUND | Code::NO_SUCH_COLLECTION => Self::NotFound,
            Code::DAEMON_UNREACHABLE => Self::Unreachable,
            Code::CONFIG => Self::Config,
            Code::DISK_FULL | Code::STORE_LOCKED | Code::OUTCOME_UNKNOWN => Self::TryAgain,
            Code::CARD | Code::AGREEMENT_REFUSED | Code::PAIRING | Code::NOT_VERIFIED | Code::KEY => Self::Identity,
            Code::ROOT_OFFLINE | Code::OTHER_CERT | Code::CARD_ROLLBACK | Code::EQUIVOCATION => Self::Identity,
            Code::KEY_REVOKED | Code::NO_USABLE_KEY | Code::IDENTITY_CLAIMED => Self::Identity,
            Code::TERMINATION | Code::ATTESTATION | Code::CONSENT_REFUSED | Code::GROUP => Self::Identity,
            Code::WRONG_PEER | Code::AGREEMENT_MISMATCH | Code::BAD_RELEASE => Self::Identity,
            Code::CHECKPOINT | Code::LEDGER_ROLLBACK | Code::LEDGER_FORK | Code::LEDGER_UNPROVEN => Self::Identity,
            Code::COSIGNATURE | Code::RECEIPT | Code::EVIDENCE | Code::PROOF => Self::Identity,
            Code::LEDGER | Code::LEDGER_BEHIND => Self::Identity,
            code if (2000..3000).contains(&code.number()) => Self::Withheld,
            _ => Self::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_end_in_the_status_that_scripts_expect() {
        let check = |code, expect| assert_eq!(Exit::of(code), expect, "{code}");
        check(Code::TLP_CEILING, Exit::Withheld);
        check(Code::VALIDITY, Exit::Withheld);
        check(Code::CARD, Exit::Identity);
        check(Code::PAIRING, Exit::Identity);
        check(Code::NOT_VERIFIED, Exit::Identity);
        check(Code::NO_SUCH_PEER, Exit::NotFound);
        check(Code::DAEMON_UNREACHABLE, Exit::Unreachable);
        check(Code::CONFIG, Exit::Config);
        check(Code::DISK_FULL, Exit::TryAgain);
        check(Code::EXISTS, Exit::Failure);
        check(Code::BROKEN_JSON, Exit::Failure);
    }
}
