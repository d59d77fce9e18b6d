//! Rejected `/train` requests, in a form that stock clients display: they log any status other than 200 and keep waiting, so the
//! response is a task that has already failed. Its id encodes the reason, so that nothing is stored and any of several servers
//! can report it.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Prefix of the id of a rejected task; ids of jobs contain no dot.
const PREFIX: &str = "refused.";
/// Maximum characters of the reason in an id, so that every proxy accepts the URL.
const MAX_CHARS: usize = 400;

/// The id of a task that was rejected for this reason.
pub(super) fn task_id(why: &str) -> String {
    let why: String = why.chars().take(MAX_CHARS).collect();
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(why))
}

/// The reason in the id of a rejected task; `None` for any other id.
pub(super) fn why(task_id: &str) -> Option<String> {
    let why = String::from_utf8(URL_SAFE_NO_PAD.decode(task_id.strip_prefix(PREFIX)?).ok()?).ok()?;
    let sound = why.chars().count() <= MAX_CHARS && !why.chars().any(char::is_control);
    (sound && !why.is_empty()).then_some(why)
}

/// Languages in which a step can be described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Korean,
}

/// The client's preferred language by `Accept-Language`, among those supported; `None` if there is none.
pub(super) fn language(headers: &HeaderMap) -> Option<Language> {
    let asked = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(f32, Language)> = None;
    for range in asked.split(',') {
        let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok()).unwrap_or(0.0);
        let primary = tag.trim().split('-').next().unwrap_or_default();
        let language = match primary.to_ascii_lowercase().as_str() {
            "en" => Language::English,
            "ko" => Language::Korean,
            _ => continue,
        };
        if weight > best.map_or(0.0, |(weight, _)| weight) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

/// Description of a stage of a gesture job; the stage's name if no language was requested.
pub(super) fn step(stage: &str, language: Option<Language>) -> &str {
    let Some(language) = language else { return stage };
    let (english, korean) = match stage {
        "start" | "load" => ("Loading your model", "모델을 불러오는 중"),
        "compare" => ("Comparing with your gestures", "기존 제스처와 비교하는 중"),
        "train" => ("Learning the gesture", "제스처를 학습하는 중"),
        "measure" => ("Checking the result", "결과를 확인하는 중"),
        "save" => ("Storing the model", "모델을 저장하는 중"),
        other => (other, other),
    };
    match language {
        Language::English => english,
        Language::Korean => korean,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_reason_survives_its_id_and_nothing_else_is_one() {
        for reason in ["frame 7 has 63 numbers, not 64", "`주먹` is taken", &"x".repeat(400)] {
            let id = task_id(reason);
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)), "{id}");
            assert_eq!(why(&id).as_deref(), Some(reason));
        }
        assert_eq!(why(&task_id(&"가".repeat(5000))).unwrap().chars().count(), 400);
        let control = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode("a\u{7}"));
        let long = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode("x".repeat(401)));
        for other in ["", "refused.", "refused.***", "refused.gA", "nothing", &control, &long] {
            assert_eq!(why(other), None, "{other}");
        }
    }

    #[test]
    fn steps_are_told_in_the_language_that_is_asked_for() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, text.parse().unwrap());
            language(&headers)
        };
        assert_eq!(language(&HeaderMap::new()), None);
        for (text, expected) in [
            ("ko-KR,ko;q=0.9", Some(Language::Korean)),
            ("en;q=0.5, KO", Some(Language::Korean)),
            ("fr-FR, en-GB;q=0.7, ko;q=0.3", Some(Language::English)),
            ("ko;q=0, en;q=0.1", Some(Language::English)),
            ("kok, *", None),
            (";;q=,", None),
        ] {
            assert_eq!(asked(text), expected, "{text}");
        }
        assert_eq!(step("train", None), "train");
        assert_eq!(step("train", Some(Language::Korean)), "제스처를 학습하는 중");
        assert_eq!(step("another", Some(Language::English)), "another");
    }
}
