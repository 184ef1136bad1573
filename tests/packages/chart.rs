//! What Helm makes of the chart, with several sets of values: that the linter and the schema take it, that what comes out
//! holds together, and that the configuration in it is one that Locum reads. No cluster is asked.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use locum::config::Config;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{cached, child, top};

/// What came of the chart.
#[derive(Debug, Deserialize)]
struct Rendered {
    lint: Vec<String>,
    error: Option<String>,
    notes: String,
    objects: Vec<Value>,
}

/// Sets of values that a site may have, by name.
fn sites() -> Vec<(&'static str, Value)> {
    vec![
        ("as it comes", json!({})),
        (
            "behind a balancer, watched, growing",
            json!({
                "proxyProtocolFrom": ["10.0.0.0/8"],
                "service": {"externalTrafficPolicy": "Cluster", "annotations": {"a/b": "c"}, "loadBalancerSourceRanges": ["192.0.2.0/24"]},
                "metrics": {"enabled": true, "serviceMonitor": true, "tokenSecret": "locum-viewer", "ruleGroups": [{"name": "locum", "rules": []}]},
                "autoscaling": {"enabled": true},
                "store": {"vault": {"caSecret": "vault-ca"}},
                "image": {"digest": format!("sha256:{}", "0a".repeat(32)), "pullSecrets": [{"name": "registry"}]},
                "podLabels": {"team": "mail"}, "podAnnotations": {"x": "y"}, "priorityClassName": "high",
                "nodeSelector": {"disk": "none"}, "tolerations": [{"operator": "Exists"}],
            }),
        ),
        ("its certificate by the agent", json!({"tls": {"from": "vault-agent"}, "networkPolicy": {"enabled": false}})),
        (
            "its certificate by CSI",
            json!({"tls": {"from": "csi", "csi": {"parameters": {"roleName": "locum"}}}, "serviceAccount": {"name": "mine"}}),
        ),
        (
            "one node with a sealed file",
            json!({
                "replicas": 1, "service": {"type": "ClusterIP"},
                "store": {"kind": "sqlite", "sqlite": {"keySecret": "locum-key", "storageClass": "fast"}},
                "listeners": [{"name": "scanners", "protocol": "submission", "tls": "none", "port": 25, "containerPort": 1025,
                    "config": "plaintext-networks = \"10.1.0.0/24\""}],
            }),
        ),
    ]
}

fn render(values: &Value) -> Rendered {
    let mut python = Command::new("/usr/bin/python3");
    python.arg(top().join("tests/packages/render.py")).arg(top().join("config/deploy/helm/locum"));
    python.env("PYTHONPATH", cached("charts-1")).env("PYTHONDONTWRITEBYTECODE", "1");
    let said = child::run_well(&mut python, values.to_string().as_bytes());
    serde_json::from_slice(&said).unwrap()
}

impl Rendered {
    fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.objects.iter().filter(|it| it["kind"] == kind).collect()
    }

    /// The pods that it makes.
    fn workload(&self) -> &Value {
        let found: Vec<_> = [self.of_kind("Deployment"), self.of_kind("StatefulSet")].concat();
        assert_eq!(found.len(), 1);
        found[0]
    }
}

#[test]
fn each_site_gets_objects_that_hold_together() {
    for (name, values) in sites() {
        let rendered = render(&values);
        assert_eq!(rendered.error, None, "{name}");
        let strange: Vec<_> = rendered.lint.iter().filter(|it| !it.contains("icon is recommended")).collect();
        assert!(strange.is_empty(), "{name}: {strange:?}");
        assert!(rendered.notes.starts_with("Locum runs as demo-locum."), "{name}: {}", rendered.notes);
        pods_have_no_right_that_they_do_not_need(name, &rendered);
        references_lead_somewhere(name, &rendered);
        the_end_has_its_time(name, &rendered);
        the_configuration_is_good(name, &rendered);
    }
}

fn pods_have_no_right_that_they_do_not_need(name: &str, rendered: &Rendered) {
    let pod = &rendered.workload()["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
    assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
    for of in ["containers", "initContainers"] {
        for container in pod[of].as_array().into_iter().flatten() {
            let rights = &container["securityContext"];
            assert_eq!(rights["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(rights["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(rights["capabilities"]["drop"], json!(["ALL"]), "{name}");
            // Every folder that is written to is a volume, and every mount is one that is there.
            let volumes = pod["volumes"].as_array().unwrap().iter();
            let claims = rendered.workload()["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
            let there: BTreeSet<_> = volumes
                .map(|it| &it["name"])
                .chain(claims.map(|it| &it["metadata"]["name"]))
                .map(Value::to_string)
                .collect();
            let used: BTreeSet<_> =
                container["volumeMounts"].as_array().unwrap().iter().map(|it| it["name"].to_string()).collect();
            assert_eq!(used, there, "{name}");
        }
    }
    let text = serde_json::to_string(&rendered.objects).unwrap();
    assert!(!text.contains("\"privileged\"") && !text.contains("\"hostNetwork\""), "{name}");
}

fn references_lead_somewhere(name: &str, rendered: &Rendered) {
    let workload = rendered.workload();
    let labels = &workload["spec"]["template"]["metadata"]["labels"];
    let fits = |selector: &Value| {
        let wanted = selector.as_object().unwrap();
        assert!(!wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value), "{name}: {selector}");
    };
    fits(&workload["spec"]["selector"]["matchLabels"]);
    let ports = workload["spec"]["template"]["spec"]["containers"][0]["ports"].as_array().unwrap();
    for service in rendered.of_kind("Service") {
        fits(&service["spec"]["selector"]);
        for port in service["spec"]["ports"].as_array().unwrap() {
            let target = &port["targetPort"];
            let is_there = ports.iter().any(|it| it["name"] == *target || it["containerPort"] == *target);
            let headless = service["spec"]["clusterIP"] == "None"; // a set of pods must have one, asked or not
            assert!(is_there || headless, "{name}: {port}");
        }
    }
    rendered.of_kind("PodDisruptionBudget").iter().for_each(|it| fits(&it["spec"]["selector"]["matchLabels"]));
    for policy in rendered.of_kind("NetworkPolicy") {
        fits(&policy["spec"]["podSelector"]["matchLabels"]);
        let open: Vec<_> = policy["spec"]["ingress"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|it| it["ports"].as_array().unwrap())
            .collect();
        assert!(ports.iter().all(|port| open.iter().any(|it| it["port"] == port["containerPort"])), "{name}");
    }
    for scaler in rendered.of_kind("HorizontalPodAutoscaler") {
        assert_eq!(scaler["spec"]["scaleTargetRef"]["name"], workload["metadata"]["name"]);
        assert_eq!(scaler["spec"]["scaleTargetRef"]["kind"], workload["kind"]);
        assert_eq!(workload["spec"]["replicas"], Value::Null, "both would set it");
    }
    let account = &workload["spec"]["template"]["spec"]["serviceAccountName"];
    let accounts = rendered.of_kind("ServiceAccount");
    assert!(*account == "mine" && accounts.is_empty() || accounts[0]["metadata"]["name"] == *account, "{name}");
}

/// The kubelet waits for as long as the pause before the drain and the drain may take.
fn the_end_has_its_time(name: &str, rendered: &Rendered) {
    let pod = &rendered.workload()["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    let drain = configuration(rendered).session.drain_timeout.as_secs();
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > pause + drain, "{name}");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["exec"]["command"][1], "health", "{name}: {probe}");
    }
}

fn configuration(rendered: &Rendered) -> Config {
    let text = rendered.of_kind("ConfigMap")[0]["data"]["locum.toml"].as_str().unwrap();
    Config::parse(text, Path::new("locum.toml")).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn the_configuration_is_good(name: &str, rendered: &Rendered) {
    let config = configuration(rendered);
    let container = &rendered.workload()["spec"]["template"]["spec"]["containers"][0];
    let ports: BTreeSet<_> =
        container["ports"].as_array().unwrap().iter().map(|it| it["containerPort"].as_u64()).collect();
    let bound = config.listeners.iter().flat_map(|it| &it.bind).chain(&config.admin.bind);
    let bound: BTreeSet<_> = bound.map(|address| Some(u64::from(address.port()))).collect();
    assert_eq!(ports, bound, "{name}");
    // The certificate is in a folder that is mounted, or that the agent mounts.
    let folder = config.tls.certificate.as_deref().and_then(Path::parent).unwrap().display().to_string();
    let mounts = container["volumeMounts"].as_array().unwrap();
    let by_agent = folder == "/vault/secrets"
        && rendered.workload()["spec"]["template"]["metadata"]["annotations"]["vault.hashicorp.com/agent-inject"]
            == "true";
    assert!(by_agent || mounts.iter().any(|it| it["mountPath"] == folder.as_str()), "{name}: {folder}");
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    for (values, why) in [
        (json!({"replica": 3}), "replica"),
        (json!({"store": {"vault": {"address": "http://vault:8200"}}}), "address"),
        (json!({"listeners": []}), "listeners"),
        (json!({"store": {"kind": "sqlite", "sqlite": {"keySecret": "key"}}}), "is for one node"),
        (json!({"replicas": 1, "store": {"kind": "sqlite"}}), "keySecret"),
        (json!({"metrics": {"serviceMonitor": true}}), "needs metrics.enabled"),
    ] {
        let error = render(&values).error.unwrap_or_else(|| panic!("{values} is taken"));
        assert!(error.contains(why), "{values}: {error}");
    }
}

#[test]
fn who_would_see_the_addresses_of_nodes_is_told() {
    let cluster = render(&json!({"service": {"externalTrafficPolicy": "Cluster"}}));
    assert!(cluster.notes.contains("NOTE: with externalTrafficPolicy Cluster"), "{}", cluster.notes);
    assert!(!render(&json!({})).notes.contains("NOTE"));
}
