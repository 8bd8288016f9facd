//! Segment files: created, appended to, rotated and read. Nothing in a segment is ever overwritten.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

pub(crate) use super::header::{SCHEMA, SEGMENT_HEADER_BYTES};
use super::{
    disk::{Disk, if_read_only, sync_dir},
    header::{HEADER_LEN, SegmentHeader},
};
use crate::contract::{SegmentCut, StoreError, StoreId};

/// What the name of a segment that is being written anew ends with.
const UNFINISHED: &str = "new";

/// A place in the packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

impl Position {
    /// Where nothing lies: segments do not count so far.
    pub(crate) const NOWHERE: Self = Self { segment: u32::MAX, offset: 0 };
}

/// A segment that can be read.
#[derive(Debug, Clone)]
struct Segment {
    file: Arc<File>,
    /// Where its frames end.
    end: u64,
    /// `None` if it is damaged.
    header: Option<SegmentHeader>,
}

/// A segment that is written anew beside the one that it is to replace.
#[derive(Debug)]
pub(crate) struct Rewrite {
    path: PathBuf,
    header: SegmentHeader,
    file: File,
    end: u64,
}

impl Rewrite {
    /// Its number and its edition.
    pub(crate) fn name(&self) -> (u32, u32) {
        (self.header.number, self.header.edition)
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }
}

/// The segment that is appended to.
#[derive(Debug)]
struct Tail {
    number: u32,
    file: Arc<File>,
    end: u64,
    /// Set when an append failed so that the file can no longer be trusted: a new segment comes first.
    spoilt: bool,
}

/// Why a frame was not appended.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// Nothing of it is in the packs.
    NotStored(io::Error),
    /// It may or may not be there.
    Unknown(io::Error),
}

/// What opening the packs found.
pub(crate) struct OpenedSegments {
    pub(crate) segments: Segments,
    /// What is wrong with them, a sentence each.
    pub(crate) problems: Vec<String>,
}

/// All segments of a store.
pub(crate) struct Segments {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    id: StoreId,
    segment_bytes_max: u64,
    files: RwLock<BTreeMap<u32, Segment>>,
    tail: Mutex<Tail>,
}

/// The name of a segment's file.
pub(crate) fn file_name(number: u32) -> String {
    format!("pack-{number:08}.seg")
}

/// An error of the operating system about `path`.
pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.display().to_string();
    move |source| StoreError::Io { path, source }
}

impl Segments {
    /// Opens the segments of `dir`, or creates the first.
    pub(crate) fn open(
        dir: &Path,
        disk: Arc<dyn Disk>,
        segment_bytes_max: u64,
        new_id: impl FnOnce() -> io::Result<StoreId>,
    ) -> Result<OpenedSegments, StoreError> {
        let mut found = Found::read(dir)?;
        let id = match found.id {
            Some(id) => id,
            None => new_id().map_err(io_error(dir))?,
        };
        let tail = match found.files.last_key_value() {
            Some((number, segment)) => Tail {
                number: *number,
                file: Arc::clone(&segment.file),
                end: segment.end,
                // Nothing that an older program cannot read follows in a segment that it takes for its own.
                spoilt: segment.header.is_none_or(|header| header.schema != SCHEMA),
            },
            None => {
                let header = SegmentHeader::new(id, 0, 0);
                let file = Arc::new(create_segment(dir, header).map_err(io_error(dir))?);
                let (segment, end) = (Arc::clone(&file), SEGMENT_HEADER_BYTES);
                found.files.insert(0, Segment { file: segment, end, header: Some(header) });
                Tail { number: 0, file, end, spoilt: false }
            }
        };
        let files = found.files;
        let segments = Self {
            dir: dir.to_owned(),
            disk,
            id,
            segment_bytes_max,
            files: RwLock::new(files),
            tail: Mutex::new(tail),
        };
        Ok(OpenedSegments { segments, problems: found.problems })
    }

    pub(crate) fn id(&self) -> StoreId {
        self.id
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the first frame lies.
    pub(crate) fn start(&self) -> Position {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let segment = files.first_key_value().map_or(0, |(number, _)| *number);
        Position { segment, offset: SEGMENT_HEADER_BYTES }
    }

    /// Each segment with the place where its frames end.
    pub(crate) fn list(&self) -> Vec<(u32, u64)> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.iter().map(|(number, segment)| (*number, segment.end)).collect()
    }

    /// The bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.list().iter().map(|(_, end)| end).sum()
    }

    /// Reads `len` bytes at a place; `Ok(None)` if the packs do not reach so far.
    pub(crate) fn read(&self, at: Position, len: usize) -> io::Result<Option<Vec<u8>>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let Some(segment) = files.get(&at.segment).cloned() else { return Ok(None) };
        drop(files);
        if at.offset.checked_add(len as u64).is_none_or(|end| end > segment.end) {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        match segment.file.read_exact_at(&mut bytes, at.offset) {
            Ok(()) => Ok(Some(bytes)),
            // Someone has cut the file: as good as damaged, and named as such by the caller.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is asked to write beside them.
    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// How many bytes may still be written where the packs lie.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes(&self.dir)
    }

    /// Whether the file system has more than `bytes_min` bytes left.
    pub(crate) fn has_room(&self, bytes_min: u64) -> bool {
        // A file system that does not say how full it is must not stop the store.
        self.disk.free_bytes(&self.dir).map_or(true, |free| free > bytes_min)
    }

    /// Appends a frame and makes it durable.
    pub(crate) fn append(&self, frame: &[u8]) -> Result<Position, AppendError> {
        let mut tail = self.tail();
        let is_full = tail.end > SEGMENT_HEADER_BYTES && tail.end + frame.len() as u64 > self.segment_bytes_max;
        if tail.spoilt || is_full {
            self.rotate(&mut tail).map_err(AppendError::NotStored)?;
        }
        let at = Position { segment: tail.number, offset: tail.end };
        if let Err(error) = self.disk.write_at(&tail.file, frame, at.offset) {
            // The part that was written must go, or the next frame would follow garbage.
            if self.disk.truncate(&tail.file, at.offset).is_err() {
                tail.spoilt = true;
            }
            return Err(AppendError::NotStored(error));
        }
        if let Err(error) = self.disk.sync_data(&tail.file) {
            // After a failed sync the kernel may call lost pages clean, so this file is not written to again, and
            // the header of the next says that the frame does not count.
            tail.spoilt = true;
            let _best_effort = self.disk.truncate(&tail.file, at.offset);
            return Err(AppendError::Unknown(error));
        }
        self.advance(&mut tail, at.offset + frame.len() as u64);
        Ok(at)
    }

    fn advance(&self, tail: &mut Tail, end: u64) {
        tail.end = end;
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = files.get_mut(&tail.number) {
            segment.end = end;
        }
    }

    fn rotate(&self, tail: &mut Tail) -> io::Result<()> {
        if !tail.spoilt {
            self.disk.sync_data(&tail.file)?;
        }
        // Should this fail half way, the next segment may exist and name this one's end: nothing may follow it.
        tail.spoilt = true;
        let number = tail.number.checked_add(1).ok_or_else(|| io::Error::other("no segment number is left"))?;
        let header = SegmentHeader::new(self.id, number, tail.end);
        let file = Arc::new(create_segment(&self.dir, header)?);
        let segment = Segment { file: Arc::clone(&file), end: SEGMENT_HEADER_BYTES, header: Some(header) };
        self.files.write().unwrap_or_else(PoisonError::into_inner).insert(number, segment);
        *tail = Tail { number, file, end: SEGMENT_HEADER_BYTES, spoilt: false };
        Ok(())
    }

    /// All segments as they are at one moment, each up to where its durable frames end.
    pub(crate) fn cut(&self) -> io::Result<Vec<SegmentCut>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner).clone();
        let cut = |(number, segment): (u32, Segment)| {
            let edition = segment.header.map_or(0, |header| header.edition);
            let inode = segment.file.metadata()?.ino();
            Ok(SegmentCut { file: file_name(number), number, edition, inode, bytes: segment.end })
        };
        files.into_iter().map(cut).collect()
    }

    /// How often each segment was written anew.
    pub(crate) fn editions(&self) -> Vec<(u32, u32)> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let edition = |segment: &Segment| segment.header.map_or(0, |header| header.edition);
        files.iter().map(|(number, segment)| (*number, edition(segment))).collect()
    }

    /// Begins to write a segment anew, which nothing is appended to any more; `None` if its header is damaged.
    pub(crate) fn begin_rewrite(&self, number: u32) -> io::Result<Option<Rewrite>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let Some(header) = files.get(&number).and_then(|segment| segment.header) else { return Ok(None) };
        drop(files);
        let header = SegmentHeader { edition: header.edition.wrapping_add(1), schema: SCHEMA, ..header };
        let path = self.dir.join(file_name(number)).with_extension(UNFINISHED);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        let mut rewrite = Rewrite { path, header, file, end: 0 };
        self.append_to(&mut rewrite, &header.encode())?;
        Ok(Some(rewrite))
    }

    /// Appends to a segment that is written anew; gives where it begins.
    pub(crate) fn append_to(&self, rewrite: &mut Rewrite, bytes: &[u8]) -> io::Result<Position> {
        let at = Position { segment: rewrite.header.number, offset: rewrite.end };
        self.disk.write_at(&rewrite.file, bytes, at.offset)?;
        rewrite.end += bytes.len() as u64;
        Ok(at)
    }

    /// Gives up a segment that was to be written anew.
    pub(crate) fn abandon(&self, rewrite: Rewrite) -> io::Result<()> {
        fs::remove_file(rewrite.path)
    }

    /// Makes a segment that was written anew durable in place of the one before. Whoever has that one open reads on in
    /// it until [`Self::switch`].
    pub(crate) fn publish(&self, rewrite: &Rewrite) -> io::Result<()> {
        self.disk.sync_data(&rewrite.file)?;
        self.disk.replace(&rewrite.path, &rewrite.path.with_extension("seg"))
    }

    /// Lets readers see the segment that was written anew. Its index must change with it.
    pub(crate) fn switch(&self, rewrite: Rewrite) {
        let Rewrite { header, file, end, .. } = rewrite;
        let mut tail = self.tail();
        let file = Arc::new(file);
        if tail.number == header.number {
            (tail.file, tail.end) = (Arc::clone(&file), end);
        }
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.insert(header.number, Segment { file, end, header: Some(header) });
    }

    /// Ends the last segment at `end`: what follows was torn by a crash. It is kept in a file beside, since a
    /// person may want to look at it; the newest such file replaces older ones.
    pub(crate) fn cut_tail(&self, end: u64) {
        let mut tail = self.tail();
        if let Err(error) = self.keep_torn(tail.number, end) {
            tracing::warn!(%error, "the torn tail could not be kept");
        }
        let cut = self.disk.truncate(&tail.file, end).and_then(|()| self.disk.sync_data(&tail.file));
        if let Err(error) = cut {
            // The header of the next segment rules it out, and until then it is no part of what is read.
            tracing::warn!(%error, "the torn tail could not be cut off");
            tail.spoilt = true;
        }
        self.advance(&mut tail, end);
    }

    /// Lets nothing follow what the last segment ends with: the next frame begins a new one.
    pub(crate) fn seal_tail(&self) {
        self.tail().spoilt = true;
    }

    fn keep_torn(&self, number: u32, end: u64) -> io::Result<()> {
        let mut from = File::open(self.dir.join(file_name(number)))?;
        from.seek(SeekFrom::Start(end))?;
        io::copy(&mut from, &mut File::create(self.dir.join("torn-tail.bin"))?).map(drop)
    }
}

/// Creates a segment with its header, durable under its name.
fn create_segment(dir: &Path, header: SegmentHeader) -> io::Result<File> {
    let path = dir.join(file_name(header.number));
    // A file of that name can only be left over from a rotation that failed: nothing in it was acknowledged.
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.write_all_at(&header.encode(), 0)?;
    file.sync_all()?;
    sync_dir(dir)?;
    Ok(file)
}

/// The segments found in a folder.
#[derive(Default)]
struct Found {
    files: BTreeMap<u32, Segment>,
    id: Option<StoreId>,
    problems: Vec<String>,
}

impl Found {
    fn read(dir: &Path) -> Result<Self, StoreError> {
        let mut found = Self::default();
        remove_unfinished(dir).map_err(io_error(dir))?;
        let mut numbers = segment_numbers(dir).map_err(io_error(dir))?;
        numbers.sort_unstable();
        for (position, number) in numbers.iter().enumerate() {
            let is_last = position + 1 == numbers.len();
            found.add(dir, *number, is_last)?;
        }
        let missing = numbers.windows(2).flat_map(|pair| pair[0] + 1..pair[1]);
        let missing = numbers.first().map_or(0..0, |first| 0..*first).chain(missing);
        found.problems.extend(missing.take(16).map(|number| format!("{} is missing", file_name(number))));
        Ok(found)
    }

    fn add(&mut self, dir: &Path, number: u32, is_last: bool) -> Result<(), StoreError> {
        let path = dir.join(file_name(number));
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.or_else(|error| if_read_only(error, &path)).map_err(io_error(&path))?;
        let len = file.metadata().map_err(io_error(&path))?.len();
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(HEADER_LEN).min(HEADER_LEN)];
        file.read_exact_at(&mut bytes, 0).map_err(io_error(&path))?;
        let header = SegmentHeader::parse(&bytes)?.filter(|header| header.number == number);
        if header.is_none() {
            self.id = self.id.or_else(|| SegmentHeader::id_of_damaged(&bytes));
        }
        if header.is_none() && is_last && len <= SEGMENT_HEADER_BYTES {
            tracing::warn!(segment = number, "a segment without frames, left by a crash, is removed");
            return fs::remove_file(&path).map_err(io_error(&path));
        }
        match header {
            Some(header) => {
                self.id = Some(header.id);
                if let Some(previous) = number.checked_sub(1).and_then(|number| self.files.get_mut(&number)) {
                    previous.end = previous.end.min(header.previous_end);
                }
            }
            None => self.problems.push(format!("the header of {} is damaged", file_name(number))),
        }
        self.files.insert(number, Segment { file: Arc::new(file), end: len, header });
        Ok(())
    }
}

/// Removes what a crash left of segments that were being written anew.
fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            match fs::remove_file(path) {
                // What can only be read is opened all the same.
                Err(error) if error.kind() != io::ErrorKind::ReadOnlyFilesystem => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The numbers of the segments in a folder, in no order.
pub(super) fn segment_numbers(dir: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("pack-")?.strip_suffix(".seg"));
        numbers.extend(number.filter(|digits| digits.len() == 8).and_then(|digits| digits.parse::<u32>().ok()));
    }
    Ok(numbers)
}
