//! A short list of our own, which needs no files.

/// Networks that nobody is reached at from elsewhere (RFC 6890 and its successors).
pub(super) const NETWORKS: [(&str, &[&str]); 5] = [
    ("private addresses", &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]),
    ("loopback addresses", &["127.0.0.0/8", "::1/128"]),
    ("link-local addresses", &["169.254.0.0/16", "fe80::/10"]),
    ("addresses for documentation", &["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"]),
    ("addresses of no host", &["0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8"]),
];

/// Names that are nobody's (RFC 2606, RFC 6761, RFC 6762, RFC 8375).
pub(super) const HOSTNAMES: [(&str, &[&str]); 2] = [
    ("names for documentation", &["example", "example.com", "example.net", "example.org", "test", "invalid"]),
    ("names of local networks", &["localhost", "local", "internal", "home.arpa", "localdomain"]),
];

/// The hashes of no bytes at all.
pub(super) const HASHES: (&str, &[&str]) = (
    "hashes of the empty file",
    &[
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    ],
);
