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

{{- /* Bytes of what a setting or a quantity of Kubernetes says: 4GiB, 4Gi, 1.5Gi, 4294967296; 0: not known. */ -}}
{{- define "trapline.byteCount" -}}
{{- $units := dict "" 1 "K" 1000 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $text := include "trapline.text" . | replace " " "" | trimSuffix "B" -}}
{{- $digits := regexFind "^[0-9]+([.][0-9]+)?" $text -}}
{{- $unit := trimPrefix $digits $text -}}
{{- if and $digits (hasKey $units $unit) -}}
{{- mulf (float64 $digits) (float64 (get $units $unit)) | int64 -}}
{{- else -}}0{{- end -}}
{{- end -}}

{{- /* What a pod may hold at the worst, against its limit. Takes most, limit, who and advice; nothing where it fits. */ -}}
{{- define "trapline.tooLittleMemory" -}}
{{- $limit := int64 (include "trapline.byteCount" (default "" .limit)) -}}
{{- if and $limit (gt (int64 .most) $limit) }}

WARNING: {{ .who }} may hold {{ divf (float64 .most) 1073741824 | printf "%.1f" }} GiB at the worst, and its memory limit is {{ .limit }}.
It would be killed there: {{ .advice }}.
{{- end -}}
{{- end -}}

{{- /* Warnings about memory. Defaults are those of the settings: tests/chart/test_what_is_there.py compares them. */ -}}
{{- define "trapline.memoryWarnings" -}}
{{- $connector := .Values.connector.settings -}}
{{- $groupers := .Values.grouper.settings -}}
{{- $frame := add (include "trapline.byteCount" .Values.maxFrameBytes) 3145728 -}}
{{- $shares := int64 .Values.connector.shares -}}
{{- $sources := div (add (len .Values.sources) $shares -1) $shares -}}
{{- $queue := include "trapline.byteCount" (default "1GiB" $connector.queue_max_bytes) -}}
{{- include "trapline.tooLittleMemory" (dict
  "who" (printf "a connector with %d sources" (int $sources))
  "most" (add $queue (mul 2 $sources $frame))
  "limit" (dig "limits" "memory" "" .Values.connector.resources)
  "advice" "raise connector.resources or connector.shares, or lower maxFrameBytes to what an image has") -}}
{{- $replicas := int64 .Values.grouper.replicas -}}
{{- $partitions := div (add (int64 .Values.topics.partitions) $replicas -1) $replicas -}}
{{- $open := include "trapline.byteCount" (default "2GiB" $groupers.max_open_bytes) -}}
{{- $fetched := include "trapline.byteCount" (default "64MiB" $groupers.fetch_buffer_bytes) -}}
{{- $transaction := include "trapline.byteCount" (default "64MiB" $groupers.transaction_max_bytes) -}}
{{- include "trapline.tooLittleMemory" (dict
  "who" (printf "a grouper that owns %d of the partitions" (int $partitions))
  "most" (add (mul $partitions $open) $fetched $transaction)
  "limit" (dig "limits" "memory" "" .Values.grouper.resources)
  "advice" "raise grouper.resources or grouper.replicas, or lower grouper.settings.max_open_bytes") -}}
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
