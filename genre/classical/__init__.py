"""Classical models: scikit-learn pipelines on features, tuned, and saved without pickle."""
