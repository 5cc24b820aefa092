"""A strict Azure on loopback: management plane, identities, blobs, web endpoints, Front Door."""
