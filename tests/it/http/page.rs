//! The page at `/`.

use reqwest::StatusCode;

use crate::harness::Server;

#[tokio::test]
async fn the_page_shows_itself_without_a_script() {
    let server = Server::start();
    let answer = server.get("/").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    let page = answer.text().await.unwrap();
    assert!(!page.contains("<script") && !page.contains(" onclick") && !page.contains(" style="));

    // What the page refers to is there: its style, and what it links to.
    let links: Vec<_> = ["href=\"/", "src=\"/"]
        .iter()
        .flat_map(|start| page.split(start).skip(1))
        .map(|rest| format!("/{}", rest.split('"').next().unwrap()))
        .collect();
    assert!(links.contains(&"/page.css".to_owned()), "{links:?}");
    for link in links {
        assert_eq!(server.get(&link).await.status(), StatusCode::OK, "{link}");
    }
    let style = server.get("/page.css").await;
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
    assert!(style.text().await.unwrap().contains("body {"));
}
