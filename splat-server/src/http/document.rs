//! The OpenAPI document: routes describe themselves, and what stands in front of all of them is described here, once.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder, Server};
use utoipa::{Modify, OpenApi};

use super::auth;

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

/// Adds to every route what [`auth::guard`] may answer in its place, and the stores behind it. What a route says itself stays.
/// The service lies at `path` (empty: at the root of its host).
pub(super) fn with_guard(mut document: Document, path: &str) -> Document {
    if !path.is_empty() {
        document.servers = Some(vec![Server::new(path)]);
    }
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
