"""Direct messages on X. Experimental."""
