{{- define "hashmatch.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "hashmatch.selector" -}}
app.kubernetes.io/name: hashmatch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hashmatch.labels" -}}
{{ include "hashmatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "hashmatch.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What the schema cannot say: values that contradict each other. */}}
{{- define "hashmatch.check" -}}
{{- if and (not .Values.allowInsecureRemote) (not (and .Values.tls.secretName .Values.access.keysSecret.name)) -}}
{{- fail "who may call? set tls.secretName and access.keysSecret.name, or allowInsecureRemote where something else ends TLS and knows the callers" -}}
{{- end -}}
{{- if and .Values.tls.secretName (not .Values.tls.name) -}}
{{- fail "tls.name: the probes need a name that is in the certificate" -}}
{{- end -}}
{{- if and .Values.tls.clientCaSecret (not .Values.tls.secretName) -}}
{{- fail "tls.clientCaSecret: callers show certificates to a service that has one: set tls.secretName" -}}
{{- end -}}
{{- if and .Values.tls.clientCaSecret (not .Values.tls.probeSecret) -}}
{{- fail "tls.probeSecret: with tls.clientCaSecret the probes need a certificate, too" -}}
{{- end -}}
{{- if and (not .Values.catalog.url) (or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled) -}}
{{- fail "replicas share a catalog: set catalog.url" -}}
{{- end -}}
{{- if and .Values.catalog.url (or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled) (not .Values.receipts.keySecret.name) -}}
{{- fail "receipts.keySecret.name: replicas need one key, or a case can only be opened where the picture was sent" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- fail "autoscaling.maxReplicas is less than autoscaling.minReplicas" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled without metrics.enabled" -}}
{{- end -}}
{{- if and .Values.autoscaling.queueImages (not .Values.metrics.enabled) -}}
{{- fail "autoscaling.queueImages without metrics.enabled" -}}
{{- end -}}
{{- if and (or .Values.metrics.serviceMonitor.enabled .Values.autoscaling.queueImages) .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) -}}
{{- fail "networkPolicy.metricsFrom: nobody could read the metrics that metrics.serviceMonitor or autoscaling.queueImages needs" -}}
{{- end -}}
{{- $last := add .Values.metrics.port (sub (int .Values.processes) 1) -}}
{{- if and .Values.metrics.enabled (or (gt (int $last) 65535) (and (le (int .Values.metrics.port) 50051) (ge (int $last) 50051))) -}}
{{- fail (printf "metrics.port: the pages of %d processes would be on ports %d to %d; 50051 is taken, and 65535 is the last" (int .Values.processes) (int .Values.metrics.port) (int $last)) -}}
{{- end -}}
{{- if regexMatch "(?m)^\\s*processes\\s*=" .Values.config -}}
{{- fail "config: set the value processes instead of server.processes, since the ports of metrics depend on it" -}}
{{- end -}}
{{- end -}}

{{/* What the port of one process's page of metrics is called. */}}
{{- define "hashmatch.page" -}}
metrics{{ if . }}-{{ . }}{{ end }}
{{- end -}}

{{/* One probe: the kubelet speaks gRPC itself, but not TLS. */}}
{{- define "hashmatch.probe" -}}
{{- if .root.Values.tls.secretName }}
exec:
  command: [python, /opt/hashmatch/ready.py, "127.0.0.1:50051"]
{{- else }}
grpc:
  port: 50051
  service: {{ .service | quote }}
{{- end }}
{{- end -}}
