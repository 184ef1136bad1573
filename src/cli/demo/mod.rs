//! `locum demo`: Locum at work on this machine, against the look-alike provider, on the embedded store. It uses the same
//! configuration, records and process as `locum serve`; only the provider is played.

mod script;
mod stage;

use anyhow::{Result, anyhow};

use super::output;
use super::serve::{stop_signals, told_to_stop};
use crate::telemetry;
use stage::Stage;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Play a script instead: log in, list, fetch, send, see the mail arrive, see a wrong password refused; then end. The
    /// exit code says whether all went as it must.
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<()> {
    let log = telemetry::Options { log: "warn".to_owned(), ..telemetry::Options::default() };
    telemetry::start(&log, false)?; // the audit has a file here
    // Before anything is made, so that whoever is quick leaves nothing behind either.
    let mut stops = stop_signals()?;
    let stage = Stage::set().await?;
    if arguments.once {
        let played = tokio::select! {
            played = script::play(&stage) => played,
            () = told_to_stop(&mut stops) => Err(anyhow!("interrupted")),
        };
        stage.strike().await;
        played?;
        output::line("\nAll went as it must.");
    } else {
        explain(&stage);
        told_to_stop(&mut stops).await;
        stage.strike().await;
    }
    Ok(())
}

fn explain(stage: &Stage) {
    introduce(stage);
    let dir = stage.dir.path().display();
    let ports = &stage.ports;
    let (imap, pop3, submission) = (ports.imap, ports.pop3, ports.submission);
    let curl = format!("curl -sS --ssl-reqd --cacert {dir}/tls.crt --netrc-file {dir}");
    let (alice, scanner) = (&stage.alice.address, &stage.scanner.address);
    output::line(format!(
        "
Try it from another terminal; TLS begins by STARTTLS. Alice lists her folders, reads a message by IMAP and by POP3, and
sends one to herself; the scanner sends one through Exchange Online:

  {curl}/alice.netrc imap://localhost:{imap}/
  {curl}/alice.netrc 'imap://localhost:{imap}/INBOX;UID=1'
  {curl}/alice.netrc pop3://localhost:{pop3}/1
  printf 'Subject: hello\\r\\n\\r\\nThrough Locum.\\r\\n' | {curl}/alice.netrc --mail-from {alice} --mail-rcpt {alice} -T - smtp://localhost:{submission}
  printf 'Subject: scan\\r\\n\\r\\nPage 1\\r\\n' | {curl}/scanner.netrc --mail-from {scanner} --mail-rcpt {scanner} -T - smtp://localhost:{submission}

Who logged in, with which secret, and what went upstream:

  tail -f {dir}/audit.jsonl

Ctrl-C ends it and removes all that it made."
    ));
}

/// Who is on the stage, and their passwords: made a moment ago, and worth nothing outside it.
fn introduce(stage: &Stage) {
    output::line("Two look-alike providers run on this machine, and Locum stands in front of them.\n");
    for actor in [&stage.alice, &stage.scanner] {
        output::line(format!("  {} at {}", actor.address, actor.provider));
        output::line(format!("    the provider knows the app password  {}", actor.shown_app_password));
        output::line(format!("    the mail client logs in as           {}", actor.login));
        output::line(format!("    with its own password                {}", actor.client_secret_text()));
    }
}
