//! Pages: every object once, wherever they end.

use super::*;

/// Releases of several sizes, two of which the collection does not show, on a clock that stands still.
fn filled(store: u8) -> (Cert, Vec<String>) {
    let cert = Cert::new(store);
    let mut next = 0;
    for (size, tlp) in [
        (1, Tlp::Clear),
        (2, Tlp::Amber),
        (3, Tlp::Red),
        (7, Tlp::AmberStrict),
        (1, Tlp::Green),
        (14, Tlp::Clear),
        (5, Tlp::Red),
    ] {
        cert.release(tlp, &indicators(next..next + size));
        next += size;
    }
    // Half of this release was shown before, two of it only to those who may see TLP:RED.
    cert.release(Tlp::Green, &[indicators(0..5), indicators(100..105)].concat());
    let shown = (0..28).filter(|number| !(5..6).contains(number)).chain(100..105).map(id).collect();
    (cert, shown)
}

#[tokio::test]
async fn every_object_comes_once_whatever_the_limit() {
    let (cert, mut expect) = filled(1);
    for limit in [1, 2, 3, 7, 14, 25, 30, 1000] {
        for listing in ["objects/", "manifest/"] {
            let pages = cert.pages(&format!("{listing}?limit={limit}")).await;
            let mut ids = ids_of(&pages);
            assert_eq!(pages.len(), ids.len().div_ceil(limit), "{listing} {limit}");
            ids.sort_unstable();
            expect.sort_unstable();
            assert_eq!(ids, expect, "{listing} {limit}");
        }
    }
}

#[tokio::test]
async fn a_last_page_that_is_full_says_so() {
    let cert = Cert::new(1);
    cert.release(Tlp::Clear, &indicators(0..4));
    assert!(!cert.page("objects/?limit=4").await.json["more"].as_bool().unwrap());
    assert!(cert.page("objects/?limit=3").await.json["more"].as_bool().unwrap());
    // What the collection does not show is no reason to ask again.
    cert.release(Tlp::Red, &indicators(4..8));
    assert!(!cert.page("objects/?limit=4").await.json["more"].as_bool().unwrap());
}

#[tokio::test]
async fn times_increase_strictly_and_are_where_added_after_begins() {
    let (cert, _) = filled(1);
    let manifest = cert.page("manifest/").await;
    let records = manifest.json["objects"].as_array().unwrap();
    let times: Vec<_> = records.iter().map(|record| record["date_added"].as_str().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]) && times.iter().all(|time| time.len() == 27), "{times:?}");
    let ids = manifest.ids();
    assert_eq!(manifest.header("x-taxii-date-added-first"), times[0]);
    assert_eq!(manifest.header("x-taxii-date-added-last"), times[times.len() - 1]);
    for (index, time) in times.iter().enumerate() {
        let after = cert.page(&format!("objects/?added_after={time}")).await;
        assert_eq!(after.ids(), ids[index + 1..], "{time}");
        let a_bit_later = cert.page(&format!("objects/?added_after={}", time.replace('Z', "9Z"))).await;
        assert_eq!(a_bit_later.ids(), ids[index + 1..], "{time}");
        let before = Time::from_micros(time.parse::<Time>().unwrap().as_micros() - 1);
        assert_eq!(cert.page(&format!("objects/?added_after={before}")).await.ids(), ids[index..], "{before}");
        let one = cert.page(&format!("objects/?added_after={before}&limit=1")).await;
        assert_eq!((one.header("x-taxii-date-added-first"), one.header("x-taxii-date-added-last")), (*time, *time));
    }
    for (time, count) in
        [("0001-01-01T00:00:00Z", ids.len()), ("1970-01-01T00:00:00Z", ids.len()), ("9999-01-01T00:00:00Z", 0)]
    {
        assert_eq!(cert.page(&format!("objects/?added_after={time}")).await.ids().len(), count, "{time}");
    }
}

#[tokio::test]
async fn the_next_page_needs_nothing_but_next() {
    let (cert, _) = filled(1);
    let times: Vec<_> = cert.page("manifest/").await.json["objects"].as_array().unwrap().clone();
    let query = format!("objects/?limit=2&added_after={}", times[9]["date_added"].as_str().unwrap());
    let ids = ids_of(&cert.pages(&query).await);
    let expect: Vec<_> = times[10..].iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, expect);
}

#[tokio::test]
async fn what_comes_while_a_client_reads_is_read_too() {
    let cert = Cert::new(1);
    cert.release(Tlp::Clear, &indicators(0..3));
    let first = cert.page("objects/?limit=2").await;
    cert.release(Tlp::Clear, &indicators(3..6));
    let rest = cert.pages(&format!("objects/?next={}", first.json["next"].as_str().unwrap())).await;
    let mut ids = [first.ids(), ids_of(&rest)].concat();
    ids.sort_unstable();
    assert_eq!(ids, (0..6).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_empty_page_has_its_list_and_its_times() {
    let cert = Cert::new(1);
    for listing in ["objects/", "manifest/"] {
        let page = cert.page(listing).await;
        assert_eq!(page.ids(), [""; 0]);
        assert_eq!(page.header("x-taxii-date-added-last"), "1970-01-01T00:00:00.000000Z");
        let after = "2026-01-01T00:00:00.000000Z";
        let page = cert.page(&format!("{listing}?added_after={after}")).await;
        assert_eq!(page.header("x-taxii-date-added-last"), after);
    }
}

#[tokio::test]
async fn a_page_is_bounded_by_bytes() {
    let cert = Cert::new(1);
    let large = |number: usize| {
        let text = indicator(number, "2020-01-01T00:00:00.000Z");
        text.replace("\"id\"", &format!("\"description\":\"{}\",\"id\"", "x".repeat(1_000_000)))
    };
    for release in 0..5 {
        cert.release(Tlp::Clear, &(0..7).map(|number| large(release * 7 + number)).collect::<Vec<_>>());
    }
    let pages = cert.pages("objects/").await;
    assert_eq!(pages.iter().map(|page| page.ids().len()).collect::<Vec<_>>(), [16, 16, 3]);
    assert!(pages.iter().all(|page| page.text.len() < 17 * 1024 * 1024));
}
