//! The notes of what was purged, written anew beside the old ones, while further ones are made.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    sync::{Arc, PoisonError},
};

use super::{GATHERED_BYTES, Marks, NOTE_BYTES, Note, State};
use crate::pack::disk::Disk;

impl Marks {
    /// Writes the notes anew: those that can be read of frames up to `last`, and those that `from_packs` gives, in the
    /// order of their frames. What is behind `last` no frame can have brought. What is noted meanwhile, of frames that
    /// `from_packs` must not give, goes to the old file at once, and to the new one at the end.
    pub(crate) fn rewrite(
        &self,
        last: impl Fn() -> u64,
        mut from_packs: impl FnMut(&mut dyn FnMut(&[Note]) -> io::Result<()>) -> io::Result<()>,
    ) -> io::Result<()> {
        let _rewriting = self.rewriting.lock().unwrap_or_else(PoisonError::into_inner);
        self.write();
        let (mut reader, seen, lost, last) = {
            let state = self.state();
            // Looked at only now: what is noted meanwhile waits for this.
            (self.read(&state), state.bytes(), state.lost, last())
        };
        let path = self.path.with_extension("bin-new");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        let mut out = Out { disk: &*self.disk, file: &file, end: 0, last: (0, 0), gathered: Vec::new() };
        from_packs(&mut |notes| {
            let Some(first) = notes.first() else { return Ok(()) };
            while let Some(note) = reader.next_within(0, first.frame - 1) {
                out.put(&note)?;
            }
            let mut both = notes.to_vec();
            both.extend(std::iter::from_fn(|| reader.next_within(first.frame, first.frame)));
            both.sort_unstable_by_key(|note| note.ordinal);
            both.dedup();
            both.iter().try_for_each(|note| out.put(note))
        })?;
        while let Some(note) = reader.next_within(0, last) {
            out.put(&note)?;
        }
        out.write()?;
        // Most is durable before commits that purge have to wait.
        self.disk.sync_data(&file)?;
        let mut state = self.state();
        for note in state.behind(seen)? {
            out.put(&note)?;
        }
        out.write()?;
        let (end, noted) = (out.end, out.last);
        self.disk.sync_data(&file)?;
        self.disk.replace(&path, &self.path)?;
        let lost = state.lost.saturating_sub(lost);
        *state = State { file: Some(Arc::new(file)), end, last: noted, pending: Vec::new(), lost };
        Ok(())
    }
}

impl State {
    /// The bytes of all notes, those that wait too.
    fn bytes(&self) -> u64 {
        self.end + self.pending.len() as u64
    }

    /// The notes behind the first `seen` bytes.
    fn behind(&self, seen: u64) -> io::Result<Vec<Note>> {
        // What was made while packs were read fits in memory: each note waited for its own sync.
        let mut bytes = vec![0; usize::try_from(self.end.saturating_sub(seen)).unwrap_or(usize::MAX)];
        if let Some(file) = self.file.as_ref().filter(|_| !bytes.is_empty()) {
            file.read_exact_at(&mut bytes, seen)?;
        }
        let waiting = usize::try_from(seen.saturating_sub(self.end)).unwrap_or(usize::MAX);
        bytes.extend_from_slice(self.pending.get(waiting..).unwrap_or_default());
        Ok(bytes.as_chunks::<NOTE_BYTES>().0.iter().filter_map(Note::decode).collect())
    }
}

/// Where notes are written anew.
struct Out<'a> {
    disk: &'a dyn Disk,
    file: &'a File,
    end: u64,
    /// The place of the newest note that was put.
    last: (u64, u64),
    gathered: Vec<u8>,
}

impl Out<'_> {
    fn put(&mut self, note: &Note) -> io::Result<()> {
        self.last = self.last.max(note.place());
        self.gathered.extend_from_slice(&note.encode());
        if self.gathered.len() >= GATHERED_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.disk.write_at(self.file, &self.gathered, self.end)?;
        self.end += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }
}
