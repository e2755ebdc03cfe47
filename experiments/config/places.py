"""Places that a configuration may name for a run's pictures."""

from __future__ import annotations

from urllib.parse import urlsplit

OBJECT_STORES = {"s3": "fabric-bo[s3]", "gs": "google-cloud-storage"}
"""By scheme what has to be installed."""


def check_place(place: str) -> None:
    """Checks that a place is a folder, or names an object store and a bucket.

    Raises:
        ValueError: neither; the message is one line.
    """
    if "://" not in place:
        return
    parts = urlsplit(place)
    if parts.scheme not in OBJECT_STORES or not parts.netloc or parts.query or parts.username or parts.password:
        hidden = f"{parts.scheme}://{parts.hostname or ''}"  # without what may be a secret
        raise ValueError(
            f"{hidden} is no place for pictures; allowed: a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, with "
            "credentials in the environment"
        )
