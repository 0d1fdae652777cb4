"""The input as it comes: read ahead, made plain, names resolved, admitted."""
