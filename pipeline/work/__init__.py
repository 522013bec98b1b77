"""The queue, the workers that take jobs from it, and what keeps both alive."""
