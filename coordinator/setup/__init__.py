"""Everything that is settled before the first packet, so that what is wrong costs one sentence."""
