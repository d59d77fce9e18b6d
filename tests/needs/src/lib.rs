//! `#[needs(...)]`: a test whose data or program is missing is shown as ignored, with what it lacks.
//!
//! ```text
//! #[needs("photos/lund_door/images", program = "colmap")]
//! #[test]
//! fn the_door_is_reconstructed() { .. }
//! ```
//!
//! A string is a path below the shared test data, which is `SPLAT_TEST_DATA` or `../shared/data` beside the repository.
//! A `program` is looked for on the `PATH`; one with a slash in its name is a file of the repository. With `CI` set nothing
//! is ignored: there, a test that lacks something fails.
//!
//! All this is looked at when the test is compiled. A build that found the data missing looks again once `SPLAT_TEST_DATA` is
//! set or changed, or after `cargo clean -p` of the test's package.

use std::env;
use std::path::{Path, PathBuf};

use proc_macro::{TokenStream, TokenTree};

/// Shows the test below as ignored where something that it needs is missing.
#[proc_macro_attribute]
pub fn needs(wanted: TokenStream, test: TokenStream) -> TokenStream {
    let text = test.to_string();
    let attributes = text.split("fn ").next().unwrap_or_default();
    if !attributes.contains("test") {
        // `#[test]` looks for `#[ignore]` when it is expanded itself.
        return tokens("compile_error!(\"`#[needs]` has to stand above `#[test]`\");");
    }
    let missing = match missing(wanted) {
        Ok(missing) => missing,
        Err(why) => return tokens(&format!("compile_error!({why:?});")),
    };
    // A change of these compiles the test anew.
    let mut output =
        tokens("const _: [Option<&str>; 2] = [option_env!(\"SPLAT_TEST_DATA\"), option_env!(\"CI\")];");
    if let Some(missing) = missing.filter(|_| env::var_os("CI").is_none_or(|value| value.is_empty())) {
        // A second `ignore` would be a warning.
        if attributes.contains("no_gpu") {
            output.extend(tokens(&format!("#[cfg_attr(not(no_gpu), ignore = {missing:?})]")));
        } else if !attributes.contains("ignore") {
            output.extend(tokens(&format!("#[ignore = {missing:?}]")));
        }
    }
    output.extend(test);
    output
}

/// What is missing of a list such as `"splats", program = "colmap"`, as the reason that `cargo test` shows.
fn missing(wanted: TokenStream) -> Result<Option<String>, String> {
    let repository = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("..");
    let data = env::var_os("SPLAT_TEST_DATA").map_or_else(
        || repository.join("../shared/data"),
        // Tests run in the folder of their package.
        |root| Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join(root),
    );
    let mut is_program = false;
    for token in wanted {
        match token {
            TokenTree::Ident(name) if name.to_string() == "program" => is_program = true,
            TokenTree::Punct(_) => (),
            TokenTree::Literal(literal) => {
                let literal = literal.to_string();
                let name = literal.trim_matches('"');
                if std::mem::take(&mut is_program) {
                    if !has_program(name, &repository) {
                        return Ok(Some(format!("needs {name}: scripts/setup.sh --test installs it")));
                    }
                } else if !data.join(name).exists() {
                    return Ok(Some(format!("needs test data, {name}: set SPLAT_TEST_DATA")));
                }
            }
            other => return Err(format!("`#[needs]` does not know `{other}`")),
        }
    }
    Ok(None)
}

fn has_program(name: &str, repository: &Path) -> bool {
    let file = |folder: PathBuf| folder.join(format!("{name}{}", env::consts::EXE_SUFFIX)).is_file();
    if name.contains('/') {
        return file(repository.to_path_buf());
    }
    env::var_os("PATH").is_some_and(|folders| env::split_paths(&folders).any(file))
}

fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}
