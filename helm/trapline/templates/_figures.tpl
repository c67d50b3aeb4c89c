{{- /* A value as the text of a setting. Helm's numbers are floating point: 20000000000 would become 2e+10. */ -}}
{{- define "trapline.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq . (float64 (int64 .)) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- /* Bytes of a size of a volume, such as 25Gi: digits and a suffix, which the schema has checked. */ -}}
{{- define "trapline.bytes" -}}
{{- $units := dict "M" 1000000 "G" 1000000000 "T" 1000000000000 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $digits := regexFind "^[0-9]+" . -}}
{{- mul (int64 $digits) (int64 (get $units (trimPrefix $digits .))) -}}
{{- end -}}

{{- /* Pods of connectors: two of each share, where they are redundant. */ -}}
{{- define "trapline.connectors" -}}
{{- mul (int64 .Values.connector.shares) (ternary 2 1 .Values.connector.redundant) -}}
{{- end -}}

{{- define "trapline.sources" -}}
{{- $texts := list -}}
{{- range .Values.sources -}}
{{- $texts = append $texts (printf "%s=%s" .name .url) -}}
{{- end -}}
{{- join "," $texts -}}
{{- end -}}

{{- /* HOST:PORT of a source's URL. */ -}}
{{- define "trapline.address" -}}
{{- regexReplaceAll "[?].*$" (trimPrefix "tcp://" .) "" -}}
{{- end -}}

{{- /* The port of HOST:PORT. */ -}}
{{- define "trapline.port" -}}
{{- regexFind "[0-9]+$" (trim .) -}}
{{- end -}}
