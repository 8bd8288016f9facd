//! Everything that a reader is shown, release by release: also objects that an earlier release has shown already, so that
//! a reader can tell how many CERTs stand behind one, and under which labels.

use std::{ops::ControlFlow, sync::Arc};

use mithaq_core::id::ContentId;
use mithaq_store::{LogRow, StoreError};

use super::{CHUNK_ITEMS, Feed, ROWS, RowKind, Source, is_covered};

/// Takes an object with the release that shows it; says whether it wants more.
type Take<'t> = dyn FnMut(&Source, ContentId, &[u8]) -> ControlFlow<()> + 't;

impl Feed {
    /// Hands every object of every release that the reader may see to `take`, in the order of the log, until `take` has
    /// enough or the daemon stops; says whether it came to the end. What is held back is not shown. Blocks.
    pub(crate) fn each_shown(&mut self, take: &mut Take<'_>) -> Result<bool, StoreError> {
        let mut last = 0;
        loop {
            let rows = self.node.store.log(last, ROWS)?;
            let Some(end) = rows.last() else { return Ok(true) };
            last = end.seq;
            for row in &rows {
                if self.node.shutdown.is_cancelled() || self.show_sound_row(row, take)?.is_break() {
                    return Ok(false);
                }
            }
        }
    }

    /// A damaged release is named in the log and shows nothing, as in [`Feed::read`].
    fn show_sound_row(&mut self, row: &LogRow, take: &mut Take<'_>) -> Result<ControlFlow<()>, StoreError> {
        match self.show_row(row, take) {
            Err(StoreError::Corrupt { what }) => {
                tracing::error!(what, row.seq, "a damaged release is not shown: run `mithaq store check`");
                Ok(ControlFlow::Continue(()))
            }
            shown => shown,
        }
    }

    fn show_row(&mut self, row: &LogRow, take: &mut Take<'_>) -> Result<ControlFlow<()>, StoreError> {
        let shown = ControlFlow::Continue(());
        let damaged = || StoreError::Corrupt { what: format!("release {}", row.release.fmt_short()) };
        if !matches!(self.row_kind(row.seq)?, RowKind::Brings { .. }) {
            return Ok(shown);
        }
        let Some((_, release)) = self.node.store.release(row.release)? else { return Ok(shown) };
        let manifest = release.stored_manifest().map_err(|_| damaged())?;
        let holds = self.node.standing.holds(&*self.node.store, row.release)?;
        let contents: Vec<_> =
            release.contents.iter().copied().filter(|content| !holds.contains_key(content)).collect();
        let provenance = self.provenance_of(&manifest, &contents)?;
        let source = Arc::new(Source { row: row.clone(), release: row.release, manifest, provenance });
        for contents in contents.chunks(CHUNK_ITEMS) {
            for (content, body) in contents.iter().zip(self.node.sound_bodies(contents)?) {
                let Some(body) = body.filter(|body| row.all_new || is_covered(&source, *content, body)) else {
                    continue;
                };
                // Where several CERTs must have seen an object, another row shows it.
                let is_shown = match self.visibility.corroboration() {
                    Some(_) => self.shows(*content)?,
                    None => self.visibility.admits(&body),
                };
                if is_shown && take(&source, *content, &body).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(shown)
    }

    /// The body of an object that the reader was shown, unless it is gone meanwhile. Blocks.
    pub(crate) fn bodies_of_shown(&self, contents: &[ContentId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.node.sound_bodies(contents)
    }
}
