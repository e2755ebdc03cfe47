"""The report of a run: what is read from its folder, the plots made of it, and the page that holds them."""
