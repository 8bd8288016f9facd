//! Contents by how their ids begin.

use mithaq_core::id::ContentPrefix;

use super::{Index, View, range::Posting, run::Reader, table::Table};
use crate::contract::StoreError;

impl Index {
    /// The ordinal of the newest sound body of the one content whose id begins so; `None` if there is none, or are
    /// more.
    pub(crate) fn find_beginning(&self, prefixes: &[ContentPrefix]) -> Result<Vec<Option<u64>>, StoreError> {
        let view = self.view();
        let mut readers: Vec<_> = view.runs_of(Table::Contents).map(|run| run.reader(&self.engine.tree)).collect();
        let mut found = Vec::new();
        let find = |prefix: &ContentPrefix| {
            found.clear();
            view.postings_beginning(prefix, &mut readers, &mut found)?;
            Ok(view.one_content(&found))
        };
        prefixes.iter().map(find).collect()
    }
}

impl View {
    fn postings_beginning(
        &self,
        prefix: &ContentPrefix,
        readers: &mut [Reader<'_>],
        found: &mut Vec<Posting>,
    ) -> Result<(), StoreError> {
        for reader in readers {
            reader.find_beginning(prefix.as_bytes(), found)?;
        }
        found.extend(self.memory.contents_beginning(*prefix.as_bytes()));
        Ok(())
    }

    fn one_content(&self, found: &[Posting]) -> Option<u64> {
        let mut sound = found.iter().filter(|(_, ordinal)| self.is_sound(*ordinal));
        let (key, first) = *sound.next()?;
        sound.try_fold(first, |newest, (other, ordinal)| (*other == key).then_some(newest.max(*ordinal)))
    }
}
