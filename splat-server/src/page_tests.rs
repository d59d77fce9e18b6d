#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;

use super::*;

fn text(path: &str) -> String {
    String::from_utf8(find(path).unwrap_or_else(|| panic!("{path} is missing")).plain.unwrap().to_vec())
        .unwrap()
}

const PAGES: [&str; 4] = ["/", "/gestures", "/local", "/viewer/"];

/// Quoted values that follow `before` in `source`.
fn quoted<'s>(source: &'s str, before: &str, quote: char) -> Vec<&'s str> {
    source.split(before).skip(1).filter_map(|rest| rest.strip_prefix(quote)?.split(quote).next()).collect()
}

#[test]
fn the_table_is_sorted_since_it_is_searched() {
    assert!(FILES.is_sorted_by_key(|file| file.path));
    assert!(FILES.len() > 20, "only {} files are embedded", FILES.len());
}

#[test]
fn everything_that_the_pages_name_is_there() {
    let mut named = 0;
    for page in PAGES {
        let html = text(page);
        for address in [quoted(&html, "src=", '"'), quoted(&html, "href=", '"')].concat() {
            // Relative, so that a proxy may add a path prefix.
            assert!(!address.starts_with('/'), "{page} names {address}");
            let address = format!("/{}", address.trim_start_matches("../"));
            if address.starts_with("/assets/") && (HAS_VIEWER || !address.contains("/viewer/")) {
                let address = address.as_str();
                assert!(find(address).is_some(), "{page} names {address}");
                assert!(
                    find(address).unwrap().cache_control.contains("immutable") || address.ends_with(".txt"),
                    "{address}"
                );
                named += 1;
            }
        }
    }
    assert!(named >= 6, "only {named} addresses were found");
}

#[test]
fn every_import_of_a_module_is_there() {
    let mut imports = 0;
    for file in FILES.iter().filter(|file| file.path.starts_with("/assets/js/")) {
        let folder = file.path.rsplit_once('/').unwrap().0;
        for name in quoted(&text(file.path), " from ", '\'') {
            let target = match (name.strip_prefix("./"), name.strip_prefix("../")) {
                (Some(rest), _) => format!("{folder}/{rest}"),
                (_, Some(rest)) => format!("{}/{rest}", folder.rsplit_once('/').unwrap().0),
                _ => panic!("{} imports `{name}` from elsewhere", file.path),
            };
            if HAS_VIEWER || !target.starts_with("/assets/viewer/") {
                assert!(find(&target).is_some(), "{} imports {target}", file.path);
                imports += 1;
            }
        }
    }
    assert!(imports > 40, "only {imports} imports were found");
}

#[test]
fn the_pages_hold_no_inline_script_or_style_and_name_no_other_host() {
    for page in PAGES {
        let html = text(page);
        assert!(
            !html.contains("<style") && !html.contains("style=\"") && !html.contains(" onclick"),
            "{page}"
        );
        assert!(
            html.match_indices("<script").all(|(at, _)| html[at..]
                .split('>')
                .next()
                .unwrap()
                .contains("src=")),
            "{page}"
        );
        assert!(!html.contains("http://") && !html.contains("https://"), "{page}");
    }
    for policy in [PAGE_CSP, GESTURES_CSP, VIEWER_CSP] {
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        let policy = if policy == GESTURES_CSP { &policy.replace("'wasm-unsafe-eval'", "") } else { policy };
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    }
}

#[test]
fn nothing_outside_the_table_is_found() {
    for path in [
        "",
        "/index.html",
        "/assets/",
        "/assets",
        "/assets/../Cargo.toml",
        "/assets/js/../js/main.js",
        "/assets/js/main.js/",
        "//",
        "/etc/passwd",
        "/assets/0123456789abcdef/",
        "/assets/%2e%2e/x",
    ] {
        assert!(find(path).is_none(), "{path}");
    }
    assert!(find("/viewer/").is_some() && find("/assets/js/main.js").is_some());
}

#[test]
fn only_names_that_change_with_the_content_are_kept_for_ever() {
    let versioned = format!("/assets/{VERSION}/js/main.js");
    assert_eq!(find(&versioned).unwrap().cache_control, FOR_EVER);
    assert_eq!(find("/assets/0123456789abcdef/js/main.js").unwrap().cache_control, ASK_FIRST);
    assert_eq!(find("/assets/js/main.js").unwrap().cache_control, ASK_FIRST);
    assert_eq!(find("/").unwrap().cache_control, ASK_FIRST);
}

#[test]
fn replies_are_conditional_and_compressed() {
    let file = find("/assets/js/main.js").unwrap();
    let plain = file.reply(None, None);
    assert_eq!((plain.status, plain.body), (200, file.plain.unwrap()));
    assert!(plain.headers.contains(&("content-type", "text/javascript; charset=utf-8")));

    let packed = file.reply(Some("\"other\""), Some("br, gzip;q=0.8"));
    assert!(packed.headers.contains(&("content-encoding", "gzip")));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.body).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, file.plain.unwrap());
    assert!(!file.reply(None, Some("gzip;q=0, br")).headers.contains(&("content-encoding", "gzip")));

    for tags in [file.etag.to_owned(), format!("\"x\", W/{}", file.etag), "*".to_owned()] {
        let reply = file.reply(Some(&tags), Some("gzip"));
        assert_eq!((reply.status, reply.body.len()), (304, 0), "{tags}");
    }
}

#[test]
fn a_file_that_is_kept_compressed_only_is_not_sent_to_those_who_cannot_read_it() {
    let file = PageFile { plain: None, gzip: Some(&[1, 2]), ..find("/assets/js/main.js").unwrap() };
    assert_eq!(file.reply(None, Some("gzip")).body, [1, 2]);
    let reply = file.reply(None, Some("br"));
    assert_eq!((reply.status, reply.body.len()), (406, 0));
    for file in FILES {
        assert!(file.plain.is_some() || file.gzip.is_some(), "{}", file.path);
    }
}

#[test]
fn only_the_viewer_may_be_framed_and_only_by_the_page() {
    assert!(PAGE_CSP.contains("frame-ancestors 'none'"));
    assert!(VIEWER_CSP.contains("frame-ancestors 'self'"));
    let of = |path: &str| find(path).unwrap().security.to_vec();
    assert!(of("/").contains(&("content-security-policy", PAGE_CSP)));
    assert!(of("/gestures").contains(&("content-security-policy", GESTURES_CSP)));
    assert!(
        of("/gestures")
            .iter()
            .any(|(name, value)| *name == "permissions-policy" && value.contains("camera=(self)"))
    );
    assert!(of("/").iter().any(|(name, value)| *name == "permissions-policy" && value.contains("camera=()")));
    assert!(of("/viewer/").contains(&("content-security-policy", VIEWER_CSP)));
}
