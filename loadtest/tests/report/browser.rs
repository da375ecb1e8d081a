//! A page in Chromium, without a network, and what became of it.

use std::{path::Path, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{process::Command, time::timeout};

/// Watches from before the page's own scripts.
const WATCH: &str = r"<script>
  const errors = [];
  addEventListener('error', (event) => errors.push(event.message ?? 'a resource'), true);
  addEventListener('unhandledrejection', (event) => errors.push(String(event.reason)));
  addEventListener('securitypolicyviolation', (event) => errors.push(event.violatedDirective));
  console.error = (...texts) => errors.push(texts.join(' '));
</script>";

/// Looks for the colours of each plot's legend on its canvas.
const LOOK: &str = r"<script>
  addEventListener('load', () => setTimeout(() => {
    const plots = [...document.querySelectorAll('[data-plot]')].map((place) => {
      const canvas = place.querySelector('canvas');
      const pixels = canvas?.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      const series = [...place.querySelectorAll('.u-series')].slice(1).map((row) => {
        const colour = getComputedStyle(row.querySelector('.u-marker')).borderTopColor.match(/\d+/g).map(Number);
        let near = 0;
        for (let at = 0; at < pixels.length; at += 4) {
          const away = colour.reduce((sum, part, i) => sum + Math.abs(part - pixels[at + i]), 0);
          if (pixels[at + 3] > 60 && away < 24) near += 1;
        }
        return [row.textContent, near];
      });
      return { name: place.dataset.plot, series };
    });
    const look = {
      plots, errors,
      isHacked: 'hacked' in window,
      overflow: document.documentElement.scrollWidth - innerWidth,
    };
    const pre = document.createElement('pre');
    pre.id = 'look';
    pre.textContent = JSON.stringify(look).replace(/[^ -~]|[<>&]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
    document.body.append(pre);
  }));
</script>";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    pub plots: Vec<Plot>,
    pub errors: Vec<String>,
    pub is_hacked: bool,
    /// By how many pixels the page is wider than the window.
    pub overflow: i32,
}

#[derive(Debug, Deserialize)]
pub struct Plot {
    pub name: String,
    /// Each with how many pixels have its colour.
    pub series: Vec<(String, u32)>,
}

impl Look {
    /// Fails unless these plots are there, all of them drawn with all their series, and nothing went wrong.
    pub fn assert_drawn(&self, names: &[&str]) {
        assert_eq!(self.errors, Vec::<String>::new());
        assert!(!self.is_hacked, "a text ran as a script");
        assert!(self.overflow <= 0, "the page is {} pixels too wide", self.overflow);
        assert_eq!(self.plots.iter().map(|plot| plot.name.as_str()).collect::<Vec<_>>(), names);
        for plot in &self.plots {
            assert!(!plot.series.is_empty(), "{} has no series", plot.name);
            for (series, pixels) in &plot.series {
                assert!(*pixels > 20, "{} of {} has {pixels} pixels", series, plot.name);
            }
        }
    }
}

/// Opens a page in a window so wide, and looks.
pub async fn look(page: &str, folder: &Path, width: u32) -> Look {
    let watched = page.replacen("</title>", &format!("</title>{WATCH}"), 1);
    let watched = watched.replacen("</body>", &format!("{LOOK}</body>"), 1);
    let file = folder.join(format!("watched-{width}.html"));
    std::fs::write(&file, watched).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".into());
    let child = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_mins(2), child).await.expect("Chromium ends").unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let look = dom.split_once("<pre id=\"look\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (look, _) = look.unwrap_or_else(|| {
        panic!("nobody looked: {dom}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    serde_json::from_str(look).unwrap()
}
