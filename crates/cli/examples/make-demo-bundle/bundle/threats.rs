//! Actors, campaigns, malware, tools, techniques, infrastructure, weaknesses and what helps against them.

use serde_json::{Value, json};

use super::{
    make::{in_sectors, marked, object},
    markings::{AMBER, AMBER_STRICT, CLEAR, GREEN, RED, TLP_1_AMBER},
};

pub(crate) fn all() -> Vec<Value> {
    [actors(), malware(), techniques(), infrastructure(), weaknesses()].concat()
}

fn actors() -> Vec<Value> {
    vec![
        marked(
            &[GREEN],
            object(
                "threat-actor",
                "copper-lantern",
                "01-20",
                json!({
                    "name": "铜灯笼",
                    "lang": "zh",
                    "aliases": ["Copper Lantern", "تانبے کی لالٹین"],
                    "description": "以窃取网上银行凭据牟利的团伙，自2024年冬季起活动。",
                    "threat_actor_types": ["crime-syndicate"],
                    "resource_level": "organization",
                    "primary_motivation": "personal-gain",
                    "confidence": 70,
                }),
            ),
        ),
        marked(
            &[RED],
            object(
                "threat-actor",
                "salt-heron",
                "02-11",
                json!({
                    "name": "Salt Heron",
                    "lang": "en",
                    "description": "Attribution under inquiry; for the named recipients of this note only.",
                    "threat_actor_types": ["unknown"],
                    "confidence": 35,
                }),
            ),
        ),
        marked(
            &[GREEN],
            object(
                "intrusion-set",
                "dry-canal",
                "02-11",
                json!({
                    "name": "Dry Canal",
                    "lang": "en",
                    "aliases": ["القناة الجافة", "خشک نہر"],
                    "description": "Long-term access to the engineering networks of power companies.",
                    "first_seen": "2024-11-02T00:00:00Z",
                    "goals": ["access to control systems"],
                }),
            ),
        ),
        marked(
            &[CLEAR],
            in_sectors(
                &["banking"],
                object(
                    "campaign",
                    "winter-statement",
                    "01-20",
                    json!({
                        "name": "موسمِ سرما کا گوشوارہ",
                        "lang": "ur",
                        "aliases": ["Winter Statement"],
                        "description": "بینک کے گاہکوں کو جعلی ماہانہ گوشوارے بھیج کر پاس ورڈ چرانے کی مہم۔",
                        "first_seen": "2024-12-18T00:00:00Z",
                        "last_seen": "2025-02-27T00:00:00Z",
                        "objective": "Credentials of online banking",
                    }),
                ),
            ),
        ),
        marked(
            &[AMBER],
            in_sectors(
                &["energy"],
                object(
                    "campaign",
                    "quiet-turbine",
                    "02-12",
                    json!({
                        "name": "توربين صامت",
                        "lang": "ar",
                        "aliases": ["Quiet Turbine"],
                        "description": "حملة تستهدف محطات العمل الهندسية في شركات الكهرباء عبر تحديثات برمجية مزوّرة.",
                        "first_seen": "2025-01-29T00:00:00Z",
                    }),
                ),
            ),
        ),
    ]
}

fn malware() -> Vec<Value> {
    vec![
        marked(
            &[CLEAR],
            object(
                "malware",
                "paper-moon",
                "01-21",
                json!({
                    "name": "PaperMoon",
                    "lang": "en",
                    "description": "Steals credentials from browsers and forwards one-time codes.",
                    "malware_types": ["spyware", "trojan"],
                    "is_family": true,
                    "kill_chain_phases": [{"kill_chain_name": "lockheed-martin-cyber-kill-chain", "phase_name": "actions-on-objective"}],
                }),
            ),
        ),
        marked(
            &[AMBER],
            in_sectors(
                &["energy"],
                object(
                    "malware",
                    "sandglass",
                    "02-12",
                    json!({
                        "name": "ساعة رملية",
                        "lang": "ar",
                        "aliases": ["Sandglass"],
                        "description": "باب خلفي ينتظر أياماً قبل أن يتصل بخادمه.",
                        "malware_types": ["backdoor", "remote-access-trojan"],
                        "is_family": true,
                        "implementation_languages": ["c++"],
                        "architecture_execution_envs": ["x86-64"],
                    }),
                ),
            ),
        ),
        marked(
            &[GREEN],
            in_sectors(
                &["communications"],
                object(
                    "malware",
                    "reed-flute",
                    "02-20",
                    json!({
                        "name": "芦笛",
                        "lang": "zh",
                        "aliases": ["ReedFlute"],
                        "description": "驻留在网络管理服务器内存中的后门，通过DNS隧道通信。",
                        "malware_types": ["backdoor"],
                        "is_family": false,
                    }),
                ),
            ),
        ),
        marked(
            &[CLEAR],
            object(
                "tool",
                "ferryman",
                "02-20",
                json!({
                    "name": "Ferryman",
                    "lang": "en",
                    "description": "A freely available tunnelling tool that the intruders renamed svchost.",
                    "tool_types": ["remote-access"],
                    "tool_version": "2.4.1",
                }),
            ),
        ),
    ]
}

fn techniques() -> Vec<Value> {
    let attack = |phase: &str| json!([{"kill_chain_name": "mitre-attack", "phase_name": phase}]);
    let reference = |id: &str| json!([{"source_name": "mitre-attack", "external_id": id}]);
    vec![
        marked(
            &[CLEAR],
            object(
                "attack-pattern",
                "spearphishing",
                "01-20",
                json!({
                    "name": "Spearphishing Link",
                    "lang": "en",
                    "external_references": reference("T1566.002"),
                    "kill_chain_phases": attack("initial-access"),
                }),
            ),
        ),
        marked(
            &[CLEAR],
            object(
                "attack-pattern",
                "web-portal",
                "01-20",
                json!({
                    "name": "Web Portal Capture",
                    "lang": "en",
                    "external_references": reference("T1056.003"),
                    "kill_chain_phases": attack("credential-access"),
                }),
            ),
        ),
        marked(
            &[CLEAR],
            object(
                "attack-pattern",
                "supply-chain",
                "02-12",
                json!({
                    "name": "اختراق سلسلة توريد البرمجيات",
                    "lang": "ar",
                    "external_references": reference("T1195.002"),
                    "kill_chain_phases": attack("initial-access"),
                }),
            ),
        ),
        marked(
            &[CLEAR],
            object(
                "attack-pattern",
                "dns-tunnel",
                "02-20",
                json!({
                    "name": "DNS隧道",
                    "lang": "zh",
                    "external_references": reference("T1071.004"),
                    "kill_chain_phases": attack("command-and-control"),
                }),
            ),
        ),
    ]
}

fn infrastructure() -> Vec<Value> {
    vec![
        marked(
            &[GREEN],
            in_sectors(
                &["banking"],
                object(
                    "infrastructure",
                    "statement-host",
                    "01-22",
                    json!({
                        "name": "جعلی گوشواروں کا میزبان",
                        "lang": "ur",
                        "infrastructure_types": ["phishing", "hosting-malware"],
                        "first_seen": "2024-12-18T00:00:00Z",
                    }),
                ),
            ),
        ),
        marked(
            &[AMBER],
            in_sectors(
                &["energy"],
                object(
                    "infrastructure",
                    "turbine-c2",
                    "02-13",
                    json!({
                        "name": "Sandglass command and control",
                        "lang": "en",
                        "infrastructure_types": ["command-and-control"],
                        "kill_chain_phases": [{"kill_chain_name": "lockheed-martin-cyber-kill-chain", "phase_name": "command-and-control"}],
                    }),
                ),
            ),
        ),
        marked(
            &[AMBER_STRICT],
            object(
                "infrastructure",
                "sinkhole",
                "03-03",
                json!({
                    "name": "NCERT's sinkhole",
                    "lang": "en",
                    "description": "Where victims' connections are counted; its address is known to few.",
                    "infrastructure_types": ["unknown"],
                }),
            ),
        ),
    ]
}

fn weaknesses() -> Vec<Value> {
    let cve = |id: &str| json!([{"source_name": "cve", "external_id": id}]);
    vec![
        marked(
            &[CLEAR],
            object(
                "vulnerability",
                "portal",
                "02-12",
                json!({
                    "name": "CVE-2999-10001",
                    "lang": "en",
                    "description": "An invented weakness: the update portal accepts unsigned firmware.",
                    "external_references": cve("CVE-2999-10001"),
                }),
            ),
        ),
        marked(
            &[AMBER],
            object(
                "vulnerability",
                "gateway",
                "03-02",
                json!({
                    "name": "CVE-2999-10002",
                    "lang": "ur",
                    "description": "ایک فرضی کمزوری: وی پی این گیٹ وے لاگ اِن سے پہلے ہدایات مان لیتا ہے۔",
                    "external_references": cve("CVE-2999-10002"),
                }),
            ),
        ),
        marked(
            &[CLEAR],
            object(
                "course-of-action",
                "second-factor",
                "01-23",
                json!({
                    "name": "ہر لین دین پر دوسری تصدیق",
                    "lang": "ur",
                    "description": "ایک ہی کوڈ پر بھروسا نہ کریں؛ ہر منتقلی کی رقم اور وصول کنندہ گاہک کو دکھا کر تصدیق لیں۔",
                }),
            ),
        ),
        marked(
            &[CLEAR],
            object(
                "course-of-action",
                "signed-updates",
                "02-14",
                json!({
                    "name": "قبول التحديثات الموقّعة فقط",
                    "lang": "ar",
                    "description": "تحقّق من توقيع كل تحديث خارج الشبكة الهندسية قبل إدخاله إليها.",
                }),
            ),
        ),
        marked(
            &[TLP_1_AMBER],
            object(
                "course-of-action",
                "dns-egress",
                "02-21",
                json!({
                    "name": "限制对外DNS查询",
                    "lang": "zh",
                    "description": "仅允许内部解析器向外发送DNS请求，并记录异常长的查询名。",
                }),
            ),
        ),
    ]
}
