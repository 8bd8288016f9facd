//! Who speaks and who was hit.

use serde_json::{Value, json};

use super::{
    make::{PK_NCERT, marked, object, with},
    markings::{CLEAR, GREEN},
};

pub(crate) fn all() -> Vec<Value> {
    vec![
        marked(
            &[CLEAR],
            with(
                object(
                    "identity",
                    "pk-ncert",
                    "01-06",
                    json!({
                        "name": "قومی سرٹ پاکستان",
                        "lang": "ur",
                        "description": "پاکستان کی قومی کمپیوٹر ایمرجنسی رسپانس ٹیم (فرضی مثال)",
                        "identity_class": "organization",
                        "sectors": ["government"],
                        "contact_information": "ncert@example.org",
                    }),
                ),
                json!({"id": PK_NCERT}),
            ),
        ),
        marked(
            &[GREEN],
            object(
                "identity",
                "bank",
                "01-07",
                json!({
                    "name": "نمونہ بینک لمیٹڈ",
                    "lang": "ur",
                    "identity_class": "organization",
                    "sectors": ["financial-services", "banking"],
                }),
            ),
        ),
        marked(
            &[GREEN],
            object(
                "identity",
                "grid",
                "01-07",
                json!({
                    "name": "شركة الشبكة النموذجية",
                    "lang": "ar",
                    "description": "مشغّل شبكة كهرباء خيالي",
                    "identity_class": "organization",
                    "sectors": ["energy"],
                }),
            ),
        ),
        marked(
            &[GREEN],
            object(
                "identity",
                "telecom",
                "01-07",
                json!({
                    "name": "示例电信公司",
                    "lang": "zh",
                    "identity_class": "organization",
                    "sectors": ["telecommunications", "communications"],
                }),
            ),
        ),
        marked(
            &[CLEAR],
            object(
                "identity",
                "banks",
                "01-07",
                json!({
                    "name": "Retail banks of South Asia and the Gulf",
                    "lang": "en",
                    "identity_class": "class",
                    "sectors": ["banking"],
                }),
            ),
        ),
        marked(
            &[CLEAR],
            object(
                "location",
                "southern-asia",
                "01-07",
                json!({
                    "name": "جنوبی ایشیا",
                    "lang": "ur",
                    "region": "southern-asia",
                }),
            ),
        ),
    ]
}
