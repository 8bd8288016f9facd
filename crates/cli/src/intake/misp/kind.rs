//! What MISP's attribute types are, and the names that tables give to kinds.

use mithaq_core::stix::ObservableKind as Kind;

/// What an attribute's type says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// One value.
    One(Kind),
    /// Two values with a bar between.
    Two(Kind, Kind),
    /// An address or name, and a port; `src` or `dst`.
    WithPort(&'static str),
    /// Nothing that STIX patterns look for.
    Unknown,
}

/// The attribute type of a name.
pub(super) fn type_named(name: &str) -> Type {
    let kind = |name: &str| kind_named(&name.chars().filter(char::is_ascii_alphanumeric).collect::<String>());
    match name {
        "ip-src|port" => Type::WithPort("src"),
        "ip-dst|port" | "hostname|port" | "domain|port" => Type::WithPort("dst"),
        // Names of files say little alone, and MISP's own names for hashes of hashes nothing at all.
        "filename" => Type::One(Kind::FileName),
        _ => match name.split_once('|') {
            Some((first, second)) => match (kind(first), kind(second)) {
                (Some(first), Some(second)) => Type::Two(first, second),
                _ => Type::Unknown,
            },
            None => kind(name).map_or(Type::Unknown, Type::One),
        },
    }
}

/// The kind of a name without its hyphens, in lower case: MISP's, STIX's, and what people write.
pub(crate) fn kind_named(name: &str) -> Option<Kind> {
    Some(match name {
        "ip" | "ipsrc" | "ipdst" | "ipv4" | "ipv4addr" | "ipaddress" | "ipaddr" | "addr" | "address" | "srcip"
        | "dstip" | "destip" | "host" => Kind::Ipv4,
        "ipv6" | "ipv6addr" => Kind::Ipv6,
        "cidr" | "network" | "subnet" | "iprange" | "netblock" => Kind::Ipv4Cidr,
        "domain" | "domainname" | "hostname" | "fqdn" | "dns" => Kind::Domain,
        "url" | "uri" | "link" => Kind::Url,
        "email" | "emailsrc" | "emaildst" | "emailaddr" | "emailaddress" | "emailreplyto" | "mail" => Kind::Email,
        "md5" | "filemd5" | "filehashmd5" | "md5hash" => Kind::Md5,
        "sha1" | "filesha1" | "filehashsha1" | "sha1hash" => Kind::Sha1,
        "sha256" | "filesha256" | "filehashsha256" | "sha256hash" => Kind::Sha256,
        "sha512" | "filesha512" | "filehashsha512" => Kind::Sha512,
        "sha3256" => Kind::Sha3_256,
        "sha3512" => Kind::Sha3_512,
        "ssdeep" => Kind::Ssdeep,
        "tlsh" => Kind::Tlsh,
        "x509fingerprintmd5" => Kind::CertificateMd5,
        "x509fingerprintsha1" => Kind::CertificateSha1,
        "x509fingerprintsha256" => Kind::CertificateSha256,
        "macaddress" | "mac" | "macaddr" => Kind::Mac,
        "as" | "asn" | "autonomoussystem" => Kind::Asn,
        "mutex" => Kind::Mutex,
        "regkey" | "windowsregistrykey" | "registrykey" => Kind::RegistryKey,
        "filename" | "file" => Kind::FileName,
        _ => return None,
    })
}
