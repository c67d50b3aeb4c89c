{{- /* Rules of egress. Each takes the root. */ -}}

{{- define "trapline.toBrokers" -}}
{{- $policy := .Values.networkPolicy.brokers -}}
{{- $ports := list -}}
{{- range splitList "," .Values.kafka.bootstrapServers -}}
{{- $ports = append $ports (include "trapline.port" .) -}}
{{- end -}}
{{- range $policy.ports -}}
{{- $ports = append $ports (include "trapline.text" .) -}}
{{- end -}}
- ports:
{{- range uniq $ports }}
    - port: {{ . }}
      protocol: TCP
{{- end }}
{{- with $policy.to }}
  to:
{{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "trapline.toSources" -}}
{{- $ports := list -}}
{{- $blocks := list -}}
{{- $named := false -}}
{{- range .Values.sources -}}
{{- $address := include "trapline.address" .url -}}
{{- $ports = append $ports (include "trapline.port" $address) -}}
{{- if regexMatch "^[0-9.]+:[0-9]+$" $address -}}
{{- $blocks = append $blocks (printf "%s/32" (first (splitList ":" $address))) -}}
{{- else -}}
{{- $named = true -}}
{{- end -}}
{{- end -}}
- ports:
{{- range uniq $ports }}
    - port: {{ . }}
      protocol: TCP
{{- end }}
{{- if .Values.networkPolicy.sources.to }}
  to:
{{- toYaml .Values.networkPolicy.sources.to | nindent 4 }}
{{- else if not $named }}
  to:
{{- range uniq $blocks }}
    - ipBlock:
        cidr: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "trapline.toNameServers" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- with .Values.networkPolicy.dns.to }}
  to:
{{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{- /* The provider of tokens, where there is one. */ -}}
{{- define "trapline.toTokens" -}}
{{- if and (hasPrefix "sasl_" .Values.kafka.securityProtocol) (eq .Values.kafka.sasl.mechanism "OAUTHBEARER") -}}
{{- $url := urlParse .Values.kafka.sasl.tokenUrl -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
- ports:
    - port: {{ default (ternary "80" "443" (eq $url.scheme "http")) $port }}
      protocol: TCP
{{- end -}}
{{- end -}}
