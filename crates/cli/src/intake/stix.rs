//! STIX 2.0, brought to 2.1.

use mithaq_core::stix::{
    json::JsonError,
    upgrade::{ChangeKind, upgrade},
};

use super::Intake;

/// Takes a STIX 2.0 bundle, one object, or lines of either; what is STIX 2.1 already stays as it is.
///
/// # Errors
/// When the text is no JSON.
pub(crate) fn stix_2_0(bytes: &[u8], into: &mut Intake) -> Result<(), JsonError> {
    let upgraded = upgrade(bytes)?;
    into.objects = upgraded.objects;
    for change in upgraded.changes {
        let name = change.object.unwrap_or_else(|| "(no id)".to_owned());
        match change.kind {
            ChangeKind::Refused => into.losses.refuse(&format!("object {}", change.index), &name, change.message),
            ChangeKind::Lost => into.losses.field(&format!("{}: {}", change.pointer, change.message), &name),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stix_2_0_is_brought_to_2_1() {
        let text = br#"{"type":"bundle","id":"bundle--08b9a88e-0d79-46c1-94b7-75e531fb3daf","spec_version":"2.0","objects":[
            {"type":"indicator","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2018-05-01T00:00:00.000Z",
             "modified":"2018-05-01T00:00:00.000Z","pattern":"[url:value = 'http://evil.example/']","valid_from":"2018-05-01T00:00:00Z",
             "labels":["malicious-activity"]}]}"#;
        let mut intake = Intake::default();
        stix_2_0(text, &mut intake).unwrap();
        assert_eq!(intake.objects.len(), 1);
        assert!(String::from_utf8_lossy(&intake.objects[0]).contains(r#""spec_version":"2.1""#));
        assert!(stix_2_0(b"{\"type\":", &mut intake).is_err());
    }
}
