"""Networks as LightningModules."""
