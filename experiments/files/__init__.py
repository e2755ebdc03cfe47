"""What is written to disk and put into pages: pictures, files that are never torn, data URIs."""
