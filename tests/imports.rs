//! Imports between modules: no cycles within a crate, and in `splat-core` no import from a higher layer.
//!
//! Only a crate's top-level modules count, those that its `lib.rs` or `main.rs` declares, each including its submodules.
//! Code under `#[cfg(test)]` may import from anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The layers of `splat-core`, lowest first, as in its crate documentation.
const LAYERS: [(&str, &[&str]); 5] = [
    (
        "scene",
        &[
            "camera",
            "child",
            "content",
            "dataset",
            "descriptors",
            "error",
            "events",
            "exposure",
            "files",
            "flight",
            "folder_lock",
            "formats",
            "gaussians",
            "images",
            "lens",
            "machine",
            "metrics",
            "nerfstudio",
            "photo_names",
            "placement",
            "plain",
            "pose",
            "random",
            "renderer_kind",
            "scene",
            "search",
            "sh",
            "shutter",
            "text",
            "text_file",
            "words",
        ],
    ),
    ("gpu", &["gpu"]),
    ("render", &["reference", "render", "self_test"]),
    ("train", &["train"]),
    ("pipeline", &["pipeline"]),
];

/// The crates, by their root files.
const CRATES: [&str; 6] = [
    "splat-core/src/lib.rs",
    "splat-colmap/src/lib.rs",
    "splat-demo/src/lib.rs",
    "splat-gesture/src/lib.rs",
    "splat-server/src/lib.rs",
    "splat-cli/src/main.rs",
];

/// For each module of a crate the modules that it imports from, each with one importing file.
type Imports = BTreeMap<String, BTreeMap<String, PathBuf>>;

/// Declarations and imports of one file.
#[derive(Default)]
struct Found {
    /// Modules declared by `mod name;`.
    declared: Vec<String>,
    /// First segments of paths from the crate's root.
    from_root: BTreeSet<String>,
}

/// Reads tokens of the module at `path` (empty for the root).
fn scan(tokens: TokenStream, path: &mut Vec<String>, found: &mut Found) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let word = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    };
    let braces = |at: usize| match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    };
    let is =
        |at: usize, mark: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == mark);
    let mut at = 0;
    while at < tokens.len() {
        let test_only = is(at, '#')
            && matches!(tokens.get(at + 1), Some(TokenTree::Group(group)) if group.stream().to_string() == "cfg (test)");
        if test_only {
            // The item ends with its semicolon or its braces.
            while at < tokens.len() && !is(at, ';') && braces(at).is_none() {
                at += 1;
            }
            at += 1;
        } else if word(at).as_deref() == Some("mod") && word(at + 1).is_some() && is(at + 2, ';') {
            found.declared.extend(word(at + 1));
            at += 3;
        } else if let (Some("mod"), Some(name), Some(inside)) =
            (word(at).as_deref(), word(at + 1), braces(at + 2))
        {
            path.push(name);
            scan(inside, path, found);
            path.pop();
            at += 3;
        } else if let Some(start) = word(at).filter(|word| word == "crate" || word == "super") {
            let mut depth = if start == "crate" { 0 } else { path.len().saturating_sub(1) };
            at += 1;
            while is(at, ':') && is(at + 1, ':') && word(at + 2).as_deref() == Some("super") {
                depth = depth.saturating_sub(1);
                at += 3;
            }
            if depth == 0 && is(at, ':') && is(at + 1, ':') {
                found.from_root.extend(word(at + 2));
                found.from_root.extend(braces(at + 2).into_iter().flat_map(first_words));
            }
        } else {
            if let Some(TokenTree::Group(group)) = tokens.get(at) {
                scan(group.stream(), path, found);
            }
            at += 1;
        }
    }
}

/// The first word of each entry of `{a::b, c::{d, e}}`.
fn first_words(list: TokenStream) -> Vec<String> {
    let mut words = Vec::new();
    let mut begins = true;
    for token in list {
        if let (true, TokenTree::Ident(word)) = (begins, &token) {
            words.push(word.to_string());
        }
        begins = matches!(&token, TokenTree::Punct(p) if p.as_char() == ',');
    }
    words
}

/// The tokens of a file.
fn tokens_of(file: &Path) -> TokenStream {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Reads a file and the modules that it declares; returns their imports from the crate's root, each with the importing file.
fn walk(file: &Path, path: &mut Vec<String>, taken: &mut BTreeMap<String, PathBuf>) {
    let mut found = Found::default();
    scan(tokens_of(file), path, &mut found);
    for name in found.from_root {
        taken.entry(name).or_insert_with(|| file.to_path_buf());
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = file.parent().expect("a file lies in a folder");
    let folder = if stem == "mod" { folder.to_path_buf() } else { folder.join(stem) };
    for name in found.declared {
        let file = module_file(&folder, &name);
        path.push(name);
        walk(&file, path, taken);
        path.pop();
    }
}

fn module_file(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(format!("{name}.rs"));
    if file.exists() { file } else { folder.join(name).join("mod.rs") }
}

/// Names that the root file re-exports from a module: `pub use module::{Name, Other};`.
fn passed_on(root: TokenStream) -> BTreeMap<String, String> {
    let tokens: Vec<TokenTree> = root.into_iter().collect();
    let mut names = BTreeMap::new();
    for (at, token) in tokens.iter().enumerate() {
        if !matches!(token, TokenTree::Ident(word) if word == "use") {
            continue;
        }
        let Some(TokenTree::Ident(module)) = tokens.get(at + 1) else { continue };
        let rest =
            tokens[at + 2..].iter().take_while(|t| !matches!(t, TokenTree::Punct(p) if p.as_char() == ';'));
        for token in rest {
            let words = match token {
                TokenTree::Ident(word) => vec![word.to_string()],
                TokenTree::Group(list) => first_words(list.stream()),
                _ => Vec::new(),
            };
            names.extend(words.into_iter().map(|word| (word, module.to_string())));
        }
    }
    names
}

/// The imports between the modules of the crate with that root file.
fn imports(root: &str) -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(root);
    let folder = root.parent().expect("a file lies in a folder").to_path_buf();
    let mut found = Found::default();
    scan(tokens_of(&root), &mut Vec::new(), &mut found);
    let passed_on = passed_on(tokens_of(&root));
    let modules: BTreeSet<String> = found.declared.iter().cloned().collect();
    let mut imports = Imports::new();
    for module in &modules {
        let mut taken = BTreeMap::new();
        walk(&module_file(&folder, module), &mut vec![module.clone()], &mut taken);
        let others = imports.entry(module.clone()).or_default();
        for (name, file) in taken {
            let owner = passed_on.get(&name).unwrap_or(&name);
            if owner != module && modules.contains(owner) {
                others.insert(owner.clone(), file);
            }
        }
    }
    imports
}

/// Modules that are part of a cycle, and the imports between them.
fn cycles(imports: &Imports) -> Vec<String> {
    let mut rest = imports.clone();
    // Modules that import from none of the remaining ones, or that none of them imports, are not part of a cycle.
    loop {
        let left: BTreeSet<String> = rest.keys().cloned().collect();
        let taken: BTreeSet<String> = rest.values().flat_map(BTreeMap::keys).cloned().collect();
        let before = rest.len();
        rest.retain(|module, others| {
            others.retain(|other, _| left.contains(other));
            !others.is_empty() && taken.contains(module)
        });
        if rest.len() == before {
            break;
        }
    }
    let lines = rest.iter().flat_map(|(module, others)| {
        others.iter().map(move |(other, file)| format!("{module} imports from {other} in {}", file.display()))
    });
    lines.collect()
}

#[test]
fn modules_take_names_in_no_cycle() {
    for root in CRATES {
        let imports = imports(root);
        let count: usize = imports.values().map(BTreeMap::len).sum();
        assert!(
            count > imports.len(),
            "{root}: only {count} imports were found between {} modules",
            imports.len()
        );
        let cycles = cycles(&imports);
        assert!(cycles.is_empty(), "{root}: modules import each other in a cycle:\n{}", cycles.join("\n"));
    }
}

#[test]
fn no_module_of_the_core_takes_from_a_higher_layer() {
    let layer_of = |module: &str| LAYERS.iter().position(|(_, modules)| modules.contains(&module));
    let imports = imports(CRATES[0]);
    for (module, others) in &imports {
        let layer = layer_of(module).unwrap_or_else(|| panic!("add `{module}` to a layer in LAYERS"));
        for (other, file) in others {
            let higher = layer_of(other).unwrap_or_else(|| panic!("add `{other}` to a layer in LAYERS"));
            assert!(
                higher <= layer,
                "{}: `{module}` in layer `{}` imports from `{other}` in the higher layer `{}`",
                file.display(),
                LAYERS[layer].0,
                LAYERS[higher].0
            );
        }
    }
    // Had the reading broken down, nothing would take from anything.
    for (module, other) in [("pipeline", "train"), ("train", "render"), ("render", "gpu"), ("gpu", "lens")] {
        assert!(imports[module].contains_key(other), "`{module}` was not seen to take from `{other}`");
    }
    for (_, modules) in LAYERS {
        modules.iter().for_each(|module| assert!(imports.contains_key(*module), "`{module}` is no module"));
    }
}

#[test]
fn every_form_of_an_import_is_seen() {
    let text = r#"
        //! use crate::comment::Name;
        use crate::plain::Name;
        use crate::{listed, nested::{Name, other::Deep}, error::Error};
        use super::sibling::Name;
        pub use super::super::aunt;
        fn body() { let x = crate::inline::call("crate::text::Name"); vec![super::super::in_macro::NAME] }
        mod inner { use super::super::super::from_inner::Name; use super::inside::Name; }
        #[cfg(test)]
        mod tests { use crate::only_in_tests::Name; }
        mod declared;
    "#;
    let mut found = Found::default();
    scan(text.parse().expect("tokens"), &mut vec!["module".into(), "child".into()], &mut found);
    let expected = ["aunt", "error", "from_inner", "in_macro", "inline", "listed", "nested", "plain"];
    assert_eq!(found.from_root.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(found.declared, ["declared"]);

    let entry = |module: &str, others: &[&str]| {
        (module.to_owned(), others.iter().map(|other| ((*other).to_owned(), PathBuf::new())).collect())
    };
    let straight = Imports::from([entry("a", &["b", "c"]), entry("b", &["c"]), entry("c", &[])]);
    assert_eq!(cycles(&straight), Vec::<String>::new());
    let round =
        Imports::from([entry("a", &["b"]), entry("b", &["c"]), entry("c", &["b"]), entry("d", &["a"])]);
    assert_eq!(cycles(&round).len(), 2, "{:?}", cycles(&round));
}
