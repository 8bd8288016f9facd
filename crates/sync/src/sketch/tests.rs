use super::*;

const KEY: SketchKey = SketchKey([7; 32]);

fn marks(range: Range<u32>) -> impl Iterator<Item = Mark> {
    range.map(|number| KEY.mark(ReleaseId::from_bytes(sha256_of(&[&number.to_be_bytes()]))))
}

fn sketch(range: Range<u32>) -> Sketch<()> {
    let mut sketch = Sketch::new();
    for mark in marks(range) {
        assert!(sketch.insert(mark, ()));
    }
    sketch
}

fn sorted(mut shorts: Vec<u64>) -> Vec<u64> {
    shorts.sort_unstable();
    shorts
}

/// Decodes as a session does, with as many more cells as are said to be enough: the difference, and how many it took.
fn reconcile(theirs: &mut Sketch<()>, ours: &mut Sketch<()>, first: usize) -> Option<(Difference, usize)> {
    let mut cells = first;
    loop {
        match decode(theirs.cells(0..cells), ours.cells(0..cells)) {
            Ok(difference) => return Some((difference, cells)),
            Err(_) if cells == CELLS_MAX => return None,
            Err(undecided) => {
                assert!(undecided.cells > cells);
                cells = undecided.cells;
            }
        }
    }
}

#[test]
fn equal_sets_take_one_cell() {
    let mut both = [sketch(0..1_000), sketch(0..1_000)];
    let [theirs, ours] = &mut both;
    assert_eq!(reconcile(theirs, ours, 1), Some((Difference::default(), 1)));
    assert_eq!(theirs.digest(), ours.digest());
    assert_eq!(reconcile(&mut Sketch::new(), &mut Sketch::new(), 1), Some((Difference::default(), 1)));
}

#[test]
fn both_directions_of_a_difference_are_told() {
    for size in [1, 2, 3, 10, 50, 300, 3_000] {
        let (mut theirs, mut ours) = (sketch(0..5_000), sketch(size..5_000 + size / 2));
        let (difference, cells) = reconcile(&mut theirs, &mut ours, 32).unwrap();
        let shorts = |range| sorted(marks(range).map(|mark| mark.short).collect());
        assert_eq!(sorted(difference.missing), shorts(0..size));
        assert_eq!(sorted(difference.extra), shorts(5_000..5_000 + size / 2));
        let all = size as usize * 3 / 2;
        assert!(cells <= 64 + all * 2, "{all} took {cells} cells");
    }
}

#[test]
fn what_comes_and_goes_leaves_no_trace() {
    let mut sketch = sketch(0..500);
    let before = (sketch.digest(), sketch.cells(0..6_000).to_vec());
    for mark in marks(1_000..3_000) {
        assert!(sketch.insert(mark, ()) && !sketch.insert(mark, ()));
    }
    assert_ne!(sketch.digest(), before.0);
    for mark in marks(1_000..3_000) {
        assert_eq!(sketch.mark(mark.short), Some(mark));
        assert!(sketch.remove(mark.short).is_some() && sketch.remove(mark.short).is_none());
    }
    assert_eq!((sketch.digest(), sketch.cells(0..6_000).to_vec()), before);
    assert_eq!((sketch.len(), sketch.get(KEY.mark(ReleaseId::from_bytes([0; 32])).short)), (500, None));
}

#[test]
fn cells_are_the_same_whenever_they_are_asked_for() {
    let mut late = sketch(0..2_000);
    let mut early = Sketch::new();
    early.cells(0..10_000);
    assert!(marks(0..2_000).all(|mark| early.insert(mark, ())));
    assert_eq!(late.cells(0..10_000), early.cells(0..10_000));
    assert_eq!(late.cells(5_000..5_010), &early.cells(0..10_000)[5_000..5_010]);
    assert!(late.cells(CELLS_MAX..CELLS_MAX + 5).is_empty());
}

#[test]
fn cells_survive_their_bytes() {
    let mut sketch = sketch(0..300);
    let cells = sketch.cells(0..40);
    let bytes = Cell::write_all(cells);
    assert_eq!(bytes.len(), 40 * CELL_BYTES);
    assert_eq!(Cell::read_all(&bytes).as_deref(), Some(cells));
    assert_eq!(Cell::read_all(&bytes[1..]), None);
    let digest = sketch.digest();
    assert_eq!(Digest::from_bytes(&digest.to_bytes()), Some(digest));
    assert_eq!(Digest::from_bytes(&digest.to_bytes()[1..]), None);
}

#[test]
fn keys_differ_by_agreement_and_by_both_instances() {
    let agreement = AgreementId::from_bytes;
    let keys = [
        SketchKey::new(agreement([1; 32]), [2; 16], [3; 16]),
        SketchKey::new(agreement([9; 32]), [2; 16], [3; 16]),
        SketchKey::new(agreement([1; 32]), [3; 16], [2; 16]),
    ];
    let shorts = keys.map(|key| key.mark(ReleaseId::from_bytes([5; 32])).short);
    assert!(shorts[0] != shorts[1] && shorts[0] != shorts[2] && shorts[1] != shorts[2]);
}

#[test]
fn cells_out_of_nothing_end_without_a_difference() {
    let mut state = 3;
    let noise = |state: &mut u64| Cell {
        sum: mapping::mix(state),
        check: u32::try_from(mapping::mix(state) >> 40).unwrap(),
        count: u8::try_from(mapping::mix(state) >> 56).unwrap(),
    };
    let noise: Vec<_> = (0..5_000).map(|_| noise(&mut state)).collect();
    assert!(decode(&noise, sketch(0..100).cells(0..5_000)).is_err());
    // One item that is put into cells which are not its own, with each count.
    for count in [1, u8::MAX] {
        let short = mapping::mix(&mut state);
        let cell = Cell { sum: short, check: check_of(short), count };
        assert!(decode(&vec![cell; 2_000], &vec![Cell::default(); 2_000]).is_err());
    }
    assert_eq!(decode(&[], &[]), Err(Undecided { cells: 32 }));
}
