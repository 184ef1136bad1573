//! nginx's mail proxy, as its documentation sets it up, with one worker. It speaks no TLS to upstreams, so it does half of
//! the work that all others do.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{PLACES, Process, command, nowhere};
use crate::load::clients::Doors;
use crate::openbao::child::{Server, free_port};
use crate::upstream::Ports;

const MODULE: &str = "/usr/lib/nginx/modules/ngx_mail_module.so";

/// Why it cannot be measured.
pub(super) fn missing() -> Option<String> {
    let is_there = Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok_and(|it| it.success());
    (!is_there || !Path::new(MODULE).is_file())
        .then(|| "there is no nginx with its mail proxy: apt-get install nginx-light libnginx-mod-mail".to_owned())
}

pub(super) fn start(folder: &Path, upstream: Ports) -> (Process, Doors) {
    let doors = Doors {
        imaps: free_port(),
        pop3s: free_port(),
        submission: free_port(),
        submissions: free_port(),
        ..nowhere()
    };
    let home = folder.join("nginx");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("nginx.conf"), configuration(folder, &doors, upstream)).unwrap();
    let log = home.join("error.log");
    let output = fs::File::create(home.join("nginx.out")).unwrap();
    let mut command = command("nginx");
    command.arg("-p").arg(&home).arg("-c").arg("nginx.conf").arg("-e").arg(&log);
    command.stdout(output.try_clone().unwrap()).stderr(output);
    let mut server = Server::spawn("nginx", &mut command, vec![home.join("nginx.out"), log]);
    assert!(server.listens(&[doors.imaps, doors.pop3s, doors.submission, doors.submissions]), "nginx ended: {home:?}");
    (Process::Server(server), doors)
}

fn configuration(folder: &Path, doors: &Doors, upstream: Ports) -> String {
    let Doors { imaps, pop3s, submission, submissions, .. } = doors;
    let (folder, http) = (folder.display(), upstream.http);
    let connections = 2 * PLACES;
    format!(
        "load_module {MODULE};
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile {connections};
pid nginx.pid;
error_log error.log error;
events {{ worker_connections {connections}; }}
mail {{
    auth_http 127.0.0.1:{http}/auth;
    ssl_certificate {folder}/tls.crt;
    ssl_certificate_key {folder}/tls.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:mail:10m;
    proxy_pass_error_message on;
    proxy_smtp_auth on;
    xclient off;
    timeout 30m;
    proxy_timeout 30m;
    imap_capabilities IMAP4rev1 IDLE LITERAL+;
    smtp_auth plain login;
    smtp_capabilities 8BITMIME PIPELINING \"SIZE 104857600\";
    server {{ listen 127.0.0.1:{imaps} ssl backlog=4096; protocol imap; }}
    server {{ listen 127.0.0.1:{pop3s} ssl backlog=4096; protocol pop3; pop3_auth plain; }}
    server {{ listen 127.0.0.1:{submissions} ssl backlog=4096; protocol smtp; server_name localhost; }}
    server {{ listen 127.0.0.1:{submission} backlog=4096; protocol smtp; starttls only; server_name localhost; }}
}}
"
    )
}
