"""Fine-tuning to a person's taste: what FABRIC, which steers without training, is compared with."""
