{{- /* What the schema cannot say. Included by the topics Job and by connector.yaml: rendered or refused whole. */ -}}
{{- define "trapline.checks" -}}
{{- $values := .Values -}}
{{- if not $values.kafka.bootstrapServers -}}
{{- fail "\n\nkafka.bootstrapServers is not set: the brokers to ask first, such as kafka-0.kafka:9092\n" -}}
{{- end -}}
{{- if not $values.sources -}}
{{- fail "\n\nsources is empty: the image servers, such as\n  sources:\n    - name: sb0\n      url: tcp://10.0.0.1:6666\n" -}}
{{- end -}}
{{- $names := list -}}
{{- range $values.sources -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- if ne (len $names) (len (uniq $names)) -}}
{{- fail (printf "\n\nsources: two have the same name (%s)\n" (join ", " $names)) -}}
{{- end -}}
{{- if $values.topics.create -}}
{{- if kindIs "invalid" $values.topics.retentionHours -}}
{{- fail "\n\ntopics.retentionHours is not set: how many hours raw, groups and rejects are kept. What is older is deleted, read or not, so nobody but you can say; 24, for instance, keeps a day\n" -}}
{{- end -}}
{{- if kindIs "invalid" $values.topics.retentionBytes -}}
{{- fail "\n\ntopics.retentionBytes is not set: how many bytes each partition of raw, groups and rejects keeps, such as 500GiB. Each broker's disk has to hold that for every replica it has\n" -}}
{{- end -}}
{{- end -}}
{{- if hasPrefix "sasl_" $values.kafka.securityProtocol -}}
{{- range $room := list "connector" "grouper" "status" "topics" "test" -}}
{{- if not (include "trapline.saslSecret" (dict "root" $ "secrets" (get $values $room).secrets)) -}}
{{- fail (printf "\n\nkafka.sasl.existingSecret is not set (nor %s.secrets.sasl): kafka.securityProtocol is %s, and the login has to come from a Secret\n" $room $values.kafka.securityProtocol) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $values.kafka.sasl.mechanism "OAUTHBEARER") (not (and $values.kafka.sasl.tokenUrl $values.kafka.sasl.clientId)) -}}
{{- fail "\n\nkafka.sasl.tokenUrl and kafka.sasl.clientId are needed with kafka.sasl.mechanism OAUTHBEARER\n" -}}
{{- end -}}
{{- end -}}
{{- if $values.kafka.tls.clientCertificate -}}
{{- if not (hasSuffix "ssl" $values.kafka.securityProtocol) -}}
{{- fail (printf "\n\nkafka.tls.clientCertificate has no effect with kafka.securityProtocol %s; ssl or sasl_ssl?\n" $values.kafka.securityProtocol) -}}
{{- end -}}
{{- range $room := list "connector" "grouper" "status" "topics" "test" -}}
{{- if not (include "trapline.tlsSecret" (dict "root" $ "secrets" (get $values $room).secrets)) -}}
{{- fail (printf "\n\nkafka.tls.existingSecret is not set (nor %s.secrets.tls): kafka.tls.clientCertificate needs the certificate\n" $room) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if gt (int $values.connector.shares) (len $values.sources) -}}
{{- fail (printf "\n\nconnector.shares is %d, and there are %d sources: some connectors would read nothing\n" (int $values.connector.shares) (len $values.sources)) -}}
{{- end -}}
{{- include "trapline.scaleIn" . -}}
{{- end -}}

{{- /* Refuses an upgrade that takes connectors away, unless that is meant. Without a cluster there is nothing to see. */ -}}
{{- define "trapline.scaleIn" -}}
{{- $name := printf "%s-connector" (include "trapline.fullname" .) -}}
{{- $there := lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- if and $there (not .Values.connector.allowScaleIn) -}}
{{- $now := int $there.spec.replicas -}}
{{- $then := int (include "trapline.connectors" .) -}}
{{- if lt $then $now -}}
{{- fail (printf "\n\nconnector: %d pods would become %d, and what the spools of the last ones hold would be sent by nobody.\nA stop leaves nothing there while Kafka takes what comes; look before and after (docs/operations.md, README.md of the chart), and say\n  --set connector.allowScaleIn=true\nfor this upgrade. The volumes are kept: with as many pods as before, what they hold is sent.\n" $now $then) -}}
{{- end -}}
{{- end -}}
{{- end -}}
