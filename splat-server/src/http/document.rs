//! The OpenAPI document: routes describe themselves, and what stands in front of all of them is described here, once.

use serde_json::Value;
use splat_colmap::ColmapQuality;
use splat_core::RendererKind;
use splat_core::pipeline::Preset;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder, Server};
use utoipa::{Modify, OpenApi};

use super::{auth, info};

/// What the document says of the service as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "splat",
        description = "Photos in, a 3-D Gaussian splatting scene out; hand-gesture models that grow by one gesture at a time. Errors are RFC 9457 problem documents.",
        license(name = "MIT OR Apache-2.0")
    ),
    modifiers(&Bearer),
    security((), ("key" = []))
)]
pub(super) struct Head;

/// How a key is shown.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// A file's content.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes a body")]
pub(super) struct FileContent(Vec<u8>);

/// Values of options that are words.
fn words() -> [(&'static str, Vec<&'static str>); 5] {
    [
        ("preset", Preset::ALL.map(Preset::name).into()),
        ("quality", ColmapQuality::ALL.map(ColmapQuality::name).into()),
        ("renderer", RendererKind::ALL.map(RendererKind::name).into()),
        ("strategy", info::STRATEGIES.into()),
        ("matcher", vec!["auto", "exhaustive", "sequential"]),
    ]
}

/// Adds to options that are words which words they are: their types belong to libraries that describe no HTTP.
fn name_values(document: &mut Document) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let options = schemas.and_then(|schemas| schemas.get_mut("SceneOptions"));
    let Some(RefOr::T(Schema::Object(options))) = options else { return };
    for (name, words) in words() {
        if let Some(RefOr::T(Schema::Object(option))) = options.properties.get_mut(name) {
            // Absent may be said as `null` too.
            let values = words.into_iter().map(Value::from).chain([Value::Null]);
            option.enum_values = Some(values.collect());
        }
    }
}

/// Adds to every route what [`auth::guard`] may answer in its place, and the stores behind it. What a route says itself stays.
/// The service lies at `path` (empty: at the root of its host).
pub(super) fn with_guard(mut document: Document, path: &str) -> Document {
    if !path.is_empty() {
        document.servers = Some(vec![Server::new(path)]);
    }
    name_values(&mut document);
    for (path, item) in &mut document.paths.paths {
        let keyed = !auth::is_open(path);
        let operations = [
            (&mut item.get, true, false),
            (&mut item.head, false, false),
            (&mut item.options, false, false),
            (&mut item.post, true, true),
            (&mut item.patch, true, true),
            (&mut item.delete, true, true),
        ];
        for (operation, has_body, changes) in operations {
            let Some(operation) = operation else { continue };
            let mut add = |status, description| add(operation, status, description, has_body);
            add(
                "421",
                "The `Host` is no name of this machine: a service on a loopback address answers to no other",
            );
            add("429", "Too many requests");
            add("503", "A store behind the service does not answer");
            if keyed {
                add("401", "No or a wrong key");
            }
            if changes {
                add("403", "A foreign web page asks");
            }
        }
    }
    document
}

fn add(operation: &mut Operation, status: &str, description: &str, has_body: bool) {
    let answer = || {
        let answer = ResponseBuilder::new().description(description);
        let problem = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let answer = if has_body { answer.content("application/problem+json", problem()) } else { answer };
        RefOr::<Response>::T(answer.build())
    };
    operation.responses.responses.entry(status.to_owned()).or_insert_with(answer);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scene::SceneOptions;

    #[test]
    fn options_name_their_words_and_files_are_binary() {
        let document = with_guard(super::super::described().1, "");
        let document = serde_json::to_value(&document).unwrap();
        for (name, words) in words() {
            let told = &document["components"]["schemas"]["SceneOptions"]["properties"][name]["enum"];
            for word in words {
                assert!(told.as_array().unwrap().contains(&json!(word)), "{name}: {told}");
                let options = serde_json::from_value::<SceneOptions>(json!({ name: word }));
                assert!(options.is_ok(), "{name}: {options:?}");
            }
        }
        let content = &document["components"]["schemas"]["FileContent"];
        assert_eq!((&content["type"], &content["format"]), (&json!("string"), &json!("binary")), "{content}");
        let job = &document["components"]["schemas"]["JobView"]["properties"];
        assert_eq!(job["created_at"]["format"], "date-time", "{job:#}");
    }
}
