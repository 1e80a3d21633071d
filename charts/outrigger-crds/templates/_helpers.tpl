{{/* Labels and annotations of a CRD. */}}
{{- define "outrigger-crds.metadata" -}}
labels:
  {{- $labels := dict
    "app.kubernetes.io/name" "outrigger-crds"
    "app.kubernetes.io/instance" .Release.Name
    "app.kubernetes.io/version" .Chart.AppVersion
    "app.kubernetes.io/component" "crds"
    "app.kubernetes.io/part-of" "outrigger"
    "app.kubernetes.io/managed-by" .Release.Service
    "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
  {{- toYaml (merge $labels .Values.labels) | nindent 2 }}
{{- $annotations := dict }}
{{- if .Values.keep }}{{ $_ := set $annotations "helm.sh/resource-policy" "keep" }}{{ end }}
{{- with merge $annotations .Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
