//! Translations: STIX language-content, which takes the label of what it translates.

use serde_json::{Value, json};

use super::{
    make::{id, marked, object},
    markings::{CLEAR, GREEN, TLP_1_GREEN},
};

pub(crate) fn all() -> Vec<Value> {
    vec![
        marked(
            &[CLEAR],
            translation(
                ("campaign", "winter-statement"),
                json!({
                    "en": {"name": "Winter Statement", "description": "Forged monthly statements sent to bank customers to steal passwords."},
                    "ar": {"name": "كشف حساب الشتاء", "description": "كشوف حساب مزوّرة تُرسل إلى عملاء المصارف لسرقة كلمات المرور."},
                    "zh": {"name": "冬季对账单", "description": "向银行客户发送伪造的月度对账单以窃取密码。"},
                }),
            ),
        ),
        translation(
            ("campaign", "quiet-turbine"),
            json!({
                "en": {"name": "Quiet Turbine"},
                "ur": {"name": "خاموش ٹربائن", "description": "بجلی کمپنیوں کے انجینئرنگ کمپیوٹروں پر جعلی اپ ڈیٹ کے ذریعے حملہ۔"},
                "zh": {"name": "静默涡轮"},
            }),
        ),
        marked(
            &[CLEAR],
            translation(
                ("indicator", "domain-bank"),
                json!({
                    "en": {"name": "Imitation of a bank"},
                    "ar": {"name": "انتحال موقع مصرف"},
                    "zh": {"name": "仿冒银行网站"},
                }),
            ),
        ),
        marked(
            &[TLP_1_GREEN],
            translation(
                ("malware", "reed-flute"),
                json!({
                    "en": {"name": "ReedFlute", "description": "Lives in the memory of network management servers and speaks through DNS."},
                    "ur": {"name": "بانسری"},
                }),
            ),
        ),
        marked(
            &[CLEAR],
            translation(
                ("course-of-action", "second-factor"),
                json!({
                    "en": {"name": "Confirm each transaction anew"},
                    "ar": {"name": "تأكيد كل معاملة على حدة"},
                    "zh": {"name": "逐笔交易二次确认"},
                }),
            ),
        ),
        marked(
            &[GREEN],
            translation(
                ("identity", "grid"),
                json!({
                    "en": {"name": "Example Grid Company"},
                    "zh": {"name": "示例电网公司"},
                }),
            ),
        ),
    ]
}

fn translation((object_type, key): (&str, &str), contents: Value) -> Value {
    object(
        "language-content",
        &format!("{object_type} {key}"),
        "03-16",
        json!({
            "object_ref": id(object_type, key),
            "contents": contents,
        }),
    )
}
