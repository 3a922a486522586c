"""Local features: keypoints, their matches, and what these say of a picture and a work."""
