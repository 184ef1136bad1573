//! stub
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Run once
    #[arg(long)]
    once: bool,
}
pub(super) async fn run(_a: &Arguments) -> anyhow::Result<()> {
    Ok(())
}
