//! Searches: postings of the index in order, each body read and asked whether it is what was searched for.

use mithaq_core::body::{Body, Facts};

use super::Shared;
use crate::{
    contract::StoreError,
    index::{Key, Posting, Span, TableKey, keys, spans},
    query::{FIND_LIMIT_MAX, FIND_QUERIES_MAX, Found, FoundPage, Place, Query, terms},
};

/// The most postings that one page looks at, whatever they lead to.
const POSTINGS_MAX: usize = 512;

/// The least postings that are read at once, so that bodies that lie together are read together.
const POSTINGS_AT_ONCE: usize = 32;

/// A span of the index, and the query that it answers.
struct Part<'a> {
    query: &'a Query,
    span: Span,
}

/// A place in the postings of all parts, one part behind the other.
#[derive(Debug, Clone, Copy)]
struct Position {
    part: u16,
    /// The last posting before it; `None` at the beginning of the part.
    behind: Option<Posting>,
}

impl Position {
    fn to_place(self) -> Place {
        let mut bytes = self.part.to_be_bytes().to_vec();
        if let Some((key, value)) = self.behind {
            bytes.extend_from_slice(&key);
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        Place(bytes)
    }

    fn read(place: &Place) -> Option<Self> {
        let (part, rest) = place.0.split_first_chunk()?;
        let behind = match rest.split_first_chunk() {
            Some((key, value)) => Some((*key, u64::from_be_bytes(value.try_into().ok()?))),
            None if rest.is_empty() => None,
            None => return None,
        };
        Some(Self { part: u16::from_be_bytes(*part), behind })
    }
}

fn misuse(what: &str) -> StoreError {
    StoreError::Misuse { what: what.to_owned() }
}

impl Shared {
    pub(super) fn find(&self, any: &[Query], after: Option<&Place>, limit: usize) -> Result<FoundPage, StoreError> {
        if any.len() > FIND_QUERIES_MAX {
            return Err(misuse("a search asks too much at once"));
        }
        let after = after.map(|place| Position::read(place).ok_or_else(|| misuse("a place of no search")));
        let after = after.transpose()?;
        let parts: Vec<_> =
            any.iter().flat_map(|query| spans(query).into_iter().map(move |span| Part { query, span })).collect();
        let first = after.map_or(0, |after| after.part);
        let mut search = Search {
            parts: &parts,
            page: FoundPage::default(),
            limit: limit.clamp(1, FIND_LIMIT_MAX),
            postings_left: POSTINGS_MAX,
        };
        for part in first..u16::try_from(parts.len()).unwrap_or(u16::MAX) {
            let after = after.filter(|after| after.part == part).and_then(|after| after.behind);
            if let Some(reached) = self.search_part(&mut search, part, after)? {
                search.page.next = Some(reached.to_place());
                break;
            }
        }
        Ok(search.page)
    }

    /// Searches one part; gives where it stopped before the part's end.
    fn search_part(
        &self,
        search: &mut Search<'_>,
        part: u16,
        mut after: Option<Posting>,
    ) -> Result<Option<Position>, StoreError> {
        loop {
            let wanted = search.limit - search.page.found.len();
            let count = wanted.max(POSTINGS_AT_ONCE).min(search.postings_left);
            if wanted == 0 || count == 0 {
                return Ok(Some(Position { part, behind: after }));
            }
            let span = &search.parts[usize::from(part)].span;
            let stretch = self.index.range(span, after, count)?;
            search.postings_left -= stretch.reached.map_or(stretch.sound.len(), |_| count);
            for (posting, body) in stretch.sound.iter().zip(self.candidates(&stretch.sound)?) {
                if search.page.found.len() == search.limit {
                    return Ok(Some(Position { part, behind: after }));
                }
                after = Some(*posting);
                search.take(part, *posting, body.as_ref());
            }
            match stretch.reached {
                Some(reached) => after = Some(reached),
                None => return Ok(None),
            }
        }
    }

    /// The bodies that postings lead to, read in the order of the packs.
    fn candidates(&self, postings: &[Posting]) -> Result<Vec<Option<Body>>, StoreError> {
        let mut order: Vec<_> = (0..postings.len()).collect();
        order.sort_unstable_by_key(|place| postings[*place].1);
        let mut bodies: Vec<Option<Body>> = (0..postings.len()).map(|_| None).collect();
        for place in order {
            bodies[place] = self.candidate(postings[place].1)?;
        }
        Ok(bodies)
    }
}

/// A search as it goes on.
struct Search<'a> {
    parts: &'a [Part<'a>],
    page: FoundPage,
    limit: usize,
    postings_left: usize,
}

impl Search<'_> {
    /// Takes a body in if it is what was searched for. One that several postings lead to is found by the first of them.
    fn take(&mut self, part: u16, posting: Posting, body: Option<&Body>) {
        let Some(body) = body else { return };
        if self.first_lead(part, body.facts()) == Some((part, posting.0)) {
            let place = Position { part, behind: Some(posting) }.to_place();
            self.page.found.push(Found { content: body.id(), place });
        }
    }

    /// The first part and key, up to a part, that lead to a body that is searched for.
    fn first_lead(&self, part: u16, facts: &Facts) -> Option<(u16, Key)> {
        let parts = &self.parts[..=usize::from(part)];
        let mut first = None;
        for term in terms(facts) {
            let lead = |(table, key): TableKey| {
                let holds = |part: &Part<'_>| part.span.contains(table, &key) && part.query.is_met(&term, facts);
                let (number, _) = (0..).zip(parts).find(|(_, part)| holds(part))?;
                Some((number, key))
            };
            let (exact, second) = keys(&term);
            let leads = [Some(exact), second].into_iter().flatten().filter_map(lead);
            first = leads.chain(first).min();
        }
        first
    }
}
