use std::io::Write as _;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_are_told_by_their_first_bytes() {
    let zip = |name: &str| {
        let mut head = b"PK\x03\x04".to_vec();
        head.resize(26, 0);
        head.extend((name.len() as u16).to_le_bytes());
        head.extend([0, 0]);
        head.extend(name.as_bytes());
        head
    };
    let mut transport = vec![0_u8; 400];
    for at in [0, 188, 376] {
        transport[at] = 0x47;
    }
    let utf16: Vec<u8> = "1 PINHOLE 640 480".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: Vec<(Vec<u8>, Option<Content>)> = vec![
        (vec![], Some(Content::Empty)),
        (vec![0; 64], Some(Content::Zeros)),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n".to_vec(), Some(Content::LfsPointer)),
        (b"\xff\xd8\xff\xe0".to_vec(), Some(Content::Photo(PhotoFormat::Jpeg))),
        (b"RIFF\x10\0\0\0WEBPVP8 ".to_vec(), Some(Content::Photo(PhotoFormat::WebP))),
        (b"RIFF\x10\0\0\0AVI LIST".to_vec(), Some(Content::Video)),
        (b"\0\0\0\x18ftypheic".to_vec(), Some(Content::Photo(PhotoFormat::Heic))),
        (b"\0\0\0\x18ftypavif".to_vec(), Some(Content::Photo(PhotoFormat::Avif))),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic".to_vec(), Some(Content::Photo(PhotoFormat::Heic))),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif".to_vec(), Some(Content::Photo(PhotoFormat::Avif))),
        // After the end of the box there are no brands.
        (b"\0\0\0\x14ftypmif1\0\0\0\0mif1avif".to_vec(), Some(Content::Photo(PhotoFormat::Heic))),
        (b"\0\0\0\x18ftypcrx ".to_vec(), Some(Content::Raw)),
        (b"\0\0\0\x18ftypmp42".to_vec(), Some(Content::Video)),
        (b"\0\0\0\x14ftypqt  ".to_vec(), Some(Content::Video)),
        (b"\x1a\x45\xdf\xa3\x01".to_vec(), Some(Content::Video)),
        (transport, Some(Content::Video)),
        (zip("meta.json"), Some(Content::Sog)),
        (zip("means_l.webp"), Some(Content::Sog)),
        (zip("photos/a.jpg"), Some(Content::Zip)),
        (zip("archive/data.pkl"), Some(Content::Array)),
        (gzip(b"NGSP\x02\0\0\0 and more of it"), Some(Content::Spz)),
        (b"NGSP\x04\0\0\0".to_vec(), Some(Content::Spz)),
        (gzip(b"photos"), Some(Content::Gzip)),
        (b"ply\nformat ascii 1.0\nelement vertex 3\n".to_vec(), Some(Content::Ply)),
        (b"ply\r\nformat ascii 1.0\r\nelement chunk 3\r\n".to_vec(), Some(Content::CompressedPly)),
        (b"\xef\xbb\xbfply \nformat ascii 1.0\n".to_vec(), Some(Content::Ply)),
        (b"plywood comes in sheets".to_vec(), Some(Content::Text)),
        (b"glTF\x02\0\0\0".to_vec(), Some(Content::Glb)),
        (b"\n<!DOCTYPE HTML><html>".to_vec(), Some(Content::Html)),
        (b"\xef\xbb\xbf{\"frames\": []}".to_vec(), Some(Content::Json)),
        (b"<?xml version='1.0'?>".to_vec(), Some(Content::Xml)),
        (b"\xff\xfe1\0 \0".to_vec(), Some(Content::Utf16)),
        (utf16, Some(Content::Utf16)),
        (b"SQLite format 3\0".to_vec(), Some(Content::Sqlite)),
        ("# 사진 목록\n1 PINHOLE".as_bytes().to_vec(), Some(Content::Text)),
        (b"\x01\x02\x03\x04\x05".to_vec(), None),
    ];
    for (head, kind) in cases {
        assert_eq!(Content::of(&head), kind, "{:?}", String::from_utf8_lossy(&head));
    }
}

#[test]
fn names_tell_where_bytes_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let kind = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        Content::of_file(&path).unwrap()
    };
    assert_eq!(kind("a.splat", b"\x01\x02\x03\x04"), Some(Content::Splat));
    assert_eq!(kind("b.KSPLAT", b"\0\x01\0\0"), Some(Content::Ksplat));
    assert_eq!(kind("c.NEF", b"MM\0*\0\0"), Some(Content::Raw));
    assert_eq!(kind("d.tif", b"MM\0*\0\0"), Some(Content::Photo(PhotoFormat::Tiff)));
    assert_eq!(kind("e.splat", b"<html>"), Some(Content::Html));
    assert_eq!(kind("f.jpg", b""), Some(Content::Empty));
    assert!(Content::of_file(&dir.path().join("none")).is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_looked_at_without_a_panic(head: Vec<u8>, kind in 0..SIGNATURES.len()) {
        let _ = Content::of(&head);
        let _ = Content::of(&[SIGNATURES[kind].0, &head].concat());
        let _ = Content::of(&[b"PK\x03\x04", &head[..]].concat());
        let _ = Content::of(&[b"\x1f\x8b\x08\0", &head[..]].concat());
    }
}
