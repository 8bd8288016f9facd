//! What an operator may tune.

use crate::index::{EngineOptions, FlushLimits};

/// How a store is set up; the default suits a machine with 512 MB.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment that has grown to this many bytes is followed by a new one; 256 MiB, at most 2 GiB.
    pub segment_bytes: u64,
    /// Commits that wait while they are taken in as one group, in bytes: 8 MiB.
    pub group_bytes_max: usize,
    /// How many commits may wait in the queue before callers are held back: 256.
    pub queue_commits: usize,
    /// Commits are refused as `Full` when the file system has fewer bytes left: 64 MiB.
    pub free_bytes_min: u64,
    /// What sled keeps in memory, in bytes: 32 MiB. It takes up to 1.4 times as much.
    pub index_cache_bytes: u64,
    /// How many postings, three for an object, wait in memory before they are written to sled: 65,536.
    pub index_postings_max: usize,
    /// How many bytes of state wait in memory before they are written to sled: 4 MiB.
    pub index_state_bytes_max: usize,
    /// Decompressed groups that are kept for the next read, in bytes: 8 MiB.
    pub group_cache_bytes: usize,
    /// The level of zstd: 1. Level 3 takes a third longer, and makes indicators, of which there are most, no smaller.
    pub compression_level: i32,
    /// What the threads do first that merge the index's runs and help callers to compress: nothing. It may lower their
    /// priority, since commits are more urgent.
    pub give_way: fn(),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 256 * 1024 * 1024,
            group_bytes_max: 8 * 1024 * 1024,
            queue_commits: 256,
            free_bytes_min: 64 * 1024 * 1024,
            index_cache_bytes: 32 * 1024 * 1024,
            index_postings_max: 65_536,
            index_state_bytes_max: 4 * 1024 * 1024,
            group_cache_bytes: 8 * 1024 * 1024,
            compression_level: 1,
            give_way: || {},
        }
    }
}

impl Options {
    /// The options with what would break the layout moved to the nearest value that does not.
    pub(super) fn within_limits(mut self) -> Self {
        // Offsets of groups have 32 bits, and one frame of at most 256 MiB may follow the limit.
        self.segment_bytes = self.segment_bytes.min(2 << 30);
        self.queue_commits = self.queue_commits.max(1);
        self.index_postings_max = self.index_postings_max.max(1);
        self.index_state_bytes_max = self.index_state_bytes_max.max(1);
        self
    }

    pub(super) fn engine(&self) -> EngineOptions {
        EngineOptions { cache_bytes: self.index_cache_bytes }
    }

    pub(super) fn flush_limits(&self) -> FlushLimits {
        FlushLimits { postings_max: self.index_postings_max, state_bytes_max: self.index_state_bytes_max }
    }
}
