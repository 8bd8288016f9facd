//! STIX domain objects (STIX 2.1 §4).

use super::{
    common::{Extensions, ExternalReference, GranularMarking, KillChainPhase, Tag, Typed},
    field::{
        AnyObject, Custom, Dictionary, FileOrArtifact, Integer, MarkingDefinition, Number, Ref, Sample, Software, Word,
    },
    shape::{Property, Shape, Shaped, Structure},
    vocabulary::{
        AttackMotivation, AttackResourceLevel, GroupingContext, IdentityClass, ImplementationLanguage, IndicatorType,
        IndustrySector, InfrastructureType, MalwareCapability, MalwareResult, MalwareType, OpinionValue, PatternType,
        ProcessorArchitecture, Region, ReportType, SpecVersion, ThreatActorRole, ThreatActorSophistication,
        ThreatActorType, ToolType,
    },
};
use crate::time::Timestamp;

versioned_object! {
    /// A way in which attackers go about it.
    "4.1" AttackPattern "attack-pattern" {
        name: String,
        description: Option<String>,
        aliases: Option<Vec<String>>,
        kill_chain_phases: Option<Vec<KillChainPhase>>,
    }
}

versioned_object! {
    /// What attackers did over a time against some targets.
    "4.2" Campaign "campaign" {
        name: String,
        description: Option<String>,
        aliases: Option<Vec<String>>,
        first_seen: Option<Timestamp>,
        last_seen: Option<Timestamp>,
        objective: Option<String>,
    }
}

versioned_object! {
    /// What can be done against an attack.
    "4.3" CourseOfAction "course-of-action" {
        name: String,
        description: Option<String>,
    }
}

versioned_object! {
    /// Objects that have something in common.
    "4.4" Grouping "grouping" {
        name: Option<String>,
        description: Option<String>,
        context: Word<GroupingContext>,
        object_refs: Vec<Ref<AnyObject>>,
    }
}

versioned_object! {
    /// A person, an organisation, or a class of them.
    "4.5" IdentityObject "identity" {
        name: String,
        description: Option<String>,
        roles: Option<Vec<String>>,
        identity_class: Option<Word<IdentityClass>>,
        sectors: Option<Vec<Word<IndustrySector>>>,
        contact_information: Option<String>,
    }
}

versioned_object! {
    /// An incident; the standard leaves its details to extensions.
    "4.6" Incident "incident" {
        name: String,
        description: Option<String>,
    }
}

versioned_object! {
    /// A pattern by which something suspicious is recognised.
    "4.7" Indicator "indicator" {
        name: Option<String>,
        description: Option<String>,
        indicator_types: Option<Vec<Word<IndicatorType>>>,
        pattern: String,
        pattern_type: Word<PatternType>,
        pattern_version: Option<String>,
        valid_from: Timestamp,
        valid_until: Option<Timestamp>,
        kill_chain_phases: Option<Vec<KillChainPhase>>,
    }
}

versioned_object! {
    /// Systems that serve some purpose of attackers or defenders.
    "4.8" Infrastructure "infrastructure" {
        name: String,
        description: Option<String>,
        infrastructure_types: Option<Vec<Word<InfrastructureType>>>,
        aliases: Option<Vec<String>>,
        kill_chain_phases: Option<Vec<KillChainPhase>>,
        first_seen: Option<Timestamp>,
        last_seen: Option<Timestamp>,
    }
}

versioned_object! {
    /// Behaviour and resources that are believed to be those of one organisation.
    "4.9" IntrusionSet "intrusion-set" {
        name: String,
        description: Option<String>,
        aliases: Option<Vec<String>>,
        first_seen: Option<Timestamp>,
        last_seen: Option<Timestamp>,
        goals: Option<Vec<String>>,
        resource_level: Option<Word<AttackResourceLevel>>,
        primary_motivation: Option<Word<AttackMotivation>>,
        secondary_motivations: Option<Vec<Word<AttackMotivation>>>,
    }
}

versioned_object! {
    /// A place on Earth.
    "4.10" Location "location" {
        name: Option<String>,
        description: Option<String>,
        latitude: Option<Number<90>>,
        longitude: Option<Number<180>>,
        precision: Option<Number>,
        region: Option<Word<Region>>,
        country: Option<String>,
        administrative_area: Option<String>,
        city: Option<String>,
        street_address: Option<String>,
        postal_code: Option<String>,
    }
}

versioned_object! {
    /// Malicious code, one instance or a family.
    "4.11" Malware "malware" {
        name: Option<String>,
        description: Option<String>,
        malware_types: Option<Vec<Word<MalwareType>>>,
        is_family: bool,
        aliases: Option<Vec<String>>,
        kill_chain_phases: Option<Vec<KillChainPhase>>,
        first_seen: Option<Timestamp>,
        last_seen: Option<Timestamp>,
        operating_system_refs: Option<Vec<Ref<Software>>>,
        architecture_execution_envs: Option<Vec<Word<ProcessorArchitecture>>>,
        implementation_languages: Option<Vec<Word<ImplementationLanguage>>>,
        capabilities: Option<Vec<Word<MalwareCapability>>>,
        sample_refs: Option<Vec<Ref<FileOrArtifact>>>,
    }
}

versioned_object! {
    /// How malware was analysed, and with what result.
    "4.12" MalwareAnalysis "malware-analysis" {
        product: String,
        version: Option<String>,
        host_vm_ref: Option<Ref<Software>>,
        operating_system_ref: Option<Ref<Software>>,
        installed_software_refs: Option<Vec<Ref<Software>>>,
        configuration_version: Option<String>,
        modules: Option<Vec<String>>,
        analysis_engine_version: Option<String>,
        analysis_definition_version: Option<String>,
        submitted: Option<Timestamp>,
        analysis_started: Option<Timestamp>,
        analysis_ended: Option<Timestamp>,
        result_name: Option<String>,
        result: Option<Word<MalwareResult>>,
        analysis_sco_refs: Option<Vec<Ref<AnyObject>>>,
        sample_ref: Option<Ref<Sample>>,
    }
}

versioned_object! {
    /// Text about other objects.
    "4.13" Note "note" {
        abstract_text as "abstract": Option<String>,
        content: String,
        authors: Option<Vec<String>>,
        object_refs: Vec<Ref<AnyObject>>,
    }
}

versioned_object! {
    /// What was seen on systems and networks.
    "4.14" ObservedDataObject "observed-data" {
        first_observed: Timestamp,
        last_observed: Timestamp,
        number_observed: Integer<1, 999_999_999>,
        objects: Option<Dictionary<serde_json::Value>>,
        object_refs: Option<Vec<Ref<AnyObject>>>,
    }
}

versioned_object! {
    /// How far somebody agrees with what objects say.
    "4.15" Opinion "opinion" {
        explanation: Option<String>,
        authors: Option<Vec<String>>,
        opinion: Word<OpinionValue>,
        object_refs: Vec<Ref<AnyObject>>,
    }
}

versioned_object! {
    /// A publication about threats.
    "4.16" Report "report" {
        name: String,
        description: Option<String>,
        report_types: Option<Vec<Word<ReportType>>>,
        published: Timestamp,
        object_refs: Vec<Ref<AnyObject>>,
    }
}

versioned_object! {
    /// People who are believed to act with malicious intent.
    "4.17" ThreatActor "threat-actor" {
        name: String,
        description: Option<String>,
        threat_actor_types: Option<Vec<Word<ThreatActorType>>>,
        aliases: Option<Vec<String>>,
        first_seen: Option<Timestamp>,
        last_seen: Option<Timestamp>,
        roles: Option<Vec<Word<ThreatActorRole>>>,
        goals: Option<Vec<String>>,
        sophistication: Option<Word<ThreatActorSophistication>>,
        resource_level: Option<Word<AttackResourceLevel>>,
        primary_motivation: Option<Word<AttackMotivation>>,
        secondary_motivations: Option<Vec<Word<AttackMotivation>>>,
        personal_motivations: Option<Vec<Word<AttackMotivation>>>,
    }
}

versioned_object! {
    /// Legitimate software that attackers use.
    "4.18" Tool "tool" {
        name: String,
        description: Option<String>,
        tool_types: Option<Vec<Word<ToolType>>>,
        aliases: Option<Vec<String>>,
        kill_chain_phases: Option<Vec<KillChainPhase>>,
        tool_version: Option<String>,
    }
}

versioned_object! {
    /// A weakness that attackers can use.
    "4.19" Vulnerability "vulnerability" {
        name: String,
        description: Option<String>,
    }
}
