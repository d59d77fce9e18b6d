//! Webhooks: signatures, retries, and the rejection of private addresses unless allowed.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::harness::{PATIENCE, Service, form, id, stages_of, state};

const SECRET: &str = "a secret of more than thirty-two characters";

/// A delivery as received.
struct Delivery {
    signature: String,
    id: String,
    body: String,
}

impl Delivery {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Verifies the signature as a receiver does, from the header, the body and the secret.
    fn is_signed_with(&self, secret: &str) -> bool {
        let (time, tag) = self.signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.{}", self.body).as_bytes());
        mac.verify_slice(&hex::decode(tag).unwrap()).is_ok()
    }
}

/// A receiver that responds with these statuses in turn, then with 204; returns its port and its deliveries.
async fn receiver(answers: &'static [u16]) -> (u16, UnboundedReceiver<Delivery>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, deliveries) = unbounded_channel();
    tokio::spawn(async move {
        for status in answers.iter().copied().chain(std::iter::repeat(204)) {
            let (stream, _) = listener.accept().await.unwrap();
            if sender.send(answer(stream, status).await).is_err() {
                return;
            }
        }
    });
    (port, deliveries)
}

async fn answer(stream: TcpStream, status: u16) -> Delivery {
    let mut stream = BufReader::new(stream);
    let mut head = std::collections::BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        match line.trim().split_once(':') {
            Some((name, value)) => head.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None if line.trim().is_empty() => break,
            None => None,
        };
    }
    let mut body = vec![0; head["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    // The target of a redirect, which must not be followed.
    let text = format!(
        "HTTP/1.1 {status} x\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.get_mut().write_all(text.as_bytes()).await.unwrap();
    Delivery {
        signature: head["splat-signature"].clone(),
        id: head["splat-delivery"].clone(),
        body: String::from_utf8(body).unwrap(),
    }
}

async fn submit(service: &Service, url: &str) -> reqwest::Response {
    let form = form(3).text("test", stages_of(0).to_string()).text("webhook", url.to_owned());
    service.request("POST", "/v1/jobs").multipart(form).send().await.unwrap()
}

async fn next(deliveries: &mut UnboundedReceiver<Delivery>) -> Delivery {
    tokio::time::timeout(PATIENCE, deliveries.recv()).await.expect("a webhook comes").unwrap()
}

#[tokio::test]
async fn a_webhook_is_signed_and_tried_again_until_it_is_taken() {
    let service = Service::start(&["--webhooks", "--webhook-secret", SECRET, "--webhook-allow-private"]);
    let (port, mut deliveries) = receiver(&[500, 302]).await;
    let job = submit(&service, &format!("http://localhost:{port}/hook")).await;
    assert_eq!(job.status(), StatusCode::ACCEPTED);
    let job = id(&job.json().await.unwrap());
    let first = next(&mut deliveries).await;
    assert!(first.is_signed_with(SECRET), "{}", first.signature);
    assert!(!first.is_signed_with("another secret of thirty-two characters"));
    let body = first.json();
    assert_eq!((&body["event"], &body["state"]), (&json!("job.ended"), &json!("succeeded")), "{body:#}");
    assert_eq!((&body["id"], &body["url"]), (&json!(job), &json!(format!("/v1/jobs/{job}"))));
    // An error status and a redirect both count as failures.
    for _ in 0..2 {
        let again = next(&mut deliveries).await;
        assert_eq!((&again.id, &again.body), (&first.id, &first.body));
        assert!(again.is_signed_with(SECRET));
    }
    let more = tokio::time::timeout(Duration::from_secs(2), deliveries.recv()).await;
    assert!(more.is_err(), "it was taken, and came again");
    // The end of a repeated job is a new delivery.
    service.request("POST", &format!("/v1/jobs/{job}/retry")).send().await.unwrap();
    let second = next(&mut deliveries).await;
    assert_ne!(second.id, first.id);
    assert_eq!(second.json()["id"], job.as_str());
}

#[tokio::test]
async fn a_webhook_names_the_job_by_its_public_address() {
    let public = "https://splat.example.com/3d";
    let options = [
        "--webhooks",
        "--webhook-secret",
        SECRET,
        "--webhook-allow-private",
        "--public-url",
        public,
        "--allow-anonymous",
    ];
    let service = Service::start(&options);
    let (port, mut deliveries) = receiver(&[]).await;
    let job = submit(&service, &format!("http://127.0.0.1:{port}/hook")).await;
    let job = id(&job.json().await.unwrap());
    assert_eq!(next(&mut deliveries).await.json()["url"], format!("{public}/v1/jobs/{job}"));
}

#[tokio::test]
async fn a_webhook_does_not_reach_into_the_network() {
    let service = Service::start(&["--webhooks", "--webhook-secret", SECRET]);
    let (port, mut deliveries) = receiver(&[]).await;
    for host in ["127.0.0.1", "2130706433", "[::1]", "169.254.169.254"] {
        let refused = submit(&service, &format!("http://{host}:{port}/")).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{host}");
        assert!(refused.text().await.unwrap().contains("private or local"), "{host}");
    }
    // A host name is checked when it is resolved, at delivery.
    let job = submit(&service, &format!("http://localhost:{port}/")).await;
    assert_eq!(job.status(), StatusCode::ACCEPTED);
    let job = service.ended(&id(&job.json().await.unwrap())).await;
    assert_eq!(state(&job), "succeeded");
    let reached = tokio::time::timeout(Duration::from_secs(3), deliveries.recv()).await;
    assert!(reached.is_err(), "a receiver on loopback was reached through a name");
}

#[tokio::test]
async fn webhooks_are_off_unless_turned_on() {
    let refused = submit(&Service::start(&[]), "https://hooks.example.com/").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_webhook_left_over_when_they_are_turned_off_waits_quietly() {
    let mut service = Service::start(&["--webhooks", "--webhook-secret", SECRET, "--webhook-allow-private"]);
    // Bound but not listening: connections are refused, and no other test can get the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = socket.local_addr().unwrap();
    let job = submit(&service, &format!("http://{nobody}/")).await;
    service.ended(&id(&job.json().await.unwrap())).await;
    service.kill();
    service.set_options(&[]);
    service.restart();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let metrics = service.get("/metrics").await.text().await.unwrap();
    let attempts = metrics.lines().find_map(|line| line.strip_prefix("splat_job_attempts_total ")).unwrap();
    assert!(attempts.parse::<u32>().unwrap() < 5, "claimed and given back without end: {attempts} times");
    assert!(metrics.contains("splat_jobs{lane=\"webhook\",state=\"queued\"} 1"), "{metrics}");
}
