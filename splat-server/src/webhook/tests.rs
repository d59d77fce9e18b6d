use super::*;
use crate::queue::contract::{PLENTY, new_job};
use crate::queue::{ListQuery, SqliteQueue};

/// A worker that dies with the last lease of its job queues no webhook; still, every end is delivered once.
#[tokio::test]
async fn ends_that_nobody_told_of_are_caught_up_with() {
    let dir = tempfile::tempdir().unwrap();
    let queue = SqliteQueue::open(&dir.path().join("queue.db")).unwrap().with_grace(Duration::ZERO);
    let owner = Owner::local();
    let scene = |webhook: bool| NewJob {
        owner: owner.clone(),
        max_attempts: 1,
        spec: if webhook { json!({"options": {"webhook": "https://example.com/"}}) } else { json!({}) },
        ..new_job("a")
    };
    let deliveries = async || {
        let query = ListQuery { limit: 9, ..ListQuery::default() };
        queue.list(&[Owner("webhooks".into())], &query).await.unwrap().len()
    };
    queue.submit(scene(false), PLENTY).await.unwrap();
    let job = queue.submit(scene(true), PLENTY).await.unwrap().job;
    let lease = Duration::from_millis(50);
    for _ in 0..2 {
        queue.claim("dies", &[Lane::Scene], lease).await.unwrap().unwrap();
    }
    tokio::time::sleep(2 * lease).await;
    catch_up(&queue, 0..UnixMs::MAX).await.unwrap();
    assert_eq!(deliveries().await, 1);
    // Unreachable receivers delay only webhooks.
    assert!(queue.claim("gestures", &[Lane::Cpu], lease).await.unwrap().is_none());

    catch_up(&queue, 0..UnixMs::MAX).await.unwrap();
    enqueue(&queue, &queue.get(&owner, &job.id).await.unwrap().unwrap()).await;
    assert_eq!(deliveries().await, 1, "one end is reported once");

    for number in 2..4 {
        queue.retry(&owner, &job.id, scene(true).spec).await.unwrap().unwrap();
        // Two ends within the same millisecond would count as one.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let ended = queue.cancel(&owner, &job.id).await.unwrap().unwrap();
        enqueue(&queue, &ended).await;
        assert_eq!(deliveries().await, number, "the next end is another, though it was never begun");
    }
}

/// A job may have changed its owner by the time its webhook is delivered.
#[tokio::test]
async fn the_end_of_a_job_that_was_adopted_meanwhile_is_told() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", receiver.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let queue = SqliteQueue::open(&dir.path().join("queue.db")).unwrap();
    let spec = json!({"options": {"webhook": url}});
    let job = queue.submit(NewJob { spec, ..new_job("old") }, PLENTY).await.unwrap().job;
    let ended = queue.cancel(&job.owner, &job.id).await.unwrap().unwrap();
    enqueue(&queue, &ended).await;
    queue.adopt(&job.owner, &Owner("new".into())).await.unwrap();
    let lease = Duration::from_secs(60);
    let delivery = queue.claim("teller", &[Lane::Webhook], lease).await.unwrap().unwrap();
    let body = tokio::spawn(async move {
        let (mut stream, _) = receiver.accept().await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"}") {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "it says no more");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(bytes).unwrap()
    });
    let ending = Notifier::new("secret", "", true).unwrap().deliver(&queue, &delivery.job).await;
    assert!(matches!(ending, Ending::Succeeded { .. }), "{ending:?}");
    assert!(body.await.unwrap().contains(job.id.as_str()));
}

/// RFC 4231's second test case; our signature also covers the time and a dot before the body.
#[test]
fn signatures_are_hmac_sha256() {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
    mac.update(b"what do ya want for nothing?");
    let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hex::encode(mac.finalize().into_bytes()), known);
    assert_ne!(signature("a", 1, "x"), signature("a", 2, "x"));
    assert_ne!(signature("a", 1, "x"), signature("b", 1, "x"));
}
