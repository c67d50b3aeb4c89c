"""`trapline status`: each source and each consumer group as Kafka sees them, in a bounded time.

Nothing is asked of a process of ours: the ends of the topics and the committed offsets say it all.
"""
