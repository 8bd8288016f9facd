//! Reports, notes and what else speaks of the rest.

use serde_json::{Value, json};

use super::{
    make::{id, marked, object},
    markings::{AMBER, CLEAR, GREEN, RED},
};

/// The ids of objects, each given as type and key.
fn ids(keys: &[(&str, &str)]) -> Vec<String> {
    keys.iter().map(|(object_type, key)| id(object_type, key)).collect()
}

pub(crate) fn all() -> Vec<Value> {
    vec![
        marked(
            &[CLEAR],
            object(
                "report",
                "winter-statement",
                "03-12",
                json!({
                    "name": "Winter Statement: phishing against bank customers",
                    "lang": "en",
                    "description": "What Pakistan's NCERT saw between December and February, and what to block.",
                    "report_types": ["campaign", "indicator"],
                    "published": "2025-03-12T06:00:00Z",
                    "object_refs": ids(&[
                        ("campaign", "winter-statement"),
                        ("malware", "paper-moon"),
                        ("indicator", "ipv4-statement"),
                        ("indicator", "domain-bank"),
                        ("indicator", "domain-arabic"),
                        ("indicator", "domain-urdu"),
                        ("indicator", "url-statement"),
                        ("indicator", "mail-sender"),
                        ("indicator", "file-paper-moon"),
                    ]),
                }),
            ),
        ),
        marked(
            &[AMBER],
            object(
                "report",
                "quiet-turbine",
                "03-13",
                json!({
                    "name": "تقرير: توربين صامت",
                    "lang": "ar",
                    "description": "ملخّص لما رُصد في محطات العمل الهندسية، مع مؤشرات الاختراق والتوصيات.",
                    "report_types": ["threat-report"],
                    "published": "2025-03-13T06:00:00Z",
                    "object_refs": ids(&[
                        ("campaign", "quiet-turbine"),
                        ("malware", "sandglass"),
                        ("indicator", "ipv4-c2"),
                        ("indicator", "url-firmware"),
                        ("indicator", "file-sandglass"),
                        ("course-of-action", "signed-updates"),
                    ]),
                }),
            ),
        ),
        marked(
            &[GREEN],
            object(
                "grouping",
                "reed-flute",
                "03-13",
                json!({
                    "name": "芦笛相关线索",
                    "lang": "zh",
                    "context": "suspicious-activity",
                    "object_refs": ids(&[
                        ("malware", "reed-flute"),
                        ("indicator", "ipv6-tunnel"),
                        ("indicator", "file-invoice"),
                        ("indicator", "suricata"),
                    ]),
                }),
            ),
        ),
        marked(
            &[CLEAR],
            object(
                "note",
                "advice",
                "03-14",
                json!({
                    "abstract": "گاہکوں کے لیے ہدایت",
                    "lang": "ur",
                    "content": "بینک کبھی فون یا پیغام پر کوڈ نہیں مانگتا۔ مشکوک ربط 192.0.2.44 والے سرور پر لے جاتا ہے؛ اسے نہ کھولیں۔",
                    "authors": ["شعبۂ آگاہی"],
                    "object_refs": ids(&[("campaign", "winter-statement"), ("indicator", "url-statement")]),
                }),
            ),
        ),
        // Marked CLEAR by a slip; what it speaks of is TLP:RED, and so is the note.
        marked(
            &[CLEAR],
            object(
                "note",
                "attribution",
                "03-14",
                json!({
                    "abstract": "On attribution",
                    "lang": "en",
                    "content": "Two independent sources; see the inquiry's file.",
                    "object_refs": ids(&[("threat-actor", "salt-heron")]),
                }),
            ),
        ),
        marked(
            &[RED],
            object(
                "note",
                "inquiry",
                "03-14",
                json!({
                    "abstract": "ملاحظة سرّية",
                    "lang": "ar",
                    "content": "لا تُتداول خارج الجهات المذكورة بالاسم.",
                    "object_refs": ids(&[("campaign", "quiet-turbine")]),
                }),
            ),
        ),
        marked(
            &[GREEN],
            object(
                "opinion",
                "range",
                "03-15",
                json!({
                    "opinion": "agree",
                    "lang": "zh",
                    "explanation": "该网段与我们此前的观察一致。",
                    "object_refs": ids(&[("indicator", "ipv4-range")]),
                }),
            ),
        ),
    ]
}
