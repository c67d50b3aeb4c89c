"""What each process needs to run: settings, Kafka clients, topics, logs, metrics, health, shutdown."""
