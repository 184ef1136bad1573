//! What an operator is told of a file before anything is done, and what a run leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use locum::sandbox::Behaviour;

use super::{accounts, import, is_current, lab, results, slots, times, write, write_csv};
use crate::support::Lab;

async fn nothing_happened(lab: &Lab, address: &str) {
    let found = lab.directory.latest_account(address).await.unwrap().unwrap();
    assert!(found.record.credentials.values().all(|slots| slots.history.is_empty()));
    assert!(lab.gmail.logins().is_empty(), "{:?}", lab.gmail.logins());
    assert!(!lab.path("new.csv.result.csv").exists());
}

#[tokio::test]
async fn a_file_with_a_bad_line_is_refused_whole_and_never_quoted() {
    let lab = lab().await;
    let address = lab.alice.address.clone();
    write(&lab, "new.csv", &format!("account,secret\n{address},canary-1\n,canary-2\n{address},canary-3\nx;canary-4\n"));
    let run = import(&lab, &["new.csv"]).await.ended(65).said("new.csv:3: it names no account");
    let run = run.said("new.csv:4: its account stands in line 2, too").said("new.csv:5: the app password is empty");
    let run = run.said("3 lines that cannot be used; nothing was done");
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("canary"));

    fs::set_permissions(lab.path("new.csv"), fs::Permissions::from_mode(0o640)).unwrap();
    import(&lab, &["new.csv"]).await.ended(77).said("chmod 600 new.csv");
    import(&lab, &["none.csv"]).await.ended(66).said("cannot read none.csv");
    import(&lab, &["-"]).await.ended(64).said("--result FILE");

    // The columns the wrong way round: what are taken for accounts are secrets.
    write(&lab, "turned.csv", &format!("secret,account\n{address},canary-1\n"));
    let run = import(&lab, &["turned.csv"]).await.ended(65).said("none of its accounts (1) is there");
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("canary"));
    nothing_happened(&lab, &address).await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let lab = lab().await;
    let (alice, scanner) = (lab.alice.clone(), lab.scanner.clone());
    let text = format!(
        "account,secret,upstream\n{},new-1,gmail\nnobody@x.test,new-2,\n{},{},\n",
        alice.address, scanner.address, scanner.app_password
    );
    write(&lab, "new.csv", &text);
    let run = import(&lab, &["new.csv", "--dry-run"]).await.ended(79);
    let run = run.said("3 rows: 1 would be rotated (1 at gmail); 1 already, 1 missing").said("nothing was done");
    let run = run.said("line 3: nobody@x.test: missing: there is no account nobody@x.test");
    assert!(!run.stdout.contains("new-"), "a secret was said");
    write(&lab, "new.csv", &text.replace(",gmail", ",exchange-online"));
    let run = import(&lab, &["new.csv", "--dry-run"]).await.ended(79);
    run.said("unusable: the account is at gmail, and the row says exchange-online");
    nothing_happened(&lab, &alice.address).await;
}

#[tokio::test]
async fn a_second_file_in_the_overlap_waits_and_the_same_file_has_nothing_to_do() {
    let lab = lab().await;
    let mut turned = accounts(&lab, 3, |number| number != 2).await;
    write_csv(&lab, &turned);
    let run = import(&lab, &["new.csv", "--protocol", "submission"]).await.ended(79);
    run.said("3 rows: 2 rotated, 1 refused").said("2 of 3 rotated, 1 not").said("scanner-0@mail.test: lab (");
    // The refused one, again: its secret is found wrong again. The others are as they were.
    let run = import(&lab, &["new.csv", "--protocol", "submission"]).await.ended(79);
    run.said("3 rows: 2 already, 1 refused");
    assert_eq!(times(&slots(&lab, &turned[0].actor).await, "promoted"), 1);

    turned.truncate(2);
    turned.iter_mut().for_each(|it| it.new = it.new.replace("new", "newer"));
    write_csv(&lab, &turned);
    let run = import(&lab, &["new.csv"]).await.ended(75);
    run.said("overlap: the one before may be used until");
    let first = slots(&lab, &turned[0].actor).await;
    assert!(is_current(&first, "new-00000") && first.next.is_none());
    assert_eq!(results(&lab)["scanner-0@mail.test"][0], "overlap");
}

#[tokio::test]
async fn a_result_takes_the_place_of_a_result_and_of_nothing_else() {
    let lab = lab().await;
    let turned = accounts(&lab, 1, |_| true).await;
    write_csv(&lab, &turned);
    let arguments = ["new.csv", "--protocol", "submission", "--result"];
    let with = |name: &'static str| [arguments.as_slice(), &[name]].concat();
    import(&lab, &with("new.csv")).await.ended(73).said("it is the file that is imported");
    write(&lab, "mine.txt", "a letter\n");
    import(&lab, &with("mine.txt")).await.ended(73).said("there is another file");
    assert_eq!(fs::read_to_string(lab.path("mine.txt")).unwrap(), "a letter\n");
    assert!(lab.gmail.logins().is_empty());
    for said in ["1 rows: 1 rotated", "1 rows: 1 already"] {
        import(&lab, &with("out.csv")).await.ended(0).said(said);
        let text = fs::read_to_string(lab.path("out.csv")).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains("new-00000"), "{text}");
    }
    assert_eq!(fs::metadata(lab.path("out.csv")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_provider_that_gives_no_verdict_leaves_it_staged_and_clients_alone() {
    let lab = lab().await;
    let turned = accounts(&lab, 1, |_| true).await;
    let address = &turned[0].actor.address;
    lab.gmail.sandbox.set_behaviour(address, Behaviour::ServerUnavailable);
    write_csv(&lab, &turned);
    write(&lab, "locum.toml", &lab.toml().replace("second-look = \"1s\"", "second-look = \"1s\"\npatience = \"0s\""));
    let arguments = ["new.csv", "--protocol", "submission"];
    import(&lab, &arguments).await.ended(75).said("unverified: it could not be verified: submission");
    let staged = slots(&lab, &turned[0].actor).await;
    assert!(is_current(&staged, "old-00000") && staged.next.is_some());
    lab.gmail.sandbox.set_behaviour(address, Behaviour::Normal);
    import(&lab, &["new.csv", "--dry-run"]).await.ended(0).said("1 of them begun before");
    import(&lab, &arguments).await.ended(0).said("1 rows: 1 rotated");
    let rotated = slots(&lab, &turned[0].actor).await;
    assert_eq!((is_current(&rotated, "new-00000"), times(&rotated, "staged")), (true, 1));
    assert_eq!(results(&lab)[address][2], staged.next.unwrap().credential.id);
}
