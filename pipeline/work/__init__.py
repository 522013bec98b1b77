"""The queue, the workers that take jobs from it, and recovery from crashes."""
