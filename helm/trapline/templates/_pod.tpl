{{- /* What all pods have. Each takes a dict of root, component, and pod, the section of the component. */ -}}

{{- /* Without versions: a chart that changes nothing of the pods restarts none. */ -}}
{{- define "trapline.podLabels" -}}
{{ include "trapline.selectorLabels" . }}
{{- with .pod.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Another version of a Secret gives other pods. Its content is no part of it: who sees pods may not see that. */ -}}
{{- define "trapline.podAnnotations" -}}
{{- $given := dict "root" .root "secrets" .pod.secrets -}}
{{- $names := list -}}
{{- if include "trapline.usesSasl" $given -}}
{{- $names = append $names (include "trapline.saslSecret" $given) -}}
{{- end -}}
{{- if include "trapline.usesTlsSecret" $given -}}
{{- $names = append $names (include "trapline.tlsSecret" $given) -}}
{{- end -}}
{{- $versions := list -}}
{{- range $names -}}
{{- $secret := lookup "v1" "Secret" $.root.Release.Namespace . -}}
{{- $version := "" -}}
{{- with $secret -}}{{- $version = printf "%s/%s" .metadata.uid .metadata.resourceVersion -}}{{- end -}}
{{- $versions = append $versions (printf "%s=%s" . $version) -}}
{{- end -}}
{{- if $versions }}
checksum/secrets: {{ join "," $versions | sha256sum }}
{{- end }}
{{- with .pod.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "trapline.podSpec" -}}
automountServiceAccountToken: false
# A Service called trapline-... would otherwise put variables TRAPLINE_... here, which are no settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ include "trapline.text" .root.Values.podSecurity.runAsUser }}
  runAsGroup: {{ include "trapline.text" .root.Values.podSecurity.runAsGroup }}
  fsGroup: {{ include "trapline.text" .root.Values.podSecurity.runAsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.topologySpread }}
{{- if .enabled }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ .topologyKey }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    labelSelector:
      matchLabels:
{{- include "trapline.selectorLabels" $ | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "trapline.container" -}}
image: {{ include "trapline.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  readOnlyRootFilesystem: true
resources:
{{- toYaml .pod.resources | nindent 2 }}
{{- end -}}

{{- define "trapline.probes" -}}
# A start may read a large spool before it answers.
startupProbe:
  httpGet:
    path: /livez
    port: metrics
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet:
    path: /livez
    port: metrics
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /readyz
    port: metrics
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{- define "trapline.volumes" -}}
{{- $given := dict "root" .root "secrets" .pod.secrets -}}
{{- $kafka := .root.Values.kafka -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if include "trapline.usesSasl" $given }}
- name: sasl
  secret:
    secretName: {{ include "trapline.saslSecret" $given }}
    defaultMode: 0440
    items:
      - key: {{ ternary $kafka.sasl.clientSecretKey $kafka.sasl.passwordKey (eq $kafka.sasl.mechanism "OAUTHBEARER") }}
        path: secret
{{- if and $kafka.sasl.caKey (eq $kafka.sasl.mechanism "OAUTHBEARER") }}
      - key: {{ $kafka.sasl.caKey }}
        path: ca.crt
{{- end }}
{{- end }}
{{- if include "trapline.usesTlsSecret" $given }}
- name: tls
  secret:
    secretName: {{ include "trapline.tlsSecret" $given }}
    defaultMode: 0440
    items:
{{- with $kafka.tls.caKey }}
      - key: {{ . }}
        path: ca.crt
{{- end }}
{{- if $kafka.tls.clientCertificate }}
      - key: {{ $kafka.tls.certificateKey }}
        path: tls.crt
      - key: {{ $kafka.tls.privateKeyKey }}
        path: tls.key
{{- with $kafka.tls.keyPasswordKey }}
      - key: {{ . }}
        path: password
{{- end }}
{{- end }}
{{- end }}
{{- with .pod.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "trapline.volumeMounts" -}}
{{- $given := dict "root" .root "secrets" .pod.secrets -}}
- name: tmp
  mountPath: /tmp
{{- if include "trapline.usesSasl" $given }}
- name: sasl
  mountPath: /etc/trapline/sasl
  readOnly: true
{{- end }}
{{- if include "trapline.usesTlsSecret" $given }}
- name: tls
  mountPath: /etc/trapline/tls
  readOnly: true
{{- end }}
{{- with .pod.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
