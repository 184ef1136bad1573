{{- define "locum.name" -}}
{{- if contains "locum" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-locum" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "locum.selector" -}}
app.kubernetes.io/name: locum
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "locum.labels" -}}
{{ include "locum.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "locum.account" -}}
{{ .Values.serviceAccount.name | default (include "locum.name" .) }}
{{- end }}

{{- define "locum.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Where the certificate and its key are found within. */ -}}
{{- define "locum.tlsFolder" -}}
{{ if eq .Values.tls.from "vault-agent" }}/vault/secrets{{ else }}/etc/locum/tls{{ end }}
{{- end }}

{{- define "locum.toml" -}}
name = {{ .Values.name | toJson }}

[store]
{{- if eq .Values.store.kind "vault" }}
kind = "vault"
address = {{ .Values.store.vault.address | toJson }}
mount = {{ .Values.store.vault.mount | toJson }}
{{- if .Values.store.vault.caSecret }}
ca-file = "/etc/locum/vault/ca.crt"
{{- end }}

[store.login]
method = "kubernetes"
mount = {{ .Values.store.vault.loginMount | toJson }}
role = {{ .Values.store.vault.role | toJson }}
{{- else }}
kind = "sqlite"
path = "/var/lib/locum/locum.db"
key-credential = "locum.key"
{{- end }}

[tls]
certificate = "{{ include "locum.tlsFolder" . }}/tls.crt"
key = "{{ include "locum.tlsFolder" . }}/tls.key"

[limits]
drain-timeout = "{{ .Values.drain.seconds }}s"

[admin]
socket = "/run/locum/admin.sock"
{{- if .Values.metrics.enabled }}
bind = ["0.0.0.0:{{ .Values.metrics.port }}", "[::]:{{ .Values.metrics.port }}"]
tls = true
{{- end }}

{{ range .Values.listeners }}
[[listener]]
name = {{ .name | toJson }}
protocol = {{ .protocol | toJson }}
tls = {{ .tls | toJson }}
bind = ["0.0.0.0:{{ .containerPort }}", "[::]:{{ .containerPort }}"]
{{- if $.Values.proxyProtocolFrom }}
proxy-protocol-from = {{ $.Values.proxyProtocolFrom | toJson }}
{{- end }}
{{- with .config }}
{{ . }}
{{- end }}
{{ end }}
{{ .Values.config }}
{{- end }}

{{- /* What both containers have: no right that they do not need, and the files that they do. */ -}}
{{- define "locum.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - {name: LOCUM_CONFIG, value: /etc/locum/config/locum.toml}
  {{- if eq .Values.store.kind "sqlite" }}
  - {name: CREDENTIALS_DIRECTORY, value: /etc/locum/credentials}
  {{- end }}
volumeMounts:
  - {name: config, mountPath: /etc/locum/config, readOnly: true}
  - {name: run, mountPath: /run/locum}
  - {name: tmp, mountPath: /tmp}
  {{- if ne .Values.tls.from "vault-agent" }}
  - {name: tls, mountPath: /etc/locum/tls, readOnly: true}
  {{- end }}
  {{- if eq .Values.store.kind "vault" }}
  - {name: vault-login, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
  {{- if .Values.store.vault.caSecret }}
  - {name: vault-ca, mountPath: /etc/locum/vault, readOnly: true}
  {{- end }}
  {{- else }}
  - {name: credentials, mountPath: /etc/locum/credentials, readOnly: true}
  - {name: store, mountPath: /var/lib/locum}
  {{- end }}
{{- end }}
