"""The experiments of the FABRIC paper (von Rütte et al. 2023, arXiv 2307.10159), each claim with its verdict."""
