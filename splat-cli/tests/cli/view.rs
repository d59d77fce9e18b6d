//! `splat view`: what can be tested of serving and exporting without a browser.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::harness::{Sandbox, says};

/// Kills the server even if the test fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A PLY of two Gaussians, in the layout of a run.
fn with_scene() -> Sandbox {
    let sandbox = Sandbox::new();
    let names = "x y z rot_0 rot_1 rot_2 rot_3 scale_0 scale_1 scale_2 opacity f_dc_0 f_dc_1 f_dc_2";
    let mut text = "ply\nformat ascii 1.0\nelement vertex 2\n".to_owned();
    names.split(' ').for_each(|name| text += &format!("property float {name}\n"));
    text += "end_header\n0 0 0 1 0 0 0 -3 -3 -3 2 0 0 0\n1 1 1 1 0 0 0 -3 -3 -3 2 0 0 0\n";
    sandbox.write("out/point_cloud/iteration_7/point_cloud.ply", text);
    sandbox
}

/// GET request; returns status line and headers, and the body.
fn get(address: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
}

#[test]
fn a_scene_is_served_or_what_lacks_is_told() {
    let sandbox = with_scene();
    if !splat_server::page::has_viewer() {
        says(&sandbox.fails(2, &["view", "out", "--no-open"]), &["without its 3-D viewer", "make web"]);
        return;
    }
    says(&sandbox.fails(1, &["view", "none"]), &["none", "does not exist"]);
    says(&sandbox.fails(2, &["view", "out", "--export", "scene.ply"]), &[".html"]);
    let mut command = sandbox.command(&["view", "out", "--no-open", "--json"]);
    let mut server = Server(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((said["event"].as_str(), said["gaussians"].as_u64()), (Some("listening"), Some(2)));
    let address = said["url"].as_str().unwrap().strip_prefix("http://").unwrap().trim_end_matches('/');
    let (head, page) = get(address, "/");
    says(&head, &["200 OK", "content-security-policy: default-src 'none'"]);
    says(&String::from_utf8(page).unwrap(), &["js/local.js", "id=\"viewer\""]);
    let (head, ply) = get(address, "/scene.ply");
    says(&head, &["200 OK", &format!("content-length: {}", ply.len())]);
    assert!(ply.starts_with(b"ply\nformat binary_little_endian"));
    let (_, cameras) = get(address, "/cameras.json");
    let cameras: serde_json::Value = serde_json::from_slice(&cameras).unwrap();
    assert_eq!(cameras.as_array().unwrap().len(), 8, "a scene without cameras gets some");
    says(&get(address, "/../Cargo.toml").0, &["404"]);
}

#[test]
fn an_exported_page_holds_the_scene() {
    let sandbox = with_scene();
    for args in [["view", "out", "--export", "scene.html"].as_slice(), &["convert", "out", "scene.html"]] {
        if !splat_server::page::has_viewer() {
            says(&sandbox.fails(2, args), &["without its 3-D viewer"]);
            continue;
        }
        says(&sandbox.ok(args).stdout, &["scene.html", "2 Gaussians"]);
        let html = std::fs::read_to_string(sandbox.path("scene.html")).unwrap();
        // A zip, in base64.
        says(&html, &["<title>out</title>", "data-name=\"scene.sog\">UEsDB"]);
        std::fs::remove_file(sandbox.path("scene.html")).unwrap();
    }
}
