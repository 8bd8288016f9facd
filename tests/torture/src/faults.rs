//! A disk whose writes, syncs and truncations fail now and then, and which then has not done what it was asked.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use mithaq_store::{Disk, SystemDisk};

use crate::rng::Rng;

/// Of a hundred calls, how many fail.
const SYNCS_FAIL: u64 = 4;
const WRITES_FAIL: u64 = 2;
const TRUNCATIONS_FAIL: u64 = 30;

pub(crate) struct FailingDisk(Mutex<Rng>);

impl FailingDisk {
    pub(crate) fn new(seed: u64, run: u32) -> Self {
        Self(Mutex::new(Rng::of(seed, &[4, run.into()])))
    }

    fn draw(&self, percent: u64) -> io::Result<()> {
        let fails = self.0.lock().unwrap_or_else(PoisonError::into_inner).chance(percent);
        if fails { Err(io::Error::other("made to fail")) } else { Ok(()) }
    }
}

impl Disk for FailingDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.draw(WRITES_FAIL) {
            SystemDisk.write_at(file, &bytes[..bytes.len() / 2], offset)?;
            return Err(error);
        }
        SystemDisk.write_at(file, bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.draw(SYNCS_FAIL)?;
        SystemDisk.sync_data(file)
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        self.draw(TRUNCATIONS_FAIL)?;
        SystemDisk.truncate(file, len)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        SystemDisk.free_bytes(path)
    }
}
