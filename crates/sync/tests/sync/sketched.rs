//! What a model of a store answers of sketches.

use std::collections::BTreeSet;

use mithaq_core::id::ReleaseId;
use mithaq_sync::{
    Chain, Input,
    sketch::{Cell, Sketch, SketchKey, compare},
};

use crate::node::Store;

/// A sketch of a journal.
#[derive(Debug)]
pub(crate) struct Sketched {
    key: SketchKey,
    through: usize,
    sketch: Sketch<u64>,
}

impl Store {
    /// What we may say to the peer that we have: all that is not our own.
    pub(crate) fn held(&self) -> BTreeSet<ReleaseId> {
        let own: BTreeSet<_> = self.journal.iter().collect();
        self.releases.keys().filter(|id| !own.contains(id)).copied().collect()
    }

    pub(crate) fn open_sketch(&mut self, through: u64, key: SketchKey, cells: usize) -> Input {
        let kept = self.sketched.take().filter(|kept| kept.key == key);
        let mut kept = kept.unwrap_or_else(|| Sketched { key, through: 0, sketch: Sketch::new() });
        let journal = &self.journal[..usize::try_from(through).unwrap()];
        for (index, id) in (1..).zip(journal).skip(kept.through) {
            assert!(kept.sketch.insert(key.mark(*id), index));
        }
        kept.through = journal.len();
        let opened = Input::SketchOpened {
            through: kept.through as u64,
            chain: journal.iter().fold(Chain::START, |chain, id| chain.after(*id)),
            digest: kept.sketch.digest(),
            cells: kept.sketch.cells(0..cells).to_vec(),
        };
        self.sketched = Some(kept);
        opened
    }

    fn sketch(&mut self) -> &mut Sketch<u64> {
        &mut self.sketched.as_mut().expect("a sketch was opened").sketch
    }

    pub(crate) fn read_cells(&mut self, from: usize, count: usize) -> Input {
        Input::CellsRead { cells: self.sketch().cells(from..from + count).to_vec() }
    }

    pub(crate) fn find_marks(&mut self, shorts: &[u64]) -> Input {
        let sketch = self.sketch();
        Input::MarksFound { indexes: shorts.iter().map(|short| sketch.get(*short).copied()).collect() }
    }

    pub(crate) fn read_entries(&self, indexes: &[u64]) -> Input {
        let entry = |index: &u64| self.journal[usize::try_from(*index).unwrap() - 1];
        Input::EntriesRead { ids: indexes.iter().map(entry).collect() }
    }

    pub(crate) fn compare_sketch(&self, key: SketchKey, cells: &[Cell]) -> Input {
        let mut ours = Sketch::new();
        for id in self.held() {
            assert!(ours.insert(key.mark(id), ()));
        }
        Input::SketchCompared(compare(cells, &mut ours))
    }
}
