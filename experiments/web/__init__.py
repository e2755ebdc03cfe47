"""What every web page of this program shares: who may reach it, and how it is served."""
