{{- /* Variables. Each takes a dict of root and secrets, the section of a component. */ -}}

{{- define "trapline.saslSecret" -}}
{{- default .root.Values.kafka.sasl.existingSecret .secrets.sasl -}}
{{- end -}}

{{- define "trapline.tlsSecret" -}}
{{- default .root.Values.kafka.tls.existingSecret .secrets.tls -}}
{{- end -}}

{{- define "trapline.usesSasl" -}}
{{- if hasPrefix "sasl_" .root.Values.kafka.securityProtocol -}}yes{{- end -}}
{{- end -}}

{{- define "trapline.usesTlsSecret" -}}
{{- if and (hasSuffix "ssl" .root.Values.kafka.securityProtocol) (include "trapline.tlsSecret" .) -}}yes{{- end -}}
{{- end -}}

{{- define "trapline.kafkaEnvironment" -}}
{{- $kafka := .root.Values.kafka -}}
- name: TRAPLINE_BOOTSTRAP_SERVERS
  value: {{ $kafka.bootstrapServers | quote }}
- name: TRAPLINE_TOPIC_PREFIX
  value: {{ $kafka.topicPrefix | quote }}
- name: TRAPLINE_MAX_FRAME_BYTES
  value: {{ include "trapline.text" .root.Values.maxFrameBytes | quote }}
- name: TRAPLINE_SECURITY_PROTOCOL
  value: {{ $kafka.securityProtocol | quote }}
{{- if include "trapline.usesSasl" . }}
- name: TRAPLINE_SASL_MECHANISM
  value: {{ $kafka.sasl.mechanism | quote }}
{{- if eq $kafka.sasl.mechanism "OAUTHBEARER" }}
- name: TRAPLINE_SASL_OAUTH_TOKEN_URL
  value: {{ $kafka.sasl.tokenUrl | quote }}
- name: TRAPLINE_SASL_OAUTH_CLIENT_ID
  value: {{ $kafka.sasl.clientId | quote }}
- name: TRAPLINE_SASL_OAUTH_CLIENT_SECRET_FILE
  value: /etc/trapline/sasl/secret
{{- if $kafka.sasl.caKey }}
- name: TRAPLINE_SASL_OAUTH_CA_FILE
  value: /etc/trapline/sasl/ca.crt
{{- end }}
{{- with $kafka.sasl.scope }}
- name: TRAPLINE_SASL_OAUTH_SCOPE
  value: {{ . | quote }}
{{- end }}
{{- else }}
- name: TRAPLINE_SASL_USERNAME
  valueFrom:
    secretKeyRef:
      name: {{ include "trapline.saslSecret" . }}
      key: {{ $kafka.sasl.usernameKey }}
- name: TRAPLINE_SASL_PASSWORD_FILE
  value: /etc/trapline/sasl/secret
{{- end }}
{{- end }}
{{- if hasSuffix "ssl" $kafka.securityProtocol }}
- name: TRAPLINE_SSL_VERIFY_HOSTNAME
  value: {{ $kafka.tls.verifyHostname | quote }}
{{- if include "trapline.usesTlsSecret" . }}
{{- if $kafka.tls.caKey }}
- name: TRAPLINE_SSL_CA_FILE
  value: /etc/trapline/tls/ca.crt
{{- end }}
{{- if $kafka.tls.clientCertificate }}
- name: TRAPLINE_SSL_CERTIFICATE_FILE
  value: /etc/trapline/tls/tls.crt
- name: TRAPLINE_SSL_KEY_FILE
  value: /etc/trapline/tls/tls.key
{{- if $kafka.tls.keyPasswordKey }}
- name: TRAPLINE_SSL_KEY_PASSWORD_FILE
  value: /etc/trapline/tls/password
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "trapline.logEnvironment" -}}
- name: TRAPLINE_LOG_LEVEL
  value: {{ .root.Values.log.level | quote }}
- name: TRAPLINE_LOG_FORMAT
  value: {{ .root.Values.log.format | quote }}
{{- end -}}

{{- define "trapline.httpEnvironment" -}}
- name: TRAPLINE_HTTP_HOST
  value: "0.0.0.0"
- name: TRAPLINE_HTTP_PORT
  value: {{ include "trapline.text" .root.Values.metricsPort | quote }}
{{- end -}}

{{- define "trapline.groupEnvironment" -}}
{{- with .root.Values.kafka.grouperGroupId }}
- name: TRAPLINE_GROUPER_GROUP_ID
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "trapline.sourcesEnvironment" -}}
- name: TRAPLINE_SOURCES
  value: {{ include "trapline.sources" .root | quote }}
{{- end -}}

{{- /* Settings under their own names. */ -}}
{{- define "trapline.settingsEnvironment" -}}
{{- range $name, $value := . }}
- name: TRAPLINE_{{ upper $name }}
  value: {{ include "trapline.text" $value | quote }}
{{- end }}
{{- end -}}

{{- define "trapline.topicsEnvironment" -}}
{{- with .root.Values.topics -}}
- name: TRAPLINE_PARTITIONS
  value: {{ include "trapline.text" .partitions | quote }}
- name: TRAPLINE_REPLICATION_FACTOR
  value: {{ include "trapline.text" .replicationFactor | quote }}
{{- if not (kindIs "invalid" .retentionHours) }}
- name: TRAPLINE_RETENTION_HOURS
  value: {{ include "trapline.text" .retentionHours | quote }}
{{- end }}
{{- if not (kindIs "invalid" .retentionBytes) }}
- name: TRAPLINE_RETENTION_BYTES
  value: {{ include "trapline.text" .retentionBytes | quote }}
{{- end }}
- name: TRAPLINE_CATALOGUE_RETENTION_BYTES
  value: {{ include "trapline.text" .catalogueRetentionBytes | quote }}
{{- end }}
{{- end -}}
