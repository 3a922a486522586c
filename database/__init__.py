"""What is known of the works: the catalogue, and the site's tables."""
