"""What is shown of a file by its id, to a skin that hands no path on: pictures of it, made anew, and their cache."""
