//! What is read: bundles of objects as they came, and the same objects in canonical form.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use mithaq_core::stix::{Object, bundle::Reader};

use super::works::{self, Work};
use crate::objects;

/// Objects of one source, in bundles.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) objects: usize,
    bundles: Vec<Bytes>,
    canonical: Vec<Bytes>,
}

impl Input {
    /// Every version that ATT&CK for ICS published, the largest history at hand of what a producer really wrote; or where
    /// it should be.
    pub(super) fn history(limit: usize, bundle: usize) -> anyhow::Result<Result<Self, PathBuf>> {
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        let folder = std::env::var_os("MITHAQ_CORPORA").map_or(default, PathBuf::from);
        let path = folder.join("attack/ics-history.ndjson");
        if !path.exists() {
            return Ok(Err(path));
        }
        Ok(Ok(Self::new("ATT&CK for ICS, all versions", &objects::load(Some(&path), limit)?, bundle)))
    }

    /// The objects of a file, or generated ones.
    pub(super) fn objects(path: Option<&Path>, limit: usize, bundle: usize) -> anyhow::Result<Self> {
        let name = path.map_or("generated indicators".to_owned(), |path| path.display().to_string());
        Ok(Self::new(&name, &objects::load(path, limit)?, bundle))
    }

    fn new(name: &str, objects: &[Bytes], bundle: usize) -> Self {
        let canonical: Vec<Bytes> = objects.iter().map(canonical).collect();
        let in_bundles = |objects: &[Bytes]| objects.chunks(bundle.max(1)).map(objects::bundle).collect();
        Self {
            name: name.to_owned(),
            objects: objects.len(),
            bundles: in_bundles(objects),
            canonical: in_bundles(&canonical),
        }
    }

    /// The bundles that a work reads.
    pub(super) fn bundles_for(&self, work: &Work) -> &[Bytes] {
        if work.wants_canonical { &self.canonical } else { &self.bundles }
    }

    /// The bytes of those bundles.
    pub(super) fn bytes_for(&self, work: &Work) -> usize {
        self.bundles_for(work).iter().map(Bytes::len).sum()
    }

    /// Objects whose hash by the stock crates is not ours: what is compared must come to the same.
    pub(super) fn other_hashes(&self) -> usize {
        let differing = |text: &Bytes| {
            let ours = Reader::new(text).flatten().filter_map(|entry| works::content_id(&entry.object.ok()?));
            ours.zip(works::stock_hashes(text)).filter(|(ours, theirs)| ours != theirs).count()
        };
        self.bundles.iter().map(differing).sum()
    }
}

fn canonical(text: &Bytes) -> Bytes {
    Object::parse(text).map_or_else(|_| text.clone(), |object| object.canonical().into_owned().into())
}
