"""Whatever is put in, nothing but the errors of the tree comes out."""
