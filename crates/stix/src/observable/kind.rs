//! What an observable can be.

use std::{fmt, str::FromStr};
use thiserror::Error;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What an observable is. The name is stable: an index can keep it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ObservableKind {
            $($(#[$doc])* $variant,)*
        }

        impl ObservableKind {
            /// All kinds, in their order.
            pub const ALL: &[ObservableKind] = &[$(ObservableKind::$variant),*];

            /// The kind's name: the STIX type where one type has one value, else a word of its own.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(ObservableKind::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// An IPv4 address.
    Ipv4 = "ipv4-addr",
    /// An IPv4 network.
    Ipv4Cidr = "ipv4-cidr",
    /// An IPv6 address.
    Ipv6 = "ipv6-addr",
    /// An IPv6 network.
    Ipv6Cidr = "ipv6-cidr",
    /// A domain name.
    Domain = "domain-name",
    /// A URL.
    Url = "url",
    /// A mail address.
    Email = "email-addr",
    /// The MD5 of a file.
    Md5 = "file-md5",
    /// The SHA-1 of a file.
    Sha1 = "file-sha1",
    /// The SHA-256 of a file.
    Sha256 = "file-sha256",
    /// The SHA-512 of a file.
    Sha512 = "file-sha512",
    /// The SHA3-256 of a file.
    Sha3_256 = "file-sha3-256",
    /// The SHA3-512 of a file.
    Sha3_512 = "file-sha3-512",
    /// The ssdeep hash of a file.
    Ssdeep = "file-ssdeep",
    /// The TLSH of a file.
    Tlsh = "file-tlsh",
    /// The MD5 of a certificate.
    CertificateMd5 = "x509-md5",
    /// The SHA-1 of a certificate.
    CertificateSha1 = "x509-sha1",
    /// The SHA-256 of a certificate.
    CertificateSha256 = "x509-sha256",
    /// The serial number of a certificate.
    CertificateSerial = "x509-serial",
    /// A MAC address.
    Mac = "mac-addr",
    /// The number of an autonomous system.
    Asn = "autonomous-system",
    /// The name of a mutex.
    Mutex = "mutex",
    /// The name of a file.
    FileName = "file-name",
    /// The path of a directory.
    Directory = "directory",
    /// A Windows registry key.
    RegistryKey = "windows-registry-key",
    /// The login or id of a user account.
    UserAccount = "user-account",
    /// The name of a process.
    ProcessName = "process-name",
}

impl fmt::Display for ObservableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no kind of observable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a kind of observable, such as ipv4-addr, domain-name, url or file-sha256")]
pub struct KindError(());

impl FromStr for ObservableKind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<ObservableKind, KindError> {
        ObservableKind::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(KindError(()))
    }
}
