//! Malformed input: no panic, no file outside the draft, bounded memory.

use super::*;
use crate::job::JobId;

/// Rounds of every loop: a few seconds in total, unoptimised.
const ROUNDS: u32 = 400;

/// A small generator (xorshift64*), so that failures are reproducible.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end.max(1)
    }

    /// Changes some bytes, truncates, or copies one part over another.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = [0x00, 0xff, 0x7f, 0x80][self.below(4)],
                2 => bytes[at] ^= 1 << self.below(8),
                3 => {
                    let length = self.below(32).min(bytes.len() - at);
                    let from = self.below(bytes.len() - length + 1);
                    bytes.copy_within(from..from + length, at);
                }
                _ => bytes[at] = self.next() as u8,
            }
        }
    }
}

/// Sends mutated copies of `seed`; nothing may be left outside the draft's own folder.
async fn survives(seed: &[u8], name: &str, seed_number: u64) {
    let place = Place::new(Limits { max_job_bytes: 4 << 20, max_file_bytes: 1 << 20, ..limits() });
    let mut random = Random(seed_number);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let mut bytes = seed.to_vec();
        random.mutate(&mut bytes);
        let mut draft = place.draft().await;
        match draft.add_file(name, pieces(&bytes, 1 + random.below(4000))).await {
            Ok(added) => {
                taken += added.photos.len();
                refused += added.rejected.len();
            }
            Err(error) => {
                assert!(!status(error).is_server_error());
                refused += 1;
            }
        }
        let own = draft.dir.path().to_path_buf();
        assert!(
            files_below(place.dir.path()).iter().all(|file| file.starts_with(&own)),
            "a file lies outside"
        );
        drop(draft);
        becomes_empty(&place.uploads()).await;
    }
    assert!(refused > 0, "nothing was refused: the changes change nothing ({taken} taken)");
}

#[tokio::test]
async fn changed_zips() {
    let [a, b] = [jpeg(1), jpeg(2)];
    let zip =
        super::zips::archive(&[("photos/../a.jpg", &a), ("b.jpg", &b), ("c/", b""), ("d.txt", b"text")]);
    survives(&zip, "x.zip", 1).await;
    // Mostly directory and headers, where mutations have the most effect.
    let small = super::zips::archive(&[("a", b"1"), ("b", b"2"), ("c", b"3")]);
    survives(&small, "x.zip", 2).await;
}

#[tokio::test]
async fn changed_photos() {
    for (number, format) in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP].into_iter().enumerate() {
        let seed = photo(format, 40, 40, 7);
        // Mostly the header: the pixels are not decoded.
        survives(&seed[..seed.len().min(700)], "x", 10 + number as u64).await;
        survives(&seed, "x", 20 + number as u64).await;
    }
}

/// Sizes claimed by headers must not be allocated.
#[tokio::test]
async fn a_header_of_gigapixels_costs_nothing() {
    let mut png = photo(ImageFormat::Png, 40, 40, 1);
    // IHDR: width and height at bytes 16 to 24, checksum at 29.
    png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let place = Place::new(limits());
    let mut draft = place.draft().await;
    let added = draft.add_file("bomb.png", pieces(&png, 100)).await.unwrap();
    assert!(
        matches!(added.rejected[0].code, RejectCode::TooManyPixels | RejectCode::UnreadablePhoto),
        "{added:?}"
    );
}

#[tokio::test]
async fn ids_that_were_never_given_find_nothing() {
    let place = Place::new(limits());
    for text in [
        "..",
        "../../../etc/passwd",
        "%2e%2e%2f",
        "",
        "0000000000000000000000000/",
        "IIIIIIIIIIIIIIIIIIIIIIIIII",
    ] {
        assert!(text.parse::<JobId>().is_err(), "{text}");
    }
    let error = place.intake.upload(&Owner::local(), &JobId::random()).await.unwrap_err();
    assert_eq!(status(error), StatusCode::NOT_FOUND);
}
