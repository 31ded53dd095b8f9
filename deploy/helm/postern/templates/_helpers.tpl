{{- define "postern.selector" -}}
app.kubernetes.io/name: {{ .Values.name | toYaml }}
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{- define "postern.labels" -}}
{{- $ours := dict
  "app.kubernetes.io/name" .Values.name
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/component" "injector"
  "app.kubernetes.io/part-of" "postern"
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_"))
-}}
{{- merge $ours .Values.labels | toYaml }}
{{- end }}

{{- /* What stands in every `metadata` but the name of an object in a namespace. */ -}}
{{- define "postern.metadata" -}}
name: {{ .Values.name | toYaml }}
namespace: {{ .Release.Namespace | toYaml }}
labels: {{- include "postern.labels" . | nindent 2 }}
{{- end }}

{{- define "postern.clusterMetadata" -}}
name: {{ .Values.name | toYaml }}
labels: {{- include "postern.labels" . | nindent 2 }}
{{- end }}

{{- /* Of a dict with `image` and `root`: the digest where there is one. */ -}}
{{- define "postern.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* The Secret with tls.crt and tls.key, whoever keeps it. */ -}}
{{- define "postern.tlsSecret" -}}
{{- if eq .Values.certificate.mode "given" }}{{ .Values.certificate.given.secret }}{{ else }}{{ .Values.name }}-tls{{ end }}
{{- end }}

{{- /* The settings of the injector: those that follow from what is installed, and `config`. */ -}}
{{- define "postern.settings" -}}
{{- $settings := dict
  "namespace" .Release.Namespace
  "image" (include "postern.image" (dict "image" .Values.image "root" .))
  "captureImage" (include "postern.image" (dict "image" .Values.captureImage "root" .))
  "pullPolicy" .Values.pullPolicy
  "listen" (printf "%s:%d" .Values.address (int .Values.ports.webhook))
  "metrics" (printf "%s:%d" .Values.address (int .Values.ports.metrics))
-}}
{{- if eq .Values.certificate.mode "self-signed" }}
{{- $_ := set $settings "certificate" (merge (dict
  "source" "self-signed"
  "service" .Values.name
  "secret" (include "postern.tlsSecret" .)
  "lease" .Values.name
  "configurations" (dict "mutating" .Values.name "validating" .Values.name)
) .Values.certificate.selfSigned) }}
{{- else }}
{{- $_ := set $settings "certificate" (dict
  "source" "files"
  "certificate" "/etc/postern-injector-tls/tls.crt"
  "key" "/etc/postern-injector-tls/tls.key"
) }}
{{- end }}
{{- merge $settings .Values.config | toYaml }}
{{- end }}

{{- /* Of a dict with `path` and `root`: how the API server asks, and for which namespaces. It fails closed. */ -}}
{{- define "postern.webhook" -}}
admissionReviewVersions: [v1]
sideEffects: None
failurePolicy: Fail
timeoutSeconds: 5
clientConfig:
  service:
    name: {{ .root.Values.name | toYaml }}
    namespace: {{ .root.Release.Namespace | toYaml }}
    path: {{ .path }}
    port: 443
  {{- with .root.Values.certificate }}
  {{- if eq .mode "given" }}
  caBundle: {{ .given.caBundle | b64enc }}
  {{- end }}
  {{- end }}
namespaceSelector:
  matchExpressions:
    - key: postern.dev/inject
      operator: In
      values: [enabled]
    # Its own namespace would wait for itself.
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{- concat (list .root.Release.Namespace) .root.Values.config.excludedNamespaces | uniq | toYaml | nindent 8 }}
{{- end }}

{{- /* Of both configurations: pods as they are created, and containers that join them. */ -}}
{{- define "postern.podRules" -}}
rules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE]
    resources: [pods]
    scope: Namespaced
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [UPDATE]
    resources: [pods/ephemeralcontainers]
    scope: Namespaced
{{- end }}

{{- define "postern.webhookConfigurationMetadata" -}}
{{ include "postern.clusterMetadata" . }}
{{- if eq .Values.certificate.mode "cert-manager" }}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "postern.tlsSecret" . }}
{{- end }}
{{- end }}
