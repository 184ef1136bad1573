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
{{- with .Values.limits }}
{{ . }}
{{- end }}

[admin]
bind = "127.0.0.1:9465"

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
