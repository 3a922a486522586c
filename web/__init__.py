"""The site's blueprints, and what they share."""
