"""posterium beside its peers; never imported by the package."""
