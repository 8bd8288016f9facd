//! What to look for: each kind of pattern that a SIEM can use, and markings of every level.

use serde_json::{Value, json};

use super::{
    make::{hash, in_sectors, marked, object, with},
    markings::{AMBER, AMBER_STRICT, CLEAR, GREEN, RED, TLP_1_AMBER, TLP_1_GREEN, TLP_1_WHITE, statement},
};

pub(crate) fn all() -> Vec<Value> {
    [addresses(), domains(), links(), files(), mail(), withheld(), other_languages()].concat()
}

/// An indicator in STIX's own pattern language, valid for ten years.
fn indicator(key: &str, day: &str, lang: &str, name: &str, pattern: &str) -> Value {
    object(
        "indicator",
        key,
        day,
        json!({
            "name": name,
            "description": advice(lang),
            "lang": lang,
            "indicator_types": ["malicious-activity"],
            "pattern": pattern,
            "pattern_type": "stix",
            "pattern_version": "2.1",
            "valid_from": format!("2025-{day}T00:00:00Z"),
            "valid_until": format!("2035-{day}T00:00:00Z"),
            "confidence": 80,
        }),
    )
}

/// What to do about an indicator, in the language of the rest of it.
fn advice(lang: &str) -> &'static str {
    match lang {
        "ar" => "يُحجب ويُبحث عنه في سجلات الأيام التسعين الماضية.",
        "ur" => "اسے روکیں اور پچھلے نوے دن کے ریکارڈ میں تلاش کریں۔",
        "zh" => "请予以阻断，并检索过去90天的日志。",
        _ => "Block it, and search the logs of the last 90 days.",
    }
}

fn kill_chain(phase: &str) -> Value {
    json!({"kill_chain_phases": [{"kill_chain_name": "lockheed-martin-cyber-kill-chain", "phase_name": phase}]})
}

fn addresses() -> Vec<Value> {
    vec![
        marked(
            &[CLEAR],
            with(
                in_sectors(
                    &["banking"],
                    indicator(
                        "ipv4-statement",
                        "01-22",
                        "ur",
                        "جعلی گوشواروں کا سرور",
                        "[ipv4-addr:value = '192.0.2.44']",
                    ),
                ),
                kill_chain("delivery"),
            ),
        ),
        marked(
            &[GREEN],
            indicator(
                "ipv4-range",
                "01-22",
                "en",
                "Range rented by Copper Lantern",
                "[ipv4-addr:value ISSUBSET '198.51.100.128/25']",
            ),
        ),
        marked(
            &[AMBER],
            with(
                in_sectors(
                    &["energy"],
                    indicator(
                        "ipv4-c2",
                        "02-13",
                        "ar",
                        "خادم تحكّم لبرمجية ساعة رملية",
                        "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '203.0.113.77' AND network-traffic:dst_port = 8443]",
                    ),
                ),
                kill_chain("command-and-control"),
            ),
        ),
        marked(
            &[CLEAR],
            in_sectors(
                &["communications"],
                indicator(
                    "ipv6-tunnel",
                    "02-20",
                    "zh",
                    "芦笛后门的DNS隧道终点",
                    "[ipv6-addr:value = '2001:db8:5ec:1::53']",
                ),
            ),
        ),
        marked(
            &[TLP_1_GREEN],
            indicator(
                "ipv6-range",
                "02-20",
                "en",
                "Range of the tunnel's operators",
                "[ipv6-addr:value ISSUBSET '2001:db8:bad:cafe::/64']",
            ),
        ),
    ]
}

fn domains() -> Vec<Value> {
    vec![
        marked(
            &[CLEAR],
            with(
                in_sectors(
                    &["banking"],
                    indicator(
                        "domain-bank",
                        "01-21",
                        "ur",
                        "بینک کی نقل",
                        "[domain-name:value = 'login-namoona-bank.example']",
                    ),
                ),
                kill_chain("delivery"),
            ),
        ),
        marked(
            &[CLEAR],
            in_sectors(
                &["banking"],
                indicator(
                    "domain-arabic",
                    "01-24",
                    "ar",
                    "نطاق ينتحل اسم بنك: بنك-المثال.example",
                    "[domain-name:value = 'xn----zmcabr5ljcgf.example']",
                ),
            ),
        ),
        marked(
            &[GREEN],
            in_sectors(
                &["energy"],
                indicator(
                    "domain-arabic-update",
                    "02-13",
                    "ar",
                    "موقع التحديثات المزوّرة",
                    "[domain-name:value = 'تحديث-الشبكة.example']",
                ),
            ),
        ),
        marked(
            &[GREEN],
            in_sectors(
                &["energy"],
                indicator(
                    "domain-arabic-update-again",
                    "02-15",
                    "en",
                    "The same update site, as a sensor wrote it",
                    "[domain-name:value = 'XN----ZMCDEBGNQ2CZJI2E.EXAMPLE']",
                ),
            ),
        ),
        marked(
            &[CLEAR],
            in_sectors(
                &["banking"],
                indicator("domain-urdu", "01-25", "ur", "جعلی قومی بینک", "[domain-name:value = 'قومی-بینک.example']"),
            ),
        ),
        marked(
            &[AMBER],
            in_sectors(
                &["communications"],
                indicator(
                    "domain-chinese",
                    "02-20",
                    "zh",
                    "冒充电信更新服务的域名",
                    "[domain-name:value = '更新-电信.test']",
                ),
            ),
        ),
    ]
}

fn links() -> Vec<Value> {
    vec![
        marked(
            &[CLEAR],
            in_sectors(
                &["banking"],
                indicator(
                    "url-statement",
                    "01-21",
                    "en",
                    "Phishing page that asks for one-time codes",
                    "[url:value = 'https://login-namoona-bank.example/statement/2025-01?id=7']",
                ),
            ),
        ),
        marked(
            &[AMBER],
            in_sectors(
                &["energy"],
                indicator(
                    "url-firmware",
                    "02-13",
                    "ar",
                    "تحديث مزوّر لوحدة التحكّم",
                    "[url:value = 'http://update.grid-portal.example/fw/plc7.bin'] FOLLOWEDBY [domain-name:value = 'beacon.grid-portal.example'] WITHIN 3600 SECONDS",
                ),
            ),
        ),
        marked(
            &[TLP_1_WHITE],
            indicator(
                "url-port",
                "02-21",
                "zh",
                "后门下载地址",
                r"[url:value MATCHES '^http://[a-z0-9]{8}\\.cdn\\.test:8081/rf/']",
            ),
        ),
    ]
}

fn files() -> Vec<Value> {
    let one = |key: &str| format!("[file:hashes.'SHA-256' = '{}']", hash(key));
    vec![
        marked(&[CLEAR], indicator("file-paper-moon", "01-21", "en", "PaperMoon installer", &one("paper-moon.exe"))),
        marked(
            &[AMBER],
            in_sectors(
                &["energy"],
                indicator(
                    "file-sandglass",
                    "02-13",
                    "ar",
                    "ملف ساعة رملية",
                    &format!("[file:hashes.'SHA-256' = '{}' OR file:name = 'plc7.bin']", hash("sandglass.bin")),
                ),
            ),
        ),
        marked(
            &[GREEN],
            indicator(
                "file-invoice",
                "02-21",
                "zh",
                "伪装成发票的程序",
                "[file:name = '发票2025年02月.exe' AND file:size > 40960]",
            ),
        ),
        marked(
            &[CLEAR],
            with(
                object(
                    "indicator",
                    "yara",
                    "02-22",
                    json!({
                        "name": "ReedFlute in memory",
                        "lang": "en",
                        "description": advice("en"),
                        "indicator_types": ["malicious-activity"],
                        "pattern": "rule reed_flute { strings: $a = \"rf_bamboo_v3\" ascii $b = { 52 46 03 00 } condition: all of them }",
                        "pattern_type": "yara",
                        "valid_from": "2025-02-22T00:00:00Z",
                        "confidence": 60,
                    }),
                ),
                kill_chain("installation"),
            ),
        ),
        marked(
            &[GREEN],
            object(
                "indicator",
                "suricata",
                "02-22",
                json!({
                    "name": "DNS隧道特征",
                    "lang": "zh",
                    "description": advice("zh"),
                    "indicator_types": ["anomalous-activity"],
                    "pattern": "alert dns any any -> any any (msg:\"ReedFlute tunnel\"; dns.query; content:\".t.cdn.test\"; endswith; sid:9000001; rev:1;)",
                    "pattern_type": "suricata",
                    "valid_from": "2025-02-22T00:00:00Z",
                }),
            ),
        ),
    ]
}

fn mail() -> Vec<Value> {
    vec![
        marked(
            &[CLEAR],
            in_sectors(
                &["banking"],
                indicator(
                    "mail-sender",
                    "01-21",
                    "ur",
                    "جعلی گوشوارے بھیجنے والا پتہ",
                    "[email-addr:value = 'statements@namoona-bank.example']",
                ),
            ),
        ),
        marked(
            &[GREEN],
            in_sectors(
                &["banking"],
                indicator(
                    "mail-subject",
                    "01-21",
                    "ur",
                    "خط کا عنوان",
                    "[email-message:from_ref.value = 'statements@namoona-bank.example' AND email-message:subject = 'آپ کا ماہانہ گوشوارہ']",
                ),
            ),
        ),
    ]
}

/// What the agreements of the demo keep at home, each for another reason, or only let the one peer have.
fn withheld() -> Vec<Value> {
    vec![
        marked(
            &[AMBER_STRICT],
            indicator(
                "ipv4-sinkhole",
                "03-03",
                "en",
                "Our sinkhole: hosts that call it are infected",
                "[ipv4-addr:value = '198.51.100.9']",
            ),
        ),
        marked(
            &[RED],
            indicator(
                "domain-red",
                "03-04",
                "en",
                "Staging host of Salt Heron",
                "[domain-name:value = 'heron-staging.test']",
            ),
        ),
        marked(
            &[CLEAR, &statement()],
            indicator("ipv4-inquiry", "03-05", "ur", "زیرِ تفتیش سرور", "[ipv4-addr:value = '203.0.113.200']"),
        ),
        // No marking at all: taken as TLP:AMBER.
        indicator(
            "domain-unmarked",
            "03-05",
            "en",
            "Reported by a bank, not yet classified",
            "[domain-name:value = 'quick-refund.example']",
        ),
        marked(
            &[CLEAR],
            with(
                indicator(
                    "mail-granular",
                    "03-06",
                    "en",
                    "Mailbox that collects codes",
                    "[email-addr:value = 'codes@mailbox.example']",
                ),
                json!({
                    "description": "Seen by one bank's fraud team; the bank's name is in its own report.",
                    "granular_markings": [{"marking_ref": AMBER, "selectors": ["description"]}],
                }),
            ),
        ),
    ]
}

/// Text that breaks what was made for one script alone.
fn other_languages() -> Vec<Value> {
    vec![
        marked(
            &[TLP_1_AMBER],
            indicator(
                "ipv4-mixed",
                "03-07",
                "ar",
                "عنوان 192.0.2.91 في سجلّ المصرف (منفذ 443)",
                "[ipv4-addr:value = '192.0.2.91']",
            ),
        ),
        marked(
            &[CLEAR],
            with(
                indicator(
                    "emoji",
                    "03-08",
                    "ur",
                    "انعام 🎁 کا جھانسا",
                    "[url:value = 'https://xn--mgba7c6bc.example/win']",
                ),
                json!({"description": "پیغام میں لکھا ہے: \u{201c}مبارک ہو! 🎉 آپ کا نام قرعہ\u{200c}اندازی میں نکلا ہے 👩\u{200d}💻\u{201d}؛ ربط پر نہ جائیں۔"}),
            ),
        ),
        marked(
            &[CLEAR],
            with(
                indicator(
                    "chinese-extension",
                    "03-08",
                    "zh",
                    "𠮷祥奖品页面",
                    "[url:value = 'https://lucky-prize.example/%E5%A5%96']",
                ),
                json!({"confidence": 55}),
            ),
        ),
    ]
}
