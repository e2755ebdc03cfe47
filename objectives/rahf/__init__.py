"""RAHF: predicts what people would say of an image (Liang et al. 2024, arXiv 2312.10240)."""
