//! The OpenAPI document. Routes describe themselves; what applies to all of them is added here, once.

use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, Paths, Ref, RefOr, Required, Response, ResponseBuilder, Server,
};
use utoipa::{Modify, OpenApi};

use super::auth;
use crate::webhook::JobEnded;

/// Description of the service as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "splat",
        description = "Photos in, a 3-D Gaussian splatting scene out; hand-gesture models that grow by one gesture at a time. Errors are RFC 9457 problem documents.",
        license(name = "MIT OR Apache-2.0")
    ),
    modifiers(&Bearer),
    components(schemas(JobEnded<'static>)),
    security((), ("key" = []))
)]
pub(super) struct Head;

/// The security scheme.
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

/// The kind of a scene.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a word")]
pub(super) enum SceneWord {
    Scene,
}

/// The kind of a gesture.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a word")]
pub(super) enum GestureWord {
    Gesture,
}

/// What the coordinates of landmarks mean.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes a word")]
pub(super) enum LayoutWord {
    /// Metres, world coordinates.
    World,
    /// Fractions of the image size.
    Image,
}

/// State of a training, as stock clients name it.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "describes a word")]
pub(super) enum TrainingWord {
    Pending,
    Progress,
    Success,
    Duplicate,
    Failure,
}

/// The webhook message sent when a job has ended.
fn webhooks() -> Paths {
    let header = |name: &str, description: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
    };
    let payload = ContentBuilder::new().schema(Some(Ref::from_schema_name("JobEnded"))).build();
    let body = RequestBodyBuilder::new().content("application/json", payload).required(Some(Required::True));
    let operation = OperationBuilder::new()
        .tag("webhooks")
        .operation_id(Some("job_ended"))
        .summary(Some("A job has ended"))
        .description(Some(
            "Sent to the `webhook` of a job where the operator has turned webhooks on. Answer with 2xx within 10 seconds; it is sent again otherwise, with growing waits, and has the same `Splat-Delivery` then.",
        ))
        .parameter(header("Splat-Delivery", "The message; the same each time it is sent"))
        .parameter(header(
            "Splat-Signature",
            "`t=<seconds>,v1=<hex>`: HMAC-SHA256 of `<seconds>.<body>` with the operator's secret",
        ))
        .request_body(Some(body.build()))
        .response("2XX", ResponseBuilder::new().description("It was taken"));
    PathsBuilder::new().path("job_ended", PathItem::new(HttpMethod::Post, operation)).build()
}

/// Adds to every route the responses of [`auth::guard`] and of the stores, without replacing the route's own. The service is
/// served at `path` (empty: at the root of its host).
pub(super) fn with_guard(mut document: Document, path: &str) -> Document {
    if !path.is_empty() {
        document.servers = Some(vec![Server::new(path)]);
    }
    document.webhooks = Some(webhooks());
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

    #[test]
    fn files_are_binary_and_times_are_times() {
        let document = with_guard(super::super::described().1, "");
        let document = serde_json::to_value(&document).unwrap();
        let content = &document["components"]["schemas"]["FileContent"];
        assert_eq!((&content["type"], &content["format"]), (&json!("string"), &json!("binary")), "{content}");
        let job = &document["components"]["schemas"]["JobView"]["properties"];
        assert_eq!(job["created_at"]["format"], "date-time", "{job:#}");
    }
}
