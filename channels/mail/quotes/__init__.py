"""Only what they wrote: the quoted past and signatures are found in any language and hidden, never thrown away."""
