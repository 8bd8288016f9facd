//! The objects to store, in a file outside of memory, so that what this program has resident is the store's.

use std::{
    fs::File,
    io::{BufWriter, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use anyhow::{Context, ensure};
use mithaq_core::{
    body::Body,
    id::{CertId, ContentId},
    keys::SecretKey,
    label::{Category, Label},
    release::{ReleaseDraft, VerifiedRelease},
    stix::{Object, Tlp, bundle::Reader},
    time::Time,
};
use mithaq_store::{Arrival, Batch};

use crate::objects;

/// Canonical bytes of distinct objects, one behind the other in a file.
pub(super) struct Spool {
    file: File,
    /// Where each object ends.
    ends: Vec<u64>,
}

/// Writes a spool.
struct Writer {
    out: BufWriter<File>,
    ends: Vec<u64>,
    seen: std::collections::HashSet<ContentId>,
}

impl Writer {
    fn push(&mut self, object: &Object<'_>) -> anyhow::Result<()> {
        let Ok(body) = Body::of(object) else { return Ok(()) };
        if self.seen.insert(body.id()) {
            self.out.write_all(body.bytes())?;
            self.ends.push(self.ends.last().unwrap_or(&0) + body.bytes().len() as u64);
        }
        Ok(())
    }

    fn read(&mut self, path: &Path, limit: usize) -> anyhow::Result<()> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        for entry in Reader::new(&text) {
            if self.ends.len() == limit {
                break;
            }
            if let Ok(object) = entry.with_context(|| format!("{} is not JSON", path.display()))?.object {
                self.push(&object)?;
            }
        }
        Ok(())
    }

    fn generate(&mut self, limit: usize) -> anyhow::Result<()> {
        (0..limit).try_for_each(|number| self.push(&Object::parse(&objects::generate(number))?))
    }
}

impl Spool {
    /// Takes the objects of a file, or generated ones, into a file in `dir`.
    pub(super) fn fill(dir: &Path, input: Option<&Path>, limit: usize) -> anyhow::Result<Self> {
        let path = dir.join("objects.spool");
        let mut writer =
            Writer { out: BufWriter::new(File::create_new(&path)?), ends: Vec::new(), seen: Default::default() };
        match input {
            Some(input) => writer.read(input, limit)?,
            None => writer.generate(limit)?,
        }
        writer.out.flush()?;
        ensure!(!writer.ends.is_empty(), "there are no objects to store");
        Ok(Self { file: File::open(&path)?, ends: writer.ends })
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of the objects up to that one.
    pub(super) fn bytes(&self, count: usize) -> u64 {
        count.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0)
    }

    /// The bytes of `count` objects from `first` on, or as many as there are.
    pub(super) fn objects(&self, first: usize, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        let end = (first + count).min(self.ends.len());
        let mut at = self.bytes(first);
        let mut objects = Vec::with_capacity(end.saturating_sub(first));
        for object_end in &self.ends[first.min(end)..end] {
            let mut bytes = vec![0; usize::try_from(object_end - at)?];
            self.file.read_exact_at(&mut bytes, at)?;
            objects.push(bytes);
            at = *object_end;
        }
        Ok(objects)
    }

    /// The same as bodies.
    pub(super) fn bodies(&self, first: usize, count: usize) -> anyhow::Result<Vec<Body>> {
        let objects = self.objects(first, count)?;
        objects.into_iter().map(|bytes| Ok(Body::verify(ContentId::of(&bytes), bytes)?)).collect()
    }
}

/// Makes signed releases.
pub(super) struct Publisher(SecretKey);

impl Publisher {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self(SecretKey::from_seed(&[7; 32])?))
    }

    /// One release of these bodies; with another `salt`, another release.
    pub(super) fn push(&self, bodies: Vec<Body>, salt: i64) -> anyhow::Result<Batch> {
        let label = Label::new(Tlp::Green, Category::Threat);
        let contents = bodies.iter().map(Body::id).collect();
        let origin = CertId::from_bytes([1; 32]);
        let release =
            VerifiedRelease::sign(origin, &self.0, ReleaseDraft::publish(label, contents, Time::from_micros(salt)))?;
        Ok(Batch { arrivals: vec![Arrival { release, bodies }], ..Batch::default() })
    }

    /// Pushes of `size` bodies each.
    pub(super) fn pushes(&self, mut bodies: Vec<Body>, size: usize, salt: i64) -> anyhow::Result<Vec<Batch>> {
        let mut pushes = Vec::new();
        while !bodies.is_empty() {
            let rest = bodies.split_off(size.min(bodies.len()));
            pushes.push(self.push(bodies, salt)?);
            bodies = rest;
        }
        Ok(pushes)
    }
}
