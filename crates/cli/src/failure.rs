//! Why a command failed: every failure has a code, and the code decides the exit status.

use std::{io, path::PathBuf};

use mithaq_api::{
    client::ClientError,
    home::{CardRefusal, HomeError, PeerState},
    http::{PUSH_BYTES_MAX, Problem},
    tokens::TokenError,
};
use mithaq_core::{
    card::CardError,
    code::Code,
    evidence::EvidenceError,
    id::AgreementId,
    keys::KeyError,
    pairing::GroupError,
    stix::{ObjectError, json::JsonError},
    time::Time,
};

use crate::{clock, commands::backup::BackupError, exit::Exit};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The home or one of its files.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The tokens of SIEMs.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No collection has the name.
    #[error(
        "no collection {collection:?} is configured: those are `default` and the tables [collection.NAME] of mithaq.toml"
    )]
    NoCollection {
        /// The name.
        collection: String,
    },
    /// The daemon.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The daemon refused in the middle of an answer that was passed on already.
    #[error("{0}")]
    Answered(Problem),
    /// A group of the pairing code.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// What was given for a card cannot stand in one.
    #[error("{}", mithaq_api::home::with_sources(.0))]
    Card(#[from] CardError),
    /// A key cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Something must be given and there is nobody to ask.
    #[error("{what} is missing: give {flag}, or run the command on a terminal to be asked")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The flag that gives it.
        flag: &'static str,
    },
    /// A value cannot be used.
    #[error("{what}: {problem}")]
    Argument {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A new card is needed and the root key is not here.
    #[error(
        "the root key is not at {}: give its file with --root, or let it sign where it lies \
         (`mithaq key draft` here, `mithaq key sign-card` there, `mithaq key install` here)", path.display()
    )]
    RootOffline {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The root key is another CERT's.
    #[error("{} is the root key of another CERT; nothing was signed", path.display())]
    OtherRoot {
        /// The key's file.
        path: PathBuf,
    },
    /// A draft cannot be used.
    #[error("{}: {}", path.display(), mithaq_api::home::with_sources(source))]
    Draft {
        /// The draft's file.
        path: PathBuf,
        /// Why.
        source: CardError,
    },
    /// No key of our card is meant, or several.
    #[error(
        "{found} keys of our card have an id that begins with {key:?}, of eight digits or more: `mithaq key list` shows them"
    )]
    NoSuchKey {
        /// What was given.
        key: String,
        /// How many it names.
        found: usize,
    },
    /// A peer's card is not taken.
    #[error(transparent)]
    CardRefused(#[from] CardRefusal),
    /// The peer is suspended or blocked.
    #[error("{name} is {}: `mithaq peer resume {name}` comes first", if *state == PeerState::Blocked { "blocked" } else { "suspended" })]
    PeerStopped {
        /// The peer.
        name: String,
        /// Which of the two.
        state: PeerState,
    },
    /// The home has keys but no card.
    #[error(
        "{} holds keys but no card.json, and new keys would be another CERT: put back card.json from a backup; \
         only if this CERT never shared its card, remove {}/keys and run `mithaq init` again", dir.display(), dir.display()
    )]
    KeysWithoutCard {
        /// The home.
        dir: PathBuf,
    },
    /// The configuration that is there listens elsewhere.
    #[error("{} exists already and has another listen.address; change it there or leave --listen out", path.display())]
    ConfigExists {
        /// The configuration.
        path: PathBuf,
    },
    /// The card is our own.
    #[error("this card is our own; add the card that the peer made with `mithaq peer invite`")]
    OwnCard,
    /// A peer has the name.
    #[error("there is a peer {name:?} already; choose another name, `mithaq peer show {name}` tells who it is")]
    PeerExists {
        /// The name.
        name: String,
    },
    /// The CERT is known under another name.
    #[error("the CERT of this card is known already, as peer {name:?}; nothing was changed")]
    CertKnown {
        /// Its name.
        name: String,
    },
    /// The pairing code was not compared over this agreement.
    #[error(
        "the pairing code with {name} was not compared over agreement {}: run `mithaq peer verify {name} --agreement FILE` first",
        agreement.fmt_short()
    )]
    NotVerified {
        /// The peer.
        name: String,
        /// The agreement.
        agreement: AgreementId,
    },
    /// The agreement is over.
    #[error("the agreement ended at {}: make a new one with `mithaq agreement new`", clock::for_people(*until))]
    Expired {
        /// When it ended.
        until: Time,
    },
    /// The agreement was terminated.
    #[error("the agreement with {name} was ended at {}: make a new one with `mithaq agreement new`", clock::for_people(*at))]
    Terminated {
        /// The peer.
        name: String,
        /// When.
        at: Time,
    },
    /// There is no agreement in force to show.
    #[error("there is no agreement with {name} yet: `mithaq agreement new --peer {name}` drafts one")]
    NoAgreement {
        /// The peer.
        name: String,
    },
    /// The input is larger than a push may be.
    #[error("{input} has {bytes} bytes and a push takes at most {PUSH_BYTES_MAX}; split it and push the parts")]
    TooLarge {
        /// The file.
        input: String,
        /// Its size, or how much was read of it.
        bytes: u64,
    },
    /// The input is not JSON.
    #[error("{input} is not JSON at line {line}, column {column}: {}; nothing of it was converted", error.kind)]
    NotJson {
        /// The file.
        input: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// Why.
        error: JsonError,
    },
    /// An input cannot be made into STIX.
    #[error("{input} cannot be read: {problem}")]
    Intake {
        /// The file.
        input: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A template cannot be used.
    #[error("the template {}: {problem}", path.display())]
    Template {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Our card names no STIX identity.
    #[error(
        "our card names no STIX identity, and what is made of a list needs one that made it: `mithaq card --help` adds it"
    )]
    NoIdentity,
    /// The connection broke during a push.
    #[error("the connection to the daemon broke before it had answered: push again, what was stored is recognised")]
    PushCut,
    /// The daemon ended a stream that should go on.
    #[error("the daemon ended the stream; go on with `mithaq tail --cursor {cursor}`")]
    StreamEnded {
        /// Where to go on.
        cursor: String,
    },
    /// A file that the user named cannot be used.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A backup was not taken, or cannot be used.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// No code has this number.
    #[error("no message of this program has the code {code}; `mithaq explain` lists them all")]
    UnknownCode {
        /// The code.
        code: Code,
    },
    /// A file of evidence proves nothing.
    #[error("{file}: {}", mithaq_api::home::with_sources(.source))]
    Evidence {
        /// The file.
        file: String,
        /// Why.
        source: EvidenceError,
    },
    /// There is no such evidence.
    #[error("there is no evidence {name:?}: `mithaq evidence list` shows what there is")]
    NoEvidence {
        /// The name.
        name: String,
    },
    /// A proof of an entry of a ledger does not hold.
    #[error("{file} proves nothing: {problem}")]
    Proof {
        /// The file, or where the proof came from.
        file: String,
        /// Why.
        problem: String,
    },
    /// The system gives no random bytes.
    #[error("the system's random number generator gives nothing")]
    NoRandomness,
    /// Nobody reads our output any more, or it cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// What failed in the demonstration.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

impl Failure {
    /// The failure's code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Home(error) => error.code(),
            Self::Token(TokenError::Home(error)) => error.code(),
            Self::Token(TokenError::Unknown { .. }) => Code::NOT_FOUND,
            Self::Token(TokenError::Exists { .. }) => Code::EXISTS,
            Self::Token(_) => Code::TOKENS,
            Self::NoCollection { .. } => Code::NO_COLLECTION,
            Self::Client(error) => client_code(error),
            Self::Answered(problem) => problem_code(problem),
            Self::Group(_) => Code::PAIRING,
            Self::Missing { .. } | Self::Argument { .. } | Self::Card(_) => Code::BAD_REQUEST,
            Self::Key(_) | Self::OtherRoot { .. } => Code::KEY,
            Self::RootOffline { .. } => Code::ROOT_OFFLINE,
            Self::Draft { .. } => Code::CARD,
            Self::NoSuchKey { .. } => Code::NO_SUCH_KEY,
            Self::CardRefused(refusal) => refusal.code(),
            Self::PeerStopped { state: PeerState::Blocked, .. } => Code::PEER_BLOCKED,
            Self::PeerStopped { .. } => Code::PEER_SUSPENDED,
            Self::KeysWithoutCard { .. } | Self::ConfigExists { .. } => Code::EXISTS,
            Self::OwnCard | Self::PeerExists { .. } | Self::CertKnown { .. } => Code::EXISTS,
            Self::NotVerified { .. } => Code::NOT_VERIFIED,
            Self::Expired { .. } => Code::VALIDITY,
            Self::Terminated { .. } => Code::TERMINATED,
            Self::TooLarge { .. } => Code::TOO_LARGE,
            Self::NotJson { error, .. } => Code::new(ObjectError::from(error.clone()).code()),
            Self::Intake { .. } | Self::NoIdentity => Code::INTAKE,
            Self::Template { .. } => Code::TEMPLATE,
            Self::PushCut => Code::OUTCOME_UNKNOWN,
            Self::StreamEnded { .. } => Code::DAEMON_UNREACHABLE,
            Self::File { .. } | Self::Output(_) => Code::FILE,
            Self::NoAgreement { .. } | Self::NoEvidence { .. } | Self::UnknownCode { .. } => Code::NOT_FOUND,
            Self::Backup(error) => error.code(),
            Self::Evidence { .. } => Code::EVIDENCE,
            Self::Proof { .. } => Code::PROOF,
            Self::NoRandomness | Self::Other(_) => Code::INTERNAL,
        }
    }

    /// What happened, without the code.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Client(ClientError::Problem(problem)) | Self::Answered(problem) => problem.message.clone(),
            other => other.to_string(),
        }
    }

    /// The status in which the program ends. A reader that went away is told nothing, but what it did not read is no
    /// success: a script that asked for a verdict must not take half an answer for a good one.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Failure,
            other => Exit::of(other.code()),
        }
    }

    /// Whether nobody is left to be told.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The failure that an error of the demonstration's outermost layer stands for.
    #[must_use]
    pub fn from_anyhow(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        let error = match error.downcast::<HomeError>() {
            Ok(home) => return home.into(),
            Err(error) => error,
        };
        match error.downcast::<ClientError>() {
            Ok(client) => client.into(),
            Err(error) => Self::Other(error),
        }
    }
}

fn client_code(error: &ClientError) -> Code {
    match error {
        ClientError::Unreachable { .. } | ClientError::Broken(_) => Code::DAEMON_UNREACHABLE,
        ClientError::Problem(problem) => problem_code(problem),
        _ => Code::INTERNAL,
    }
}

fn problem_code(problem: &Problem) -> Code {
    problem.code.parse().unwrap_or(Code::INTERNAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_the_daemon_keeps_its_code_and_message() {
        let failure = Failure::from(ClientError::from(Problem::new(Code::DISK_FULL, "the disk is full")));
        assert_eq!(failure.code(), Code::DISK_FULL);
        assert_eq!(failure.message(), "the disk is full");
        assert_eq!(failure.exit(), Exit::TryAgain);
    }

    #[test]
    fn a_reader_that_went_away_is_told_nothing() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit(), Exit::Failure);
        assert!(failure.is_quiet());
    }

    #[test]
    fn failures_keep_their_code_through_anyhow() {
        let failure = Failure::from_anyhow(anyhow::Error::from(Failure::OwnCard));
        assert_eq!(failure.code(), Code::EXISTS);
        let failure = Failure::from_anyhow(anyhow::anyhow!("what").context("while"));
        assert_eq!((failure.code(), failure.message().as_str()), (Code::INTERNAL, "while: what"));
    }
}
