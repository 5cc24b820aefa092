"""A site folder as a release: manifest, the product's own repository, differences."""
