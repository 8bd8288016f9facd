//! What was purged, noted a second time beside the segments.
//!
//! A tombstone that damage takes out of the packs would let what it took out come back, as soon as the index is built
//! anew. So each is noted here too, with the number of its frame, before the purge is acknowledged. The notes are read
//! where the packs have lost frames or tombstones and nowhere else; without them the packs say all that is left.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Cursor, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    disk::{Disk, if_read_only, sync_dir},
    record::Tombstone,
};

mod rewrite;

/// The name of the file, in the folder of the store.
pub(crate) const MARKS: &str = "purged.bin";

/// The bytes of a note: a checksum of the rest, frame, ordinal, length of the tombstone, the tombstone, zeros.
const NOTE_BYTES: usize = 64;

/// Stands in place of a note that a crash kept from being written, and of those that were never made.
const BLANK: [u8; NOTE_BYTES] = [0; NOTE_BYTES];

/// Where in a note its tombstone begins.
const TOMBSTONE_AT: usize = 21;

/// How many bytes of notes wait in memory at most while the disk takes none; further ones are left to the packs alone.
const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many bytes of notes are gathered before they are written, when many are made at once.
const GATHERED_BYTES: usize = 256 * 1024;

/// No store comes to frames or ordinals of such numbers.
const NUMBERS_END: u64 = 1 << 48;

/// One tombstone: the number of its frame, its ordinal, and what it takes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) frame: u64,
    pub(crate) ordinal: u64,
    pub(crate) tombstone: Tombstone,
}

impl Note {
    /// Its place among all notes.
    fn place(&self) -> (u64, u64) {
        (self.frame, self.ordinal)
    }

    fn encode(&self) -> [u8; NOTE_BYTES] {
        let mut out = [0; NOTE_BYTES];
        out[4..12].copy_from_slice(&self.frame.to_le_bytes());
        out[12..20].copy_from_slice(&self.ordinal.to_le_bytes());
        let tombstone = self.tombstone.encode();
        // INVARIANT: a kind, an id and a varint are at most 43 bytes.
        out[TOMBSTONE_AT - 1] = u8::try_from(tombstone.len()).unwrap_or(0);
        out[TOMBSTONE_AT..TOMBSTONE_AT + tombstone.len()].copy_from_slice(&tombstone);
        let crc = crc32fast::hash(&out[4..]);
        out[..4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8; NOTE_BYTES]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (crc, rest) = bytes.split_first_chunk::<4>()?;
        if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
            return None;
        }
        let end = TOMBSTONE_AT + usize::from(bytes[TOMBSTONE_AT - 1]);
        let tombstone = Tombstone::decode(bytes.get(TOMBSTONE_AT..end)?)?;
        let note = Self { frame: number(4)?, ordinal: number(12)?, tombstone };
        // An edited file must not lead to numbers behind which there are none.
        (1..NUMBERS_END).contains(&note.frame).then_some(note).filter(|note| note.ordinal < NUMBERS_END)
    }
}

/// The notes of one store.
pub(crate) struct Marks {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
    /// Held while the notes are written anew, which takes as long as the packs are read.
    rewriting: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// `None` if the disk takes none, or as long as none was begun.
    file: Option<Arc<File>>,
    /// Whole notes end here.
    end: u64,
    /// The place of the newest note: of its frame there may be more.
    last: (u64, u64),
    /// What the file does not have yet.
    pending: Vec<u8>,
    /// How many notes are neither there nor here, at least: only the packs have what they are of.
    lost: u64,
}

impl Marks {
    /// Opens the notes in the folder of a store; says whether all may be there that were made. They are not if the file
    /// is missing, empty or torn: it is to be filled from the packs, and then to be begun. What keeps it from being
    /// opened is told in the log, and costs no more than what the notes are for.
    pub(crate) fn open(dir: &Path, disk: Arc<dyn Disk>) -> (Self, bool) {
        let path = dir.join(MARKS);
        let (state, is_whole) = open(&path).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "what is purged cannot be noted beside the packs");
            (State::default(), true)
        });
        (Self { path, disk, state: Mutex::new(state), rewriting: Mutex::default() }, is_whole)
    }

    /// Makes the file, unless there is one. If it is not whole, it says so until it is written anew.
    pub(crate) fn begin(&self, is_whole: bool) {
        let mut state = self.state();
        if state.file.is_none() {
            match create(&self.path) {
                Ok(file) => state.file = Some(Arc::new(file)),
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "what is purged cannot be noted beside the packs");
                }
            }
            if !is_whole {
                state.pending.splice(0..0, BLANK);
            }
        }
        drop(state);
        self.write();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest frame of which there are notes; 0 if there is none.
    pub(crate) fn last(&self) -> u64 {
        self.state().last.0
    }

    /// Notes tombstones of a frame that is durable, and makes the notes so.
    pub(crate) fn append(&self, notes: &[Note]) {
        if !notes.is_empty() {
            self.gather(notes);
            self.write();
        }
    }

    /// Notes tombstones that were read from the packs, unless they are noted; [`Self::write`] makes them durable.
    pub(crate) fn gather(&self, notes: &[Note]) {
        let mut state = self.state();
        let last = state.last;
        for note in notes.iter().filter(|note| note.place() > last) {
            match state.pending.len() < PENDING_BYTES_MAX {
                true => state.pending.extend_from_slice(&note.encode()),
                false => state.lost += 1,
            }
            state.last = state.last.max(note.place());
        }
        let is_much = state.pending.len() >= GATHERED_BYTES;
        drop(state);
        if is_much {
            self.write();
        }
    }

    /// Writes what waits. What the disk does not take waits further: the purge itself is in the packs.
    pub(crate) fn write(&self) {
        let mut state = self.state();
        let State { file: Some(file), end, pending, .. } = &mut *state else { return };
        if pending.is_empty() {
            return;
        }
        let written = self.disk.write_at(file, pending, *end).and_then(|()| self.disk.sync_data(file));
        match written {
            Ok(()) => {
                *end += pending.len() as u64;
                pending.clear();
            }
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "what was purged is not noted beside the packs yet");
            }
        }
    }

    /// Whether a process that ended now would leave fewer notes than were made.
    pub(crate) fn lacks(&self) -> bool {
        let state = self.state();
        state.lost > 0 || !state.pending.is_empty()
    }

    /// Whether there are notes that only the packs can give, and a file that is to have them.
    pub(crate) fn has_lost(&self) -> bool {
        let state = self.state();
        state.lost > 0 && state.file.is_some()
    }

    /// An earlier process left fewer notes than were made: they are to be made again from the packs.
    pub(crate) fn set_lacking(&self) {
        self.state().lost += 1;
    }

    /// Reads the notes from the first on, those that wait too.
    pub(crate) fn reader(&self) -> Reader {
        self.read(&self.state())
    }

    fn read(&self, state: &State) -> Reader {
        let file = state.file.as_ref().and_then(|_| File::open(&self.path).ok()).map(|file| file.take(state.end));
        let waiting = Cursor::new(state.pending.clone());
        match file {
            Some(file) => Reader::of(BufReader::new(file).chain(waiting)),
            None => Reader::of(waiting),
        }
    }
}

fn open(path: &Path) -> io::Result<(State, bool)> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((State::default(), false)),
        file => file.or_else(|error| if_read_only(error, path))?,
    };
    // Of a note that a crash tore the beginning may lie behind the whole ones: it is written over.
    let bytes = file.metadata()?.len();
    let end = bytes - bytes % NOTE_BYTES as u64;
    if end == 0 {
        // A crash may have come before the first note.
        return Ok((State::default(), false));
    }
    let mut reader = Reader::of(BufReader::new(File::open(path)?.take(end)));
    let mut last = (0, 0);
    while let Some(note) = reader.next() {
        last = note.place().max(last);
    }
    let state = State { file: Some(Arc::new(file)), end, last, pending: Vec::new(), lost: 0 };
    // Sectors need not reach the disk in their order.
    Ok((state, reader.blank == 0))
}

fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(file)
}

/// Reads notes one after the other. Those that are damaged are passed over.
pub(crate) struct Reader {
    bytes: Box<dyn Read + Send>,
    ahead: Option<Note>,
    damaged: u64,
    /// How many of these are blank.
    blank: u64,
}

impl Reader {
    fn of(bytes: impl Read + Send + 'static) -> Self {
        Self { bytes: Box::new(bytes), ahead: None, damaged: 0, blank: 0 }
    }

    /// How many notes could not be read.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The next note of the frames from `first` to `last`; those of frames before them are passed over, those behind
    /// stay.
    pub(crate) fn next_within(&mut self, first: u64, last: u64) -> Option<Note> {
        while let Some(note) = self.ahead.take().or_else(|| self.next()) {
            if note.frame > last {
                self.ahead = Some(note);
                return None;
            }
            if note.frame >= first {
                return Some(note);
            }
        }
        None
    }

    fn next(&mut self) -> Option<Note> {
        let mut bytes = [0; NOTE_BYTES];
        loop {
            self.bytes.read_exact(&mut bytes).ok()?;
            match Note::decode(&bytes) {
                Some(note) => return Some(note),
                None => {
                    self.damaged += 1;
                    self.blank += u64::from(bytes == BLANK);
                }
            }
        }
    }
}

/// Removes what a crash left of notes that were being written anew.
pub(crate) fn remove_unfinished(dir: &Path) {
    // One that stays is written over.
    let _there_may_be_none = fs::remove_file(dir.join(MARKS).with_extension("bin-new"));
}

#[cfg(test)]
mod tests {
    use mithaq_core::id::{ContentId, ReleaseId};

    use super::*;
    use crate::pack::disk::SystemDisk;

    fn note(frame: u64) -> Note {
        let tombstone = match frame % 3 {
            0 => Tombstone::Release(ReleaseId::from_bytes([u8::try_from(frame).unwrap(); 32])),
            1 => Tombstone::Content(ContentId::of(&frame.to_be_bytes()), u64::MAX),
            _ => Tombstone::Staged(u64::MAX, 10_000),
        };
        Note { frame, ordinal: frame * 10, tombstone }
    }

    fn read(marks: &Marks, first: u64, last: u64) -> Vec<u64> {
        let mut reader = marks.reader();
        std::iter::from_fn(|| reader.next_within(first, last)).map(|note| note.frame).collect()
    }

    #[test]
    fn notes_survive_a_torn_end_and_cost_no_other_when_one_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MARKS);
        let open = || Marks::open(dir.path(), Arc::new(SystemDisk));
        let (marks, is_whole) = open();
        assert!(!is_whole);
        marks.begin(true);
        (2..9).for_each(|frame| marks.append(&[note(frame)]));
        marks.gather(&[note(5)]);
        assert_eq!(read(&marks, 0, u64::MAX), [2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(marks.reader().next_within(4, 4), Some(note(4)));
        assert_eq!(read(&marks, 5, 7), [5, 6, 7]);
        let mut bytes = fs::read(&path).unwrap();
        bytes[NOTE_BYTES * 2 + 30] ^= 1;
        bytes.extend_from_slice(&[7; 20]);
        fs::write(&path, &bytes).unwrap();
        let (marks, is_whole) = open();
        assert!(is_whole && marks.last() == 8);
        marks.append(&[note(9)]);
        assert_eq!(read(&marks, 0, u64::MAX), [2, 3, 5, 6, 7, 8, 9]);
        marks.rewrite(|| 9, |put| put(&[note(4)])).unwrap();
        marks.append(&[note(10)]);
        let (marks, _) = open();
        assert_eq!(read(&marks, 0, u64::MAX), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let mut reader = marks.reader();
        while reader.next_within(0, u64::MAX).is_some() {}
        assert_eq!(reader.damaged(), 0);
    }

    #[test]
    fn notes_that_a_crash_tore_are_made_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MARKS);
        let open = || Marks::open(dir.path(), Arc::new(SystemDisk));
        let of_frame = |frame: u64| (0..20).map(move |turn| Note { ordinal: frame * 100 + turn, ..note(frame) });
        let notes: Vec<_> = (1..4).flat_map(of_frame).collect();
        let (marks, _) = open();
        marks.begin(true);
        marks.append(&notes);
        let whole = fs::read(&path).unwrap();
        for bytes in (NOTE_BYTES..whole.len()).step_by(32) {
            fs::write(&path, &whole[..bytes]).unwrap();
            let (marks, is_whole) = open();
            assert!(is_whole, "{bytes} bytes");
            marks.append(&notes);
            assert_eq!(fs::read(&path).unwrap(), whole, "{bytes} bytes");
        }
        // A sector that was not written, before one that was.
        let mut torn = whole.clone();
        torn[512..1024].fill(0);
        fs::write(&path, &torn).unwrap();
        let (marks, is_whole) = open();
        assert!(!is_whole);
        marks.rewrite(|| 3, |put| (1..4).try_for_each(|frame| put(&of_frame(frame).collect::<Vec<_>>()))).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
        // Nothing of it came, or it never could be filled.
        for bytes in [0, NOTE_BYTES - 1] {
            fs::write(&path, &whole[..bytes]).unwrap();
            let (marks, is_whole) = open();
            assert!(!is_whole);
            marks.begin(false);
            marks.append(&notes);
            let (marks, is_whole) = open();
            assert!(!is_whole && read(&marks, 0, 9).len() == notes.len());
        }
    }

    #[test]
    fn what_is_purged_while_the_notes_are_written_anew_is_noted_at_once_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let (marks, _) = Marks::open(dir.path(), Arc::new(SystemDisk));
        marks.begin(true);
        [1, 2, 4].iter().for_each(|frame| marks.append(&[note(*frame)]));
        let on_disk = || read(&Marks::open(dir.path(), Arc::new(SystemDisk)).0, 0, u64::MAX);
        let from_packs = |put: &mut dyn FnMut(&[Note]) -> io::Result<()>| {
            put(&[note(2)])?;
            marks.append(&[note(5)]);
            // It waits, and so does the next one, until the disk takes them.
            marks.gather(&[note(6)]);
            assert_eq!(on_disk(), [1, 2, 4, 5]);
            put(&[note(3)])
        };
        marks.rewrite(|| 4, from_packs).unwrap();
        assert_eq!(on_disk(), [1, 2, 3, 4, 5, 6]);
        marks.append(&[note(6), note(7)]);
        assert_eq!(on_disk(), [1, 2, 3, 4, 5, 6, 7]);
        // One that fails changes nothing.
        let failing = |_: &mut dyn FnMut(&[Note]) -> io::Result<()>| {
            marks.append(&[note(8)]);
            Err(io::ErrorKind::Other.into())
        };
        assert!(marks.rewrite(|| 7, failing).is_err());
        marks.append(&[note(9)]);
        assert_eq!(on_disk(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
