"""The benchmark suite: what qfast costs, against what people use instead.  ``python -m benchmarks`` runs it all."""
