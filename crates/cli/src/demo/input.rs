//! What is pushed: the sample that ships with the program, or the user's own data.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use mithaq_core::{
    label::LABEL_SET_MAX,
    stix::{id::StixId, marking::Tlp},
};

use crate::failure::Failure;

/// The sample: `examples/make-demo-bundle` makes it.
pub(super) const SAMPLE: &[u8] = include_bytes!("bundle.json");

/// How ids of marking definitions begin.
const MARKING: &str = "marking-definition--";

/// How long a UUID is.
const UUID_BYTES: usize = 36;

/// The data and what the agreements must know of it.
pub(super) struct Input {
    /// The file to push.
    pub(super) path: PathBuf,
    /// Whether it is the sample.
    pub(super) is_sample: bool,
    /// The markings that the agreements are to name.
    pub(super) markings: Vec<String>,
    /// How many more markings the data has than an agreement can name.
    pub(super) markings_left_out: usize,
}

impl Input {
    /// Takes the user's file, standard input if that is `-`, or writes the sample into `dir`.
    pub(super) fn prepare(data: Option<&Path>, dir: &Path) -> anyhow::Result<Self> {
        let Some(data) = data else {
            // The sample's agreements let no statements go, to show that what carries one stays.
            let path = dir.join("bundle.json");
            fs::write(&path, SAMPLE).with_context(|| format!("cannot write {}", path.display()))?;
            return Ok(Self { path, is_sample: true, markings: Vec::new(), markings_left_out: 0 });
        };
        let path = if data == Path::new("-") { from_stdin(dir)? } else { std::path::absolute(data)? };
        let text = fs::read(&path).map_err(|source| Failure::File { action: "read", path: path.clone(), source })?;
        let mut markings: Vec<String> = markings_in(&text).into_iter().collect();
        let markings_left_out = markings.len().saturating_sub(LABEL_SET_MAX);
        markings.truncate(LABEL_SET_MAX);
        Ok(Self { path, is_sample: false, markings, markings_left_out })
    }
}

fn from_stdin(dir: &Path) -> anyhow::Result<PathBuf> {
    let path = dir.join("data.json");
    let copied = File::create(&path).and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file));
    copied.with_context(|| format!("cannot copy standard input to {}", path.display()))?;
    Ok(path)
}

/// The ids of marking definitions other than TLP that stand anywhere in a text, whatever form of JSON it is.
fn markings_in(text: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(text);
    let ids =
        text.split(MARKING).skip(1).filter_map(|rest| rest.get(..UUID_BYTES)).map(|uuid| format!("{MARKING}{uuid}"));
    ids.filter(|id| StixId::parse(id).is_ok() && Tlp::from_marking_id(id).is_none()).collect()
}

/// The generator, so that the committed sample can be held to it.
#[cfg(test)]
#[path = "../../examples/make-demo-bundle/bundle/mod.rs"]
mod generator;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::certs::PK;
    use serde_json::Value;

    #[test]
    fn markings_but_tlp_are_found_anywhere() {
        let other = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168";
        let text = format!(
            r#"{{"object_marking_refs":["{other}","{}"],"granular_markings":[{{"marking_ref":"{other}"}}]}}"#,
            Tlp::Red.marking_id()
        );
        assert_eq!(markings_in(text.as_bytes()), BTreeSet::from([other.to_owned()]));
        assert!(
            markings_in(b"marking-definition--short, marking-definition--\xff and marking-definition--").is_empty()
        );
    }

    #[test]
    fn the_committed_sample_is_what_its_generator_makes() {
        let made = generator::text().unwrap();
        assert!(
            made == SAMPLE,
            "run `cargo run -p mithaq-cli --example make-demo-bundle > crates/cli/src/demo/bundle.json`"
        );
    }

    #[test]
    fn the_sample_has_what_the_demo_shows() {
        let sample: Value = serde_json::from_slice(SAMPLE).unwrap();
        let objects = sample["objects"].as_array().unwrap();
        let count = |member: &str, value: &str| objects.iter().filter(|object| object[member] == value).count();
        assert!((60..=130).contains(&objects.len()), "{}", objects.len());
        for lang in ["ar", "ur", "zh", "en"] {
            assert!(count("lang", lang) >= 8, "{lang}");
        }
        for level in Tlp::ALL {
            assert_eq!(count("id", level.marking_id()), 1, "{level}");
        }
        assert_eq!(count("id", PK.identity), 1);
        assert!(count("type", "vulnerability") > 0);
        assert_eq!(markings_in(SAMPLE).len(), 1);
        assert!(objects.iter().all(|object| object["created_by_ref"].as_str().is_none_or(|by| by == PK.identity)));
    }
}
