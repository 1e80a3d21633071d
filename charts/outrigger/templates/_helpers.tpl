{{/* Name of the control plane's objects: one for each revision. */}}
{{- define "outrigger.fullname" -}}
{{- $base := default "outrigger-control-plane" .Values.fullnameOverride -}}
{{- if eq .Values.revision "default" }}{{ $base }}{{ else }}{{ printf "%s-%s" $base .Values.revision }}{{ end -}}
{{- end }}

{{/* Name of what belongs to no namespace: the same release name may be used in another one. */}}
{{- define "outrigger.clusterName" -}}
{{ include "outrigger.fullname" . }}-{{ .Release.Namespace }}
{{- end }}

{{- define "outrigger.serviceAccountName" -}}
{{- if .Values.serviceAccount.name }}{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}{{ include "outrigger.fullname" . }}
{{- else }}default{{ end }}
{{- end }}

{{/* What chooses the control plane's pods: never changes in a release's life. */}}
{{- define "outrigger.selectorLabels" -}}
app.kubernetes.io/name: outrigger
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: control-plane
outrigger.dev/revision: {{ .Values.revision }}
{{- end }}

{{/* Labels of pods: no version of the chart, which would replace them where nothing of theirs has changed. */}}
{{- define "outrigger.podLabels" -}}
{{ include "outrigger.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: outrigger
# The control plane has no sidecar: a sidecar would wait for it.
sidecar.outrigger.dev/inject: "false"
{{- with merge (dict) .Values.podLabels .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "outrigger.labels" -}}
{{ include "outrigger.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: outrigger
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* `annotations:` of an object's metadata, or nothing. Takes a list: the root, then further annotations. */}}
{{- define "outrigger.annotations" -}}
{{- $all := merge (dict) (index . 1) (index . 0).Values.commonAnnotations }}
{{- with $all }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{- define "outrigger.image" -}}
{{- $image := .Values.image -}}
{{- $name := $image.repository -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $name }}{{ end -}}
{{- if $image.digest }}{{ $name }}@{{ $image.digest }}{{ else }}{{ $name }}:{{ default .Chart.AppVersion $image.tag }}{{ end -}}
{{- end }}

{{/* Where sidecars call the control plane. */}}
{{- define "outrigger.address" -}}
{{ include "outrigger.fullname" . }}.{{ .Release.Namespace }}.svc:{{ .Values.ports.xds }}
{{- end }}

{{/* Namespaces whose pods no webhook is asked about. */}}
{{- define "outrigger.ignoredNamespaces" -}}
{{ concat (list "kube-system" "kube-public" "kube-node-lease" .Release.Namespace) .Values.injector.ignoredNamespaces | uniq | toYaml }}
{{- end }}

{{/* What the injector is told of sidecars: the file that its ConfigMap holds. */}}
{{- define "outrigger.injectorSettings" -}}
{{- $requests := default dict .Values.injector.resources.requests }}
{{- $limits := default dict .Values.injector.resources.limits }}
{{- $resources := dict "cpuRequest" (get $requests "cpu") "cpuLimit" (get $limits "cpu")
  "memoryRequest" (get $requests "memory") "memoryLimit" (get $limits "memory") -}}
image: {{ default (include "outrigger.image" .) .Values.injector.image | quote }}
initImage: {{ with .Values.injector.initImage }}{{ . | quote }}{{ else }}null{{ end }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
controlPlane: {{ include "outrigger.address" . | quote }}
trustDomain: {{ .Values.trustDomain | quote }}
tokenAudience: {{ .Values.identity.tokenAudience | quote }}
tokenLifetimeS: {{ int64 .Values.injector.tokenLifetime }}
rootsConfigMap: {{ .Values.identity.rootsConfigMap | quote }}
rootsKey: root-cert.pem
interception: {{ .Values.injector.interception }}
resources:
  {{- range $name, $quantity := $resources }}
  {{ $name }}: {{ if $quantity }}{{ $quantity | quote }}{{ else }}null{{ end }}
  {{- end }}
concurrency: {{ int64 .Values.injector.concurrency }}
logLevel: {{ .Values.injector.logLevel | quote }}
drainTimeS: {{ int64 .Values.injector.drainTime }}
ignoredNamespaces:
  {{- include "outrigger.ignoredNamespaces" . | nindent 2 }}
{{- end }}
