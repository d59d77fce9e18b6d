//! Error messages in users' terms: those of JSON and query parsers rewritten, and causes on one line.

/// The error and its causes on one line, without repetition.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// The message without Rust terms.
#[must_use]
pub fn plain(message: &str) -> String {
    // The position is useful in a body of many lines, and is kept.
    let (message, place) = match message.rfind(" at line ") {
        Some(at) => message.split_at(at),
        None => (message, ""),
    };
    let told = ["invalid type: ", "invalid value: "].iter().find_map(|kind| {
        let (before, rest) = message.split_once(kind)?;
        let (found, expected) = rest.rsplit_once(", expected ")?;
        Some(format!("{before}it is {}, and must be {}", self::found(found), self::expected(expected)))
    });
    let told = told.unwrap_or_else(|| {
        message
            .replace("missing field", "there is no")
            .replace("EOF while parsing", "it breaks off within")
            .replace("unknown variant", "unknown value")
            .replace("invalid digit found in string", "it is no whole number")
            .replace("number too large to fit in target type", "the number is too large")
            .replace("cannot parse integer from empty string", "it is empty, and must be a whole number")
            .replace("Failed to deserialize query string", "the query cannot be used")
    });
    told + place
}

fn found(text: &str) -> String {
    for (rust, plain) in [
        ("string ", "the text "),
        ("integer ", "the number "),
        ("floating point ", "the number "),
        ("boolean ", ""),
    ] {
        if let Some(value) = text.strip_prefix(rust) {
            return format!("{plain}{value}");
        }
    }
    match text {
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        "unit value" => "`null`".to_owned(),
        other => other.to_owned(),
    }
}

fn expected(text: &str) -> String {
    let most = match text {
        "u8" => Some(u64::from(u8::MAX)),
        "u16" => Some(u64::from(u16::MAX)),
        "u32" => Some(u64::from(u32::MAX)),
        _ => None,
    };
    match (text, most) {
        (_, Some(most)) => format!("a whole number from 0 to {most}"),
        ("u64" | "usize", _) => "a whole number from 0".to_owned(),
        ("i8" | "i16" | "i32" | "i64" | "isize", _) => "a whole number".to_owned(),
        ("f32" | "f64", _) => "a number".to_owned(),
        ("a string" | "str" | "string", _) => "a text".to_owned(),
        ("a boolean", _) => "true or false".to_owned(),
        ("a sequence", _) => "a list".to_owned(),
        ("a map", _) => "an object".to_owned(),
        (other, _) if other.starts_with("struct ") => "an object".to_owned(),
        (other, _) => other.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only what is wrong with them is of interest")]
    struct Fields {
        iterations: u32,
        keep: Option<bool>,
        name: Option<String>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Mcmc,
    }

    #[test]
    fn no_word_of_rust_is_left() {
        for (json, said) in [
            (
                r#"{"iterations": "many"}"#,
                "it is the text \"many\", and must be a whole number from 0 to 4294967295",
            ),
            (
                r#"{"iterations": -1}"#,
                "it is the number `-1`, and must be a whole number from 0 to 4294967295",
            ),
            (
                r#"{"iterations": 1.5}"#,
                "it is the number `1.5`, and must be a whole number from 0 to 4294967295",
            ),
            (r#"{"iterations": [1]}"#, "it is a list, and must be a whole number from 0 to 4294967295"),
            (r#"{"keep": 1}"#, "it is the number `1`, and must be true or false"),
            (r#"{"name": {}}"#, "it is an object, and must be a text"),
            (r#""text""#, "it is the text \"text\", and must be an object"),
            (r#"{"name": "a"}"#, "there is no `iterations`"),
            ("{\"name\": \"a", "it breaks off within a string"),
            (r#"{"kind": "best"}"#, "unknown value `best`"),
        ] {
            let error = serde_json::from_str::<Fields>(json).unwrap_err().to_string();
            let plain = plain(&error);
            assert!(plain.starts_with(said), "{json}: {error}: {plain}");
            assert!(plain.contains(" at line 1 column "), "{plain}");
        }
        assert_eq!(
            plain("Failed to deserialize query string: limit: invalid digit found in string"),
            "the query cannot be used: limit: it is no whole number"
        );
    }
}
