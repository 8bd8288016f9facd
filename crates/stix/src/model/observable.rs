//! Cyber-observable objects (STIX 2.1 §6).

use super::{
    common::{Extensions, GranularMarking, Tag, Typed},
    extension::{
        FileExtensions, NetworkTrafficExtensions, ProcessExtensions, UserAccountExtensions, WindowsRegistryValue,
        X509V3Extensions,
    },
    field::{
        AddressOrDomain, AnyObject, Artifact, AutonomousSystem as AutonomousSystemTarget, Binary, Count, Custom,
        Dictionary, Directory as DirectoryTarget, EmailAddress, File as FileTarget, FileOrArtifact, FileOrDirectory,
        Hashes, Hex, Integer, MacAddress, MarkingDefinition, NetworkEnd, NetworkTraffic as NetworkTrafficTarget,
        Process as ProcessTarget, Ref, UserAccount as UserAccountTarget, Word,
    },
    shape::{Property, Shape, Shaped, Structure},
    vocabulary::{AccountType, EncryptionAlgorithm, SpecVersion},
};
use crate::time::Timestamp;

observable_object! {
    /// Bytes, or where to get them.
    "6.1" ArtifactObject "artifact" [Extensions] {
        mime_type: Option<String>,
        payload_bin: Option<Binary>,
        url: Option<String>,
        hashes: Option<Hashes>,
        encryption_algorithm: Option<Word<EncryptionAlgorithm>>,
        decryption_key: Option<String>,
    }
}

observable_object! {
    /// A network under one administration.
    "6.2" AutonomousSystem "autonomous-system" [Extensions] {
        number: Integer,
        name: Option<String>,
        rir: Option<String>,
    }
}

observable_object! {
    /// A folder of a file system.
    "6.3" Directory "directory" [Extensions] {
        path: String,
        path_enc: Option<String>,
        ctime: Option<Timestamp>,
        mtime: Option<Timestamp>,
        atime: Option<Timestamp>,
        contains_refs: Option<Vec<Ref<FileOrDirectory>>>,
    }
}

observable_object! {
    /// A domain name.
    "6.4" DomainName "domain-name" [Extensions] {
        value: String,
        resolves_to_refs: Option<Vec<Ref<AddressOrDomain>>>,
    }
}

observable_object! {
    /// The address of a mailbox.
    "6.5" EmailAddr "email-addr" [Extensions] {
        value: String,
        display_name: Option<String>,
        belongs_to_ref: Option<Ref<UserAccountTarget>>,
    }
}

observable_object! {
    /// A mail.
    "6.6" EmailMessage "email-message" [Extensions] {
        is_multipart: bool,
        date: Option<Timestamp>,
        content_type: Option<String>,
        from_ref: Option<Ref<EmailAddress>>,
        sender_ref: Option<Ref<EmailAddress>>,
        to_refs: Option<Vec<Ref<EmailAddress>>>,
        cc_refs: Option<Vec<Ref<EmailAddress>>>,
        bcc_refs: Option<Vec<Ref<EmailAddress>>>,
        message_id: Option<String>,
        subject: Option<String>,
        received_lines: Option<Vec<String>>,
        additional_header_fields: Option<Dictionary<serde_json::Value>>,
        body: Option<String>,
        body_multipart: Option<Vec<MimePart>>,
        raw_email_ref: Option<Ref<Artifact>>,
    }
}

structure! {
    /// A part of a mail.
    "6.6.2" MimePart "email-mime-part-type" {
        body: Option<String>,
        body_raw_ref: Option<Ref<FileOrArtifact>>,
        content_type: Option<String>,
        content_disposition: Option<String>,
    }
}

observable_object! {
    /// A file.
    "6.7" File "file" [FileExtensions] {
        hashes: Option<Hashes>,
        size: Option<Count>,
        name: Option<String>,
        name_enc: Option<String>,
        magic_number_hex: Option<Hex>,
        mime_type: Option<String>,
        ctime: Option<Timestamp>,
        mtime: Option<Timestamp>,
        atime: Option<Timestamp>,
        parent_directory_ref: Option<Ref<DirectoryTarget>>,
        contains_refs: Option<Vec<Ref<AnyObject>>>,
        content_ref: Option<Ref<Artifact>>,
    }
}

observable_object! {
    /// An IPv4 address, or a network of them.
    "6.8" Ipv4Addr "ipv4-addr" [Extensions] {
        value: String,
        resolves_to_refs: Option<Vec<Ref<MacAddress>>>,
        belongs_to_refs: Option<Vec<Ref<AutonomousSystemTarget>>>,
    }
}

observable_object! {
    /// An IPv6 address, or a network of them.
    "6.9" Ipv6Addr "ipv6-addr" [Extensions] {
        value: String,
        resolves_to_refs: Option<Vec<Ref<MacAddress>>>,
        belongs_to_refs: Option<Vec<Ref<AutonomousSystemTarget>>>,
    }
}

observable_object! {
    /// The address of a network card.
    "6.10" MacAddr "mac-addr" [Extensions] {
        value: String,
    }
}

observable_object! {
    /// A mutual exclusion object of an operating system.
    "6.11" Mutex "mutex" [Extensions] {
        name: String,
    }
}

observable_object! {
    /// Traffic from a source to a destination.
    "6.12" NetworkTraffic "network-traffic" [NetworkTrafficExtensions] {
        start: Option<Timestamp>,
        end: Option<Timestamp>,
        is_active: Option<bool>,
        src_ref: Option<Ref<NetworkEnd>>,
        dst_ref: Option<Ref<NetworkEnd>>,
        src_port: Option<Integer<0, 65_535>>,
        dst_port: Option<Integer<0, 65_535>>,
        protocols: Vec<String>,
        src_byte_count: Option<Count>,
        dst_byte_count: Option<Count>,
        src_packets: Option<Count>,
        dst_packets: Option<Count>,
        ipfix: Option<Dictionary<serde_json::Value>>,
        src_payload_ref: Option<Ref<Artifact>>,
        dst_payload_ref: Option<Ref<Artifact>>,
        encapsulates_refs: Option<Vec<Ref<NetworkTrafficTarget>>>,
        encapsulated_by_ref: Option<Ref<NetworkTrafficTarget>>,
    }
}

observable_object! {
    /// A running program.
    "6.13" Process "process" [ProcessExtensions] {
        is_hidden: Option<bool>,
        pid: Option<Integer>,
        created_time: Option<Timestamp>,
        cwd: Option<String>,
        command_line: Option<String>,
        environment_variables: Option<Dictionary<String>>,
        opened_connection_refs: Option<Vec<Ref<NetworkTrafficTarget>>>,
        creator_user_ref: Option<Ref<UserAccountTarget>>,
        image_ref: Option<Ref<FileTarget>>,
        parent_ref: Option<Ref<ProcessTarget>>,
        child_refs: Option<Vec<Ref<ProcessTarget>>>,
    }
}

observable_object! {
    /// A program.
    "6.14" Software "software" [Extensions] {
        name: String,
        cpe: Option<String>,
        swid: Option<String>,
        languages: Option<Vec<String>>,
        vendor: Option<String>,
        version: Option<String>,
    }
}

observable_object! {
    /// A URL.
    "6.15" Url "url" [Extensions] {
        value: String,
    }
}

observable_object! {
    /// An account of a system or service.
    "6.16" UserAccount "user-account" [UserAccountExtensions] {
        user_id: Option<String>,
        credential: Option<String>,
        account_login: Option<String>,
        account_type: Option<Word<AccountType>>,
        display_name: Option<String>,
        is_service_account: Option<bool>,
        is_privileged: Option<bool>,
        can_escalate_privs: Option<bool>,
        is_disabled: Option<bool>,
        account_created: Option<Timestamp>,
        account_expires: Option<Timestamp>,
        credential_last_changed: Option<Timestamp>,
        account_first_login: Option<Timestamp>,
        account_last_login: Option<Timestamp>,
    }
}

observable_object! {
    /// A key of the Windows registry.
    "6.17" WindowsRegistryKey "windows-registry-key" [Extensions] {
        key: Option<String>,
        values: Option<Vec<WindowsRegistryValue>>,
        modified_time: Option<Timestamp>,
        creator_user_ref: Option<Ref<UserAccountTarget>>,
        number_of_subkeys: Option<Integer>,
    }
}

observable_object! {
    /// A certificate.
    "6.18" X509Certificate "x509-certificate" [Extensions] {
        is_self_signed: Option<bool>,
        hashes: Option<Hashes>,
        version: Option<String>,
        serial_number: Option<String>,
        signature_algorithm: Option<String>,
        issuer: Option<String>,
        validity_not_before: Option<Timestamp>,
        validity_not_after: Option<Timestamp>,
        subject: Option<String>,
        subject_public_key_algorithm: Option<String>,
        subject_public_key_modulus: Option<String>,
        subject_public_key_exponent: Option<Integer>,
        x509_v3_extensions: Option<X509V3Extensions>,
    }
}
