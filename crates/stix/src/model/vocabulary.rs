//! The vocabularies and enumerations of the standard (STIX 2.1 §10).

use super::field::Words;

/// A set of words.
#[derive(Debug)]
pub struct Vocabulary {
    /// Its name in the standard.
    pub name: &'static str,
    /// The section of STIX 2.1 that defines it.
    pub section: &'static str,
    /// Other words may be used as well: it is an open vocabulary and no enumeration.
    pub is_open: bool,
    /// The words.
    pub words: &'static [&'static str],
}

impl Vocabulary {
    /// Tells whether `word` is one of the words.
    #[must_use]
    pub fn contains(&self, word: &str) -> bool {
        self.words.contains(&word)
    }
}

macro_rules! vocabularies {
    ($($(#[$meta:meta])* $name:ident $wire_name:literal $section:literal $openness:ident [$($word:literal)*])*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl Words for $name {
            const VOCABULARY: &'static Vocabulary = &Vocabulary {
                name: $wire_name,
                section: $section,
                is_open: vocabularies!(@ $openness),
                words: &[$($word),*],
            };
        }
    )*};
    (@ open) => { true };
    (@ closed) => { false };
}

vocabularies! {
    /// Kinds of user accounts (STIX 2.1 §10.1).
    AccountType "account-type-ov" "10.1" open [
        "unix" "windows-local" "windows-domain" "ldap" "tacacs" "radius" "nis" "openid" "facebook" "skype" "twitter"
        "kavi"
    ]

    /// What moves attackers (STIX 2.1 §10.2).
    AttackMotivation "attack-motivation-ov" "10.2" open [
        "accidental" "coercion" "dominance" "ideology" "notoriety" "organizational-gain" "personal-gain"
        "personal-satisfaction" "revenge" "unpredictable"
    ]

    /// What attackers can muster (STIX 2.1 §10.3).
    AttackResourceLevel "attack-resource-level-ov" "10.3" open [
        "individual" "club" "contest" "team" "organization" "government"
    ]

    /// How an artifact is encrypted (STIX 2.1 §10.4).
    EncryptionAlgorithm "encryption-algorithm-enum" "10.4" closed [
        "AES-256-GCM" "ChaCha20-Poly1305" "mime-type-indicated"
    ]

    /// What an extension adds (STIX 2.1 §10.5).
    ExtensionType "extension-type-enum" "10.5" closed [
        "new-sdo" "new-sco" "new-sro" "property-extension" "toplevel-property-extension"
    ]

    /// What grouped objects have in common (STIX 2.1 §10.6).
    GroupingContext "grouping-context-ov" "10.6" open [
        "suspicious-activity" "malware-analysis" "unspecified"
    ]

    /// Algorithms of digests (STIX 2.1 §10.7).
    HashingAlgorithm "hash-algorithm-ov" "10.7" open [
        "MD5" "SHA-1" "SHA-256" "SHA-512" "SHA3-256" "SHA3-512" "SSDEEP" "TLSH"
    ]

    /// Kinds of identities (STIX 2.1 §10.8).
    IdentityClass "identity-class-ov" "10.8" open [
        "individual" "group" "system" "organization" "class" "unknown"
    ]

    /// Languages that malware is written in (STIX 2.1 §10.9).
    ImplementationLanguage "implementation-language-ov" "10.9" open [
        "applescript" "bash" "c" "c++" "c#" "go" "java" "javascript" "lua" "objective-c" "perl" "php" "powershell"
        "python" "ruby" "scala" "swift" "typescript" "visual-basic" "x86-32" "x86-64"
    ]

    /// What an indicator points to (STIX 2.1 §10.10).
    IndicatorType "indicator-type-ov" "10.10" open [
        "anomalous-activity" "anonymization" "benign" "compromised" "malicious-activity" "attribution" "unknown"
    ]

    /// Sectors of industry (STIX 2.1 §10.11).
    IndustrySector "industry-sector-ov" "10.11" open [
        "agriculture" "aerospace" "automotive" "chemical" "commercial" "communications" "construction" "defense"
        "education" "energy" "entertainment" "financial-services" "government" "emergency-services"
        "government-local" "government-national" "government-public-services" "government-regional" "healthcare"
        "hospitality-leisure" "infrastructure" "dams" "nuclear" "water" "insurance" "manufacturing" "mining"
        "non-profit" "pharmaceuticals" "retail" "technology" "telecommunications" "transportation" "utilities"
    ]

    /// Purposes of infrastructure (STIX 2.1 §10.12).
    InfrastructureType "infrastructure-type-ov" "10.12" open [
        "amplification" "anonymization" "botnet" "command-and-control" "control-system" "exfiltration" "firewall"
        "hosting-malware" "hosting-target-lists" "phishing" "reconnaissance" "routers-switches" "staging"
        "workstation" "unknown"
    ]

    /// What malware can do (STIX 2.1 §10.13).
    MalwareCapability "malware-capabilities-ov" "10.13" open [
        "accesses-remote-machines" "anti-debugging" "anti-disassembly" "anti-emulation" "anti-memory-forensics"
        "anti-sandbox" "anti-vm" "captures-input-peripherals" "captures-output-peripherals"
        "captures-system-state-data" "cleans-traces-of-infection" "commits-fraud" "communicates-with-c2"
        "compromises-data-availability" "compromises-data-integrity" "compromises-system-availability"
        "controls-local-machine" "degrades-security-software" "degrades-system-updates" "determines-c2-server"
        "emails-spam" "escalates-privileges" "evades-av" "exfiltrates-data" "fingerprints-host" "hides-artifacts"
        "hides-executing-code" "infects-files" "infects-remote-machines" "installs-other-components"
        "persists-after-system-reboot" "prevents-artifact-access" "prevents-artifact-deletion"
        "probes-network-environment" "self-modifies" "steals-authentication-credentials"
        "violates-system-operational-integrity"
    ]

    /// What an analysis found (STIX 2.1 §10.14).
    MalwareResult "malware-result-ov" "10.14" open [
        "malicious" "suspicious" "benign" "unknown"
    ]

    /// Kinds of malware (STIX 2.1 §10.15).
    MalwareType "malware-type-ov" "10.15" open [
        "adware" "backdoor" "bot" "bootkit" "ddos" "downloader" "dropper" "exploit-kit" "keylogger" "ransomware"
        "remote-access-trojan" "resource-exploitation" "rogue-security-software" "rootkit" "screen-capture"
        "spyware" "trojan" "unknown" "virus" "webshell" "wiper" "worm"
    ]

    /// Address families of sockets (STIX 2.1 §10.16).
    AddressFamily "network-socket-address-family-enum" "10.16" closed [
        "AF_UNSPEC" "AF_INET" "AF_IPX" "AF_APPLETALK" "AF_NETBIOS" "AF_INET6" "AF_IRDA" "AF_BTH"
    ]

    /// Kinds of sockets (STIX 2.1 §10.17).
    SocketType "network-socket-type-enum" "10.17" closed [
        "SOCK_STREAM" "SOCK_DGRAM" "SOCK_RAW" "SOCK_RDM" "SOCK_SEQPACKET"
    ]

    /// Degrees of agreement (STIX 2.1 §10.18).
    OpinionValue "opinion-enum" "10.18" closed [
        "strongly-disagree" "disagree" "neutral" "agree" "strongly-agree"
    ]

    /// Languages of patterns (STIX 2.1 §10.19).
    PatternType "pattern-type-ov" "10.19" open [
        "stix" "pcre" "sigma" "snort" "suricata" "yara"
    ]

    /// Processors (STIX 2.1 §10.20).
    ProcessorArchitecture "processor-architecture-ov" "10.20" open [
        "alpha" "arm" "ia-64" "mips" "powerpc" "sparc" "x86" "x86-64"
    ]

    /// Regions of the Earth (STIX 2.1 §10.21).
    Region "region-ov" "10.21" open [
        "africa" "eastern-africa" "middle-africa" "northern-africa" "southern-africa" "western-africa" "americas"
        "latin-america-caribbean" "south-america" "caribbean" "central-america" "northern-america" "asia"
        "central-asia" "eastern-asia" "southern-asia" "south-eastern-asia" "western-asia" "europe" "eastern-europe"
        "northern-europe" "southern-europe" "western-europe" "oceania" "australia-new-zealand" "melanesia"
        "micronesia" "polynesia" "antarctica"
    ]

    /// What a report is about (STIX 2.1 §10.22).
    ReportType "report-type-ov" "10.22" open [
        "threat-report" "attack-pattern" "campaign" "identity" "indicator" "intrusion-set" "malware" "observed-data"
        "threat-actor" "tool" "vulnerability"
    ]

    /// Kinds of threat actors (STIX 2.1 §10.23).
    ThreatActorType "threat-actor-type-ov" "10.23" open [
        "activist" "competitor" "crime-syndicate" "criminal" "hacker" "insider-accidental" "insider-disgruntled"
        "nation-state" "sensationalist" "spy" "terrorist" "unknown"
    ]

    /// What part a threat actor plays (STIX 2.1 §10.24).
    ThreatActorRole "threat-actor-role-ov" "10.24" open [
        "agent" "director" "independent" "infrastructure-architect" "infrastructure-operator" "malware-author"
        "sponsor"
    ]

    /// How able a threat actor is (STIX 2.1 §10.25).
    ThreatActorSophistication "threat-actor-sophistication-ov" "10.25" open [
        "none" "minimal" "intermediate" "advanced" "expert" "innovator" "strategic"
    ]

    /// Kinds of tools (STIX 2.1 §10.26).
    ToolType "tool-type-ov" "10.26" open [
        "denial-of-service" "exploitation" "information-gathering" "network-capture" "credential-exploitation"
        "remote-access" "vulnerability-scanning" "unknown"
    ]

    /// Integrity levels of Windows (STIX 2.1 §10.27).
    IntegrityLevel "windows-integrity-level-enum" "10.27" closed [
        "low" "medium" "high" "system"
    ]

    /// Kinds of portable executables (STIX 2.1 §10.28).
    PeBinaryType "windows-pebinary-type-ov" "10.28" open [
        "exe" "dll" "sys"
    ]

    /// Types of values in the Windows registry (STIX 2.1 §10.29).
    RegistryDataType "windows-registry-datatype-enum" "10.29" closed [
        "REG_NONE" "REG_SZ" "REG_EXPAND_SZ" "REG_BINARY" "REG_DWORD" "REG_DWORD_BIG_ENDIAN"
        "REG_DWORD_LITTLE_ENDIAN" "REG_LINK" "REG_MULTI_SZ" "REG_RESOURCE_LIST" "REG_FULL_RESOURCE_DESCRIPTION"
        "REG_RESOURCE_REQUIREMENTS_LIST" "REG_QWORD" "REG_INVALID_TYPE"
    ]

    /// When a service of Windows starts (STIX 2.1 §10.30).
    ServiceStartType "windows-service-start-type-enum" "10.30" closed [
        "SERVICE_AUTO_START" "SERVICE_BOOT_START" "SERVICE_DEMAND_START" "SERVICE_DISABLED" "SERVICE_SYSTEM_ALERT"
    ]

    /// Kinds of services of Windows (STIX 2.1 §10.31).
    ServiceType "windows-service-type-enum" "10.31" closed [
        "SERVICE_KERNEL_DRIVER" "SERVICE_FILE_SYSTEM_DRIVER" "SERVICE_WIN32_OWN_PROCESS"
        "SERVICE_WIN32_SHARE_PROCESS"
    ]

    /// States of a service of Windows (STIX 2.1 §10.32).
    ServiceStatus "windows-service-status-enum" "10.32" closed [
        "SERVICE_CONTINUE_PENDING" "SERVICE_PAUSE_PENDING" "SERVICE_PAUSED" "SERVICE_RUNNING"
        "SERVICE_START_PENDING" "SERVICE_STOP_PENDING" "SERVICE_STOPPED"
    ]

    /// Versions of STIX that an object can name (STIX 2.1 §3.2).
    SpecVersion "spec-version" "3.2" closed [
        "2.0" "2.1"
    ]
}
